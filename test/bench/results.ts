import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

export const FLOWS = ["seed", "compose", "ansible", "ours", "floor"] as const;
export type FlowName = (typeof FLOWS)[number];

const FILE = join(import.meta.dirname, "results.json");
const seconds = z.number().nonnegative();
const count = z.number().int().nonnegative();

const Round = z.strictObject({
  /** How busy this machine was with other work when the round began: processes that wanted a core. */
  load: z.number().nonnegative(),
  /** From the command to the moment at which the new commit is served and /health says well. */
  seconds,
  /** Requests without the answer that they should have got, while the command ran. */
  failed: count,
  slowestSeconds: seconds,
  /** The same way, back to the commit before. */
  rollbackSeconds: seconds,
  /** With nothing to do, until the command has ended and the page is well. */
  noopSeconds: seconds,
  sshConnections: count,
  /** The release's command once more; the same as `noopSeconds` where that is the command for it. */
  repeatSeconds: seconds,
  /** Until the command itself has ended. */
  commandSeconds: seconds,
  requests: count,
  rollbackCommandSeconds: seconds,
  rollbackFailed: count,
  rollbackSlowestSeconds: seconds,
  buildSeconds: seconds.optional(),
  swapSeconds: seconds.optional(),
  rollbackSwapSeconds: seconds.optional(),
});
/** What one flow took once. */
export type Round = z.infer<typeof Round>;

const Measured = Round.extend({ measured: z.iso.datetime(), rounds: z.array(Round).min(1) });
/** A flow's figures: medians of its rounds; of what failed and of what was slow, the worst. */
export type Measured = z.infer<typeof Measured>;

const Growth = z.strictObject({
  stacks: count,
  /** `pulumi up` with nothing to do: of one stack, and of all, one after the other. */
  noopOneSeconds: seconds,
  noopAllSeconds: seconds,
  /** A new commit for one of them. */
  changeOneSeconds: seconds,
});
/** How it goes with this many bots on the server, each in a stack of its own. */
export type Growth = z.infer<typeof Growth>;

const Machine = z.strictObject({
  date: z.iso.datetime(),
  processor: z.string(),
  cores: count,
  memoryGiB: z.number(),
  versions: z.record(z.string(), z.string()),
});
export type Machine = z.infer<typeof Machine>;

export const Results = z.strictObject({
  machine: Machine,
  seed: Measured,
  compose: Measured,
  ansible: Measured,
  ours: Measured,
  floor: Measured,
  growth: z.array(Growth),
});
export type Results = z.infer<typeof Results>;

export async function readResults(): Promise<Results> {
  const { data, error } = Results.safeParse(JSON.parse(await readFile(FILE, "utf8")));
  if (data !== undefined) return data;
  const parts = new Set(error.issues.map(({ path }) => String(path[0])));
  throw new Error(`test/bench/results.json lacks figures; measure these too: ${[...parts].join(", ")}`);
}

/** Puts what was measured now in the place of what was measured before; the rest stays. */
export async function mergeResults(measured: Partial<Results>): Promise<void> {
  const before = await readFile(FILE, "utf8").catch(() => "{}");
  const merged = { ...(JSON.parse(before) as object), ...measured };
  await writeFile(FILE, `${JSON.stringify(merged, undefined, 2)}\n`);
}

/** Of these the worst round counts, of everything else the median: a loss must not vanish in a middle. */
const WORST = ["requests", "failed", "rollbackFailed", "slowestSeconds", "rollbackSlowestSeconds"];

export function summarize(rounds: Round[]): Measured {
  const exact = rounds.map(tidy);
  const keys = [...new Set(exact.flatMap((round) => Object.keys(round) as (keyof Round)[]))];
  const figures = keys.map((key) => {
    const values = exact.flatMap((round) => round[key] ?? []);
    return [key, WORST.includes(key) ? Math.max(...values) : median(values)];
  });
  const measured = new Date().toISOString();
  return { ...(Object.fromEntries(figures) as Round), measured, rounds: exact };
}

/** Rounded, and without what this flow does not have. */
function tidy(round: Round): Round {
  const text = JSON.stringify(round, (_, value: unknown) =>
    typeof value === "number" ? rounded(value) : value,
  );
  return JSON.parse(text) as Round;
}

/** The middle one; of an even number the greater of the two: it was really measured, and flatters nobody. */
export function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

export const rounded = (value: number) => Math.round(value * 100) / 100;
