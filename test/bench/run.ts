import { cpus, totalmem } from "node:os";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { docker } from "../../sandbox/docker.ts";
import type { Visit } from "../e2e/load.ts";
import { ansibleFlow, ansibleVersions } from "./ansible.ts";
import { measureBackup } from "./backup.ts";
import { type Bench, type Commit, createBench } from "./bench.ts";
import { measureBroken } from "./broken.ts";
import { composeFlow } from "./compose.ts";
import { floorFlow } from "./floor.ts";
import type { Flow } from "./flow.ts";
import { measureGrowth } from "./growth.ts";
import { measureIdle } from "./idle.ts";
import { measure, untilHealthy } from "./measure.ts";
import { oursFlow, pulumiVersion } from "./ours.ts";
import { must } from "./perform.ts";
import { measurePush } from "./push.ts";
import { writeReport } from "./report.ts";
import {
  type BotName,
  BOTS,
  type BrokenRound,
  FAULTS,
  type FlowName,
  FLOWS,
  type Machine,
  mergeResults,
  readResults,
  type Round,
} from "./results.ts";
import { type Figures, middle, summarize, tidy } from "./statistics.ts";
import { swarmFlow } from "./swarm.ts";
import { timeline } from "./timeline.ts";

const PARTS = ["sample", "sampleBroken", "heavy", "heavyBroken", "idle", "growth", "push", "backup"] as const;
type Part = (typeof PARTS)[number];

const makers: Record<FlowName, (bench: Bench) => Flow> = {
  seed: (bench) => composeFlow(bench, "seed"),
  compose: (bench) => composeFlow(bench, "compose"),
  ansible: ansibleFlow,
  swarmStart: (bench) => swarmFlow(bench, "start-first"),
  swarmStop: (bench) => swarmFlow(bench, "stop-first"),
  ours: (bench) => oursFlow(bench, false),
  oursBuilt: (bench) => oursFlow(bench, true),
  floor: floorFlow,
};

interface Options {
  parts: readonly Part[];
  flows: readonly FlowName[];
  rounds: number;
  bots: number;
}

/** A flow that fails is left out from then on; the others are measured all the same. */
class Flows {
  private readonly flows = new Map<FlowName, Flow>();
  readonly failed: string[] = [];

  async add(name: FlowName, flow: Flow, first: Commit): Promise<void> {
    console.log(`${name}: setting up`);
    this.flows.set(name, flow);
    await this.attempt(name, flow, () => flow.setUp(first.commit));
  }

  /** Does something with each flow while the others stand still. @param backwards in the other order */
  async each(action: (name: FlowName, flow: Flow) => Promise<void>, backwards: boolean): Promise<void> {
    const all = [...this.flows];
    for (const [name, flow] of backwards ? all.reverse() : all) {
      await this.attempt(name, flow, async () => {
        await flow.unpark();
        await action(name, flow);
      });
    }
  }

  private async attempt(name: FlowName, flow: Flow, action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
      await flow.park();
    } catch (error) {
      console.error(`${name} failed and is left out: ${String(error)}`);
      this.failed.push(name);
      this.flows.delete(name);
      await flow.park().catch(() => undefined);
    }
  }
}

/** Measures all flows round by round, so that a slow minute of this machine affects all of them. */
async function measureBot(bot: BotName, { parts, flows: names, rounds }: Options): Promise<string[]> {
  const broken = `${bot}Broken` as const;
  return withBench(bot, async (bench) => {
    const first = await bench.commit("Before");
    const flows = new Flows();
    for (const name of names) await flows.add(name, makers[name](bench), first);
    const good = new Map<FlowName, { round: Round; visits: Visit[] }[]>();
    const bad = new Map<string, BrokenRound[]>();
    for (let number = 1; number <= rounds; number += 1) {
      const measureRound = async (name: FlowName, flow: Flow) => {
        await untilHealthy(bench, first.title);
        const all = add(good, name, await measure(bench, flow, first, `Round ${number} of ${name}`));
        report(`${bot}, ${name}, round ${number}`, all.at(-1)?.round);
        await mergeResults({ [bot]: { [name]: measured(all.map(({ round }) => round)) } });
        if (bot === "sample") await keepTimeline(name, all);
      };
      const breakRound = async (name: FlowName, flow: Flow) => {
        // With an image that is there it goes the same way.
        if (name === "oursBuilt") return;
        const faults = FAULTS.filter((fault) => name === "ours" || !["late", "silent"].includes(fault));
        const figures: Record<string, ReturnType<typeof measured<BrokenRound>>> = {};
        for (const fault of faults) {
          await untilHealthy(bench, first.title);
          const all = add(bad, `${name} ${fault}`, await measureBroken(bench, flow, first, fault));
          report(`${bot}, ${name}, ${fault}, round ${number}`, all.at(-1));
          figures[fault] = measuredBroken(all);
        }
        await mergeResults({ [broken]: { [name]: figures } });
      };
      const backwards = number % 2 === 0;
      if (parts.includes(bot)) await flows.each(measureRound, backwards);
      if (parts.includes(broken)) await flows.each(breakRound, backwards);
    }
    return flows.failed.map((name) => `${bot}, ${name}`);
  });
}

