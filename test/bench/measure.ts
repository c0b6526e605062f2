import { get } from "node:http";
import { loadavg } from "node:os";
import { cutConnections } from "../../sandbox/server.ts";
import { type Seen, startLoad, type Visit } from "../e2e/load.ts";
import type { Bench, Commit } from "./bench.ts";
import type { Command, Flow } from "./flow.ts";
import { parseHeld, parseTimings } from "./ours.ts";
import { type Ended, perform } from "./perform.ts";
import type { Change, Round } from "./results.ts";

/** Milliseconds of load before a command starts, and after the page is healthy again. */
const BEFORE = 500;
const AFTER = 1500;
/** Seconds after which a flow counts as failed. */
const LIMIT = 300;
/** Milliseconds between two probes of the page, and the limit for one; a probe that was held is followed by another one. */
const PAUSE = 100;
const PATIENCE = 10_000;

export const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
export const since = (began: number) => (Date.now() - began) / 1000;

/** One round: a release under load, the same with nothing to do, a restart, and the way back under load. */
export async function measure(
  bench: Bench,
  flow: Flow,
  old: Commit,
  title: string,
): Promise<{ round: Round; visits: Visit[] }> {
  const [load = 0] = loadavg();
  const { commit } = await bench.commit(title);
  await flow.prepare?.(commit);
  const { change: release, visits, output } = await underLoad(bench, title, flow.release(commit));
  const nothing = { again: await again(bench, title, flow.release(commit)) };
  for (const [name, command] of Object.entries(flow.looks?.() ?? {})) {
    Object.assign(nothing, { [name]: await again(bench, title, command) });
  }
  // The page shows the same commit before and after, so only the end of the command tells them apart.
  const restart = flow.restart && (await underLoad(bench, title, flow.restart(), "after its end")).change;
  const { change: rollback } = await underLoad(bench, old.title, flow.goBack(old.commit));
  return { round: { load, release, restart, rollback, nothing, marks: parseTimings(output) }, visits };
}

/** Runs a command that must succeed, under load, until this title is served and /health answers 200. */
async function underLoad(
  bench: Bench,
  title: string,
  command: Command,
  asked: "at once" | "after its end" = "at once",
): Promise<{ change: Change; output: string; visits: Visit[] }> {
  await forget(bench);
  const before = await countConnections(bench);
  let began = 0;
  const { result, seen } = await loaded(bench, () => {
    began = Date.now();
    const ended = perform(command, bench.pid).then(succeeded(command));
    const healthy = async () => {
      if (asked === "after its end") await ended;
      await untilHealthy(bench, title, ended);
      return since(began);
    };
    return Promise.all([ended, healthy()]);
  });
  const [{ seconds: ends, output, memoryHere, memoryServer }, answers] = result;
  const connections = (await countConnections(bench)) - before;
  return {
    change: {
      ...{ answers, ends, ...figures(seen), connections, memoryHere, memoryServer },
      heldSeconds: parseHeld(output),
    },
    output,
    visits: seen.visits.map((visit) => ({ ...visit, at: visit.at - began })),
  };
}

/** Runs something with visitors and a chat around it. */
export async function loaded<T>(bench: Bench, action: () => Promise<T>): Promise<{ result: T; seen: Seen }> {
  const { url, telegram, secrets } = bench;
  const load = startLoad({ url }, telegram, { token: secrets.telegramToken });
  try {
    await sleep(BEFORE);
    const result = await action();
    await sleep(AFTER);
    return { result, seen: await load.stop() };
  } catch (error) {
    await load.stop();
    throw error;
  }
}

export const figures = ({ requests, failed, slowestSeconds, overlaps, messages, lost, doubled }: Seen) => ({
  ...{ requests, failed: failed.length, slowest: slowestSeconds, overlaps, messages, lost, doubled },
});

function succeeded({ file, args }: Command) {
  return (ended: Ended): Ended => {
    if (ended.status === 0) return ended;
    throw new Error(`${file} ${args.slice(-2).join(" ")} ended with ${ended.status}:\n${ended.output}`);
  };
}

/** Seconds until the command has ended and the page, which it may have taken down, is healthy again. */
async function again(bench: Bench, title: string, command: Command): Promise<number> {
  await forget(bench);
  const began = Date.now();
  await perform(command, bench.pid).then(succeeded(command));
  await untilHealthy(bench, title);
  return since(began);
}

/** Cuts open connections of earlier commands, so that each starts like the first of the day. */
export const forget = (bench: Bench) => cutConnections(bench.server);

/** Seconds until this title is served and healthy, or until the command has failed. */
export async function untilHealthy(bench: Bench, title: string, command?: Promise<unknown>): Promise<number> {
  const began = Date.now();
  const state = { failed: false };
  command?.catch(() => (state.failed = true));
  while (!state.failed) {
    if (await isHealthy(bench.url, title)) return since(began);
    if (since(began) > LIMIT) throw new Error(`"${title}" is not served after ${LIMIT} s`);
    await sleep(PAUSE);
  }
  return since(began);
}

/** One look at the page, in seconds since the watch began. */
export interface Probe {
  at: number;
  took: number;
  good: boolean;
}

/** Asks for this title and /health ten times a second until it is told to stop. */
export function watch(bench: Bench, title: string): { probes: Probe[]; stop(): Promise<void> } {
  const began = Date.now();
  const probes: Probe[] = [];
  const state = { ends: false };
  const run = async () => {
    while (!state.ends) {
      const at = since(began);
      const good = await isHealthy(bench.url, title);
      probes.push({ at, took: since(began) - at, good });
      await sleep(PAUSE);
    }
  };
  const running = run();
  return {
    probes,
    stop() {
      state.ends = true;
      return running;
    },
  };
}

async function isHealthy(url: string, title: string): Promise<boolean> {
  const page = await ask(url);
  return page.includes(`<h1>${title}</h1>`) && (await ask(`${url}/health`)) !== "";
}

/** The page, or an empty string if it is not healthy. Each call opens a new connection, so none can hang on an old one. */
function ask(url: string): Promise<string> {
  return new Promise((resolve) => {
    const sent = get(url, { agent: false, signal: AbortSignal.timeout(PATIENCE) }, (response) => {
      let body = "";
      response.on("data", (chunk) => (body += String(chunk)));
      response.on("error", () => {
        resolve("");
      });
      response.on("end", () => {
        resolve(response.statusCode === 200 ? body : "");
      });
    });
    sent.on("error", () => {
      resolve("");
    });
  });
}

async function countConnections(bench: Bench): Promise<number> {
  return Number(await bench.onServer("sh", "-c", "journalctl -u ssh | grep -c 'Accepted publickey'"));
}
