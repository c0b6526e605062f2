// @ts-nocheck
import { cpus, totalmem } from "node:os";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { docker, run } from "../../sandbox/docker.ts";
import { ansibleFlow, ansibleVersions } from "./ansible.ts";
import { type Bench, createBench } from "./bench.ts";
import { composeFlow } from "./compose.ts";
import { floorFlow } from "./floor.ts";
import type { Flow } from "./flow.ts";
import { measureGrowth } from "./growth.ts";
import { measure, newCommit, park, unpark } from "./measure.ts";
import { oursFlow } from "./ours.ts";
import { writeReport } from "./report.ts";
import {
  type FlowName,
  FLOWS,
  type Machine,
  mergeResults,
  readResults,
  type Results,
  type Round,
  summarize,
} from "./results.ts";

const PARTS = [...FLOWS, "growth"] as const;

const makers: Record<FlowName, (bench: Bench) => Flow> = {
  seed: (bench) => composeFlow(bench, "seed"),
  compose: (bench) => composeFlow(bench, "compose"),
  ansible: ansibleFlow,
  ours: oursFlow,
  floor: floorFlow,
};

/** Measures all flows round by round, so that a slow minute of this machine affects all of them. */
async function measureFlows(bench: Bench, names: FlowName[], rounds: number): Promise<Partial<Results>> {
  const first = await newCommit(bench, "Before");
  const flows = new Map<FlowName, Flow>();
  for (const name of names) {
    console.log(`${name}: setting up`);
    const flow = makers[name](bench);
    await flow.setUp(first.commit);
    await park(bench, flow);
    flows.set(name, flow);
  }
  const measured = new Map<FlowName, Round[]>(names.map((name) => [name, []]));
  for (let number = 1; number <= rounds; number += 1) {
    for (const [name, flow] of flows) {
      await unpark(bench, flow, first);
      const round = await measure(bench, flow, first, `Round ${number} of ${name}`);
      await park(bench, flow);
      console.log(`${name}, round ${number}: ${JSON.stringify(round)}`);
      measured.get(name)?.push(round);
    }
  }
  return Object.fromEntries([...measured].map(([name, list]) => [name, summarize(list)]));
}

async function describeMachine(bench: Bench): Promise<Machine> {
  const onServer = (...command: string[]) => bench.onServer(...command);
  const versions = {
    node: process.versions.node,
    pulumi: (await run("pulumi", ["version"], { env: bench.stack.env })).slice(1),
    docker: await onServer("docker", "version", "--format", "{{.Server.Version}}"),
    "docker-compose": await onServer("docker-compose", "version", "--short"),
    ...(await ansibleVersions()),
  };
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  const [processor] = cpus();
  return {
    date: new Date().toISOString(),
    processor: processor?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB,
    versions,
  };
}

async function main(parts: readonly (typeof PARTS)[number][], rounds: number): Promise<void> {
  await docker(["version", "--format", "{{.Server.Version}}"]);
  const bench = await createBench();
  try {
    const names = FLOWS.filter((name) => parts.includes(name));
    const flows = names.length > 0 ? await measureFlows(bench, names, rounds) : {};
    await mergeResults({ machine: await describeMachine(bench), ...flows });
    if (parts.includes("growth")) await mergeResults({ growth: await measureGrowth(bench) });
  } finally {
    await bench.close();
  }
  await writeReport(await readResults());
}

void yargs(hideBin(process.argv))
  .scriptName("npm run bench --")
  .command(
    "$0 [parts..]",
    "Measure ways to release a commit, side by side on one throwaway server under the same load; write test/bench/results.json, docs/BENCHMARKS.md and its plot",
    (args) =>
      args
        .positional("parts", {
          choices: PARTS,
          array: true,
          default: [...PARTS],
          describe: "What to measure; the figures of all others stay as they are",
        })
        .option("rounds", { type: "number", default: 3, describe: "How often to measure each flow" })
        .option("report", {
          type: "boolean",
          default: false,
          describe: "Measure nothing; only write the document and its plot again",
        }),
    async ({ parts, rounds, report }) => {
      if (report) await writeReport(await readResults());
      else await main(parts, rounds);
    },
  )
  .strict()
  .version(false)
  .fail((message: string | undefined, error: Error | undefined) => {
    console.error(`error: ${error?.message ?? message ?? "failed"}`);
    process.exit(1);
  })
  .parse();
