import { initStack, pulumiOk, randomToken, type Stack } from "../../sandbox/stack.ts";
import type { Bench } from "./bench.ts";
import type { Command } from "./flow.ts";
import { since } from "./measure.ts";
import { delivery, deployment, pulumi } from "./ours.ts";
import { must } from "./perform.ts";
import type { Growth } from "./results.ts";
import { median, rounded } from "./statistics.ts";

const SIZES = [1, 5, 20];

/** Adds bots to the server, each in its own stack, and measures updates at each size. */
export async function measureGrowth(bench: Bench, rounds: number, most: number): Promise<Growth[]> {
  const bots: [Stack, ...Stack[]] = [await addBot(bench, 1)];
  const measured: Growth[] = [];
  for (const size of SIZES.filter((size) => size <= most)) {
    while (bots.length < size) bots.push(await addBot(bench, bots.length + 1));
    measured.push(await measureSize(bench, bots, rounds));
    console.log(`  growth: ${JSON.stringify(measured.at(-1))}`);
  }
  return measured;
}

async function measureSize(bench: Bench, bots: [Stack, ...Stack[]], rounds: number): Promise<Growth> {
  const [one, all, change]: [number[], number[], number[]] = [[], [], []];
  while (all.length < rounds) {
    const each: number[] = [];
    for (const stack of bots) each.push(await timed(pulumi({ stack }, "up", "--yes", "--skip-preview")));
    one.push(...each);
    all.push(each.reduce((sum, value) => sum + value));
    const { commit } = await bench.commit(`Change ${all.length} of one among ${bots.length}`);
    change.push(await timed(deployment({ stack: bots[0] }, commit)));
  }
  return {
    bots: bots.length,
    nothingOne: rounded(median(one)),
    nothingAll: rounded(median(all)),
    releaseOne: rounded(median(change)),
  };
}

/** Adds a bot with its own names, port and directories, and the same code. */
async function addBot(bench: Bench, number: number): Promise<Stack> {
  const { server, repository, telegram } = bench;
  const name = `bot_${number}`;
  const stack = { ...bench.stack, name: name.replace("_", "-") };
  const telegramToken = randomToken();
  telegram.addBot(telegramToken);
  const telegramUrl = telegram.url;
  await initStack(stack, { server, repository, telegramUrl, telegramToken, proxyPort: 5000 + number });
  const own = {
    name,
    "server.deployPath": `/home/deploy/${name}`,
    "server.backupPath": `/home/deploy/backups/${name}`,
  };
  const pairs = Object.entries(own).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
  await pulumiOk(stack, ["config", "set-all", "--path", ...pairs]);
  const seconds = await timed(delivery({ stack }, "deploy", await repository.head()));
  console.log(`  growth: ${name} is up after ${seconds.toFixed(1)} s`);
  return stack;
}

async function timed(command: Command): Promise<number> {
  const began = Date.now();
  await must(command);
  return since(began);
}
