import { NAMES } from "./names.ts";
import { measuredFlows, table, TITLES } from "./report-table.ts";
import { type BotName, BOTS, type Fault, FAULTS, FLOWS, type Measured, type Results } from "./results.ts";

/** The sections of the report that compare the ways to release. */

const INTRODUCTIONS: Record<BotName, string> = {
  sample: "[The sample bot](../examples/hockey) has three packages and starts within a second.",
  heavy:
    "The sample bot with the packages of a grown one: SQLAlchemy, aiogram, gunicorn, pandas, matplotlib and Pillow ([heavy/](../test/bench/heavy)), all imported at its start. The layer with the packages is in Docker's cache, except for what builds without the cache.",
};

const outOf = ({ failed, requests }: { failed: number; requests: number }) => `${failed} of ${requests}`;

export function releases(results: Results, bot: BotName): string {
  const all = measuredFlows(results, bot);
  if (all.length === 0) return "";
  const noticed = all.map(({ flow, measured: { release } }) => [
    ...[NAMES[flow], release.answers, release.ends, outOf(release), release.slowest, release.overlaps],
    ...[release.lost, release.doubled, release.connections],
  ]);
  const others = all.map(({ flow, measured: { rollback, restart, nothing, release } }) => [
    ...[NAMES[flow], rollback.answers, rollback.ends, outOf(rollback)],
    ...[restart?.answers, restart && outOf(restart), restart?.slowest, nothing.again],
    ...[Math.round(release.memoryHere), Math.round(release.memoryServer)],
  ]);
  return `## ${TITLES[bot]}

${INTRODUCTIONS[bot]} A release of a new commit:

${table(["", "answers, s", "ends, s", "failed requests", "slowest, s", "409s", "messages lost", "doubled", "SSH connections"], noticed)}

The way back, a restart, the same command with nothing to do, and the most memory that a release's command takes at once:

${table(["", "rollback answers, s", "ends, s", "failed", "restart answers, s", "failed", "slowest, s", "nothing to do, s", "memory here, MiB", "on the server, MiB"], others)}`;
}

const FAULT_NAMES: Record<Fault, string> = {
  crash: "crash at import",
  late: "crash after 3 s",
  sick: "/health answers 500",
  silent: "never listens",
};

export function broken(results: Results): string {
  const tables = BOTS.flatMap((bot) => {
    const figures = results[`${bot}Broken`];
    const rows = FAULTS.flatMap((fault) =>
      FLOWS.flatMap((flow) => {
        const one = figures[flow]?.[fault];
        if (one === undefined) return [];
        const back = one.goodAgain === undefined ? "**not by itself**" : one.goodAgain || "never noticed";
        return [
          [
            ...[FAULT_NAMES[fault], NAMES[flow], one.ends, one.status, back],
            ...[outOf(one), one.slowest, one.overlaps, one.lost],
          ],
        ];
      }),
    );
    const columns = [
      ...["fault", "", "ends, s", "exit status", "good again, s"],
      ...["failed requests", "slowest, s", "409s", "messages unanswered"],
    ];
    return rows.length === 0 ? [] : [`${TITLES[bot]}:\n\n${table(columns, rows)}`];
  });
  if (tables.length === 0) return "";
  return `## A release that does not work

**Good again** is the moment from which the good commit is served and healthy without a break, counted from the command. Where it
does not come back by itself, the operator goes back 20 seconds after the command has ended, and what visitors notice until then counts.
Failed requests are those of the page: a bot whose \`/health\` answers 500 may serve it.

${tables.join("\n\n")}`;
}

/** What others do better, by these figures of a flow. */
const COMPARED: { what: string; unit: string; of: (measured: Measured) => number | undefined }[] = [
  { what: "A new commit answers sooner", unit: " s", of: ({ release }) => release.answers },
  { what: "The command ends sooner", unit: " s", of: ({ release }) => release.ends },
  { what: "The slowest request of a release is faster", unit: " s", of: ({ release }) => release.slowest },
  { what: "Fewer requests fail in a release", unit: "", of: ({ release }) => release.failed },
  { what: "Fewer 409s", unit: "", of: ({ release }) => release.overlaps },
  { what: "A rollback answers sooner", unit: " s", of: ({ rollback }) => rollback.answers },
  { what: "A restart answers sooner", unit: " s", of: ({ restart }) => restart?.answers },
  { what: "With nothing to do the command ends sooner", unit: " s", of: ({ nothing }) => nothing.again },
  { what: "Fewer SSH connections", unit: "", of: ({ release }) => release.connections },
  {
    what: "Less memory on the operator's machine",
    unit: " MiB",
    of: ({ release }) => Math.round(release.memoryHere),
  },
];

export function better(results: Results): string {
  const bot = results.heavy.ours === undefined ? "sample" : "heavy";
  const ours = results[bot].ours;
  if (ours === undefined) return "";
  const lines = COMPARED.flatMap(({ what, unit, of }) => {
    const own = of(ours);
    const ahead = measuredFlows(results, bot)
      .flatMap(({ flow, measured }) => ({ flow, value: of(measured) }))
      .filter(
        ({ flow, value }) =>
          !flow.startsWith("ours") && value !== undefined && own !== undefined && value < own,
      )
      .map(({ flow, value }) => `${NAMES[flow]} ${value ?? ""}${unit}`);
    return ahead.length === 0
      ? []
      : [`- **${what}**: ${ahead.join(", ")}; this project ${own ?? ""}${unit}.`];
  });
  return `## What others are better at

By the figures of ${bot === "heavy" ? "the bot of real weight" : "the sample bot"}:

${lines.join("\n")}

Ways that start the new bot before they stop the old one hold no request for long, at the price of two bots that poll one Telegram token
(409s). Docker Compose and \`docker run\` need nothing on the operator's machine but \`ssh\`.`;
}