function add<Key, Item>(lists: Map<Key, Item[]>, key: Key, item: Item): Item[] {
  const list = [...(lists.get(key) ?? []), item];
  lists.set(key, list);
  return list;
}

const report = (what: string, figures: unknown) => {
  console.log(`${what}: ${JSON.stringify(figures)}`);
};

function measured<T extends Figures>(rounds: T[]) {
  const exact = rounds.map(tidy);
  return { ...summarize(exact), measured: new Date().toISOString(), rounds: exact };
}

/** A way that once did not come back by itself does not do so. */
function measuredBroken(rounds: BrokenRound[]) {
  const all = measured(rounds);
  return rounds.every(({ goodAgain }) => goodAgain !== undefined) ? all : { ...all, goodAgain: undefined };
}

async function keepTimeline(name: FlowName, rounds: { round: Round; visits: Visit[] }[]): Promise<void> {
  const kept = middle(rounds, ({ round }) => round.release.answers);
  if (kept === undefined) return;
  const { answers, ends } = kept.round.release;
  await mergeResults({ timeline: { [name]: timeline(kept.visits, answers, ends) } });
}

/** Every part has a server of its own, on which nothing is left of another one. */
async function withBench<T>(bot: BotName, action: (bench: Bench) => Promise<T>): Promise<T> {
  return onServer(bot, async (bench) => {
    await mergeResults({ machine: await describeMachine(bench) });
    return action(bench);
  });
}

async function onServer<T>(bot: BotName, action: (bench: Bench) => Promise<T>): Promise<T> {
  const bench = await createBench(bot);
  try {
    return await action(bench);
  } finally {
    await bench.close();
  }
}

async function describeMachine(bench: Bench): Promise<Machine> {
  const [processor] = cpus();
  return {
    date: new Date().toISOString(),
    processor: processor?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    versions: {
      node: process.versions.node,
      pulumi: await pulumiVersion(bench),
      docker: await bench.onServer("docker", "version", "--format", "{{.Server.Version}}"),
      "docker compose": await must(bench.remote(["docker", "compose", "version", "--short"])),
      ...(await ansibleVersions()),
    },
  };
}

async function main(options: Options): Promise<void> {
  const { parts, rounds, bots } = options;
  await docker(["version", "--format", "{{.Server.Version}}"]);
  const failed: string[] = [];
  for (const bot of BOTS) {
    if (parts.includes(bot) || parts.includes(`${bot}Broken`))
      failed.push(...(await measureBot(bot, options)));
  }
  if (parts.includes("idle")) {
    await withBench("sample", async (bench) => {
      const first = await bench.commit("Before");
      await makers.ours(bench).setUp(first.commit);
      await mergeResults({ idle: await measureIdle(bench, first, rounds) });
    });
  }
  if (parts.includes("growth")) {
    await withBench("sample", async (bench) => {
      await mergeResults({ growth: await measureGrowth(bench, rounds, bots) });
    });
  }
  if (parts.includes("push")) await mergeResults({ push: await measurePush(rounds) });
  if (parts.includes("backup")) {
    await onServer("sample", async (bench) => {
      await mergeResults({ backup: await measureBackup(bench, rounds) });
    });
  }
  await writeReport(await readResults());
  if (failed.length > 0) throw new Error(`not measured: ${failed.join("; ")}`);
}

void yargs(hideBin(process.argv))
  .scriptName("npm run bench --")
  .command(
    "$0 [parts..]",
    "Measure ways to release a commit, side by side on one throwaway server under the same load; write test/bench/results.json, docs/BENCHMARKS.md and its picture",
    (args) =>
      args
        .positional("parts", {
          choices: PARTS,
          array: true,
          default: [...PARTS],
          describe: "What to measure; the figures of all others stay as they are",
        })
        .option("flows", {
          choices: FLOWS,
          array: true,
          default: [...FLOWS],
          describe: "Which ways; the figures of all others stay as they are",
        })
        .option("rounds", { type: "number", default: 5, describe: "How often to measure each" })
        .option("bots", { type: "number", default: 20, describe: "How many bots to grow to" })
        .option("report", {
          type: "boolean",
          default: false,
          describe: "Measure nothing; only write the document and its picture again",
        })
        .example("$0 sample --flows ours --flows floor --rounds 1", "compare two ways once"),
    async ({ report: only, ...options }) => {
      if (only) await writeReport(await readResults());
      else await main(options);
    },
  )
  .strict()
  .version(false)
  .fail((message: string | undefined, error: Error | undefined) => {
    console.error(`error: ${error?.message ?? message ?? "failed"}`);
    process.exit(1);
  })
  .parse();
