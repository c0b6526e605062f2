// @ts-nocheck
import { initStack, pulumiOk, randomToken, type Stack } from "../../sandbox/stack.ts";
import type { Bench } from "./bench.ts";
import { newCommit } from "./measure.ts";
import { type Growth, median, rounded } from "./results.ts";

const SIZES = [1, 5, 20];
/** The least number of figures for a median. */
const TRIES = 3;

/** Adds bots to the server, each in its own stack, and measures updates at each size. */
export async function measureGrowth(bench: Bench): Promise<Growth[]> {
  const bots: [Stack, ...Stack[]] = [await addBot(bench, 1)];
  const measured: Growth[] = [];
  for (const size of SIZES) {
    while (bots.length < size) bots.push(await addBot(bench, bots.length + 1));
    measured.push(await measureSize(bench, bots));
    console.log(`  growth: ${JSON.stringify(measured.at(-1))}`);
  }
  return measured;
}

async function measureSize(bench: Bench, bots: [Stack, ...Stack[]]): Promise<Growth> {
  const [one, all, change]: [number[], number[], number[]] = [[], [], []];
  while (one.length < TRIES) {
    const each: number[] = [];
    for (const bot of bots) each.push(await up(bot, ["--expect-no-changes"]));
    one.push(...each);
    all.push(each.reduce((sum, value) => sum + value));
  }
  while (change.length < TRIES) {
    const { commit } = await newCommit(bench, `Change ${change.length + 1} of one among ${bots.length}`);
    await pulumiOk(bots[0], ["config", "set", "commit", commit]);
    change.push(await up(bots[0]));
  }
  return {
    stacks: bots.length,
    noopOneSeconds: rounded(median(one)),
    noopAllSeconds: rounded(median(all)),
    changeOneSeconds: rounded(median(change)),
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
  console.log(`  growth: ${name} is up after ${(await up(stack)).toFixed(1)} s`);
  return stack;
}

async function up(stack: Stack, args: string[] = []): Promise<number> {
  const began = Date.now();
  await pulumiOk(stack, ["up", "--yes", "--skip-preview", ...args]);
  return (Date.now() - began) / 1000;
}
