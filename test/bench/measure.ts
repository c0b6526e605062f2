import { get } from "node:http";
import { loadavg } from "node:os";
import { cutConnections } from "../../sandbox/server.ts";
import { startLoad } from "../e2e/load.ts";
import type { Bench } from "./bench.ts";
import type { Details, Flow } from "./flow.ts";
import type { Round } from "./results.ts";

/** How long the load runs before a command is typed, and after everything is well again. */
const BEFORE = 500;
const AFTER = 1500;
/** Seconds within which any flow must be done. */
const LIMIT = 300;
/** Between two looks at the page, and how long one may take. */
const PAUSE = 100;
const PATIENCE = 5000;

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const since = (began: number) => (Date.now() - began) / 1000;

/** Stops a flow's containers. */
export async function park(bench: Bench, flow: Flow): Promise<void> {
  await bench.onServer("docker", "stop", ...flow.containers);
}

/** Starts them again as they were. */
export async function unpark(bench: Bench, flow: Flow, { title }: Commit): Promise<void> {
  await bench.onServer("docker", "start", ...[...flow.containers].reverse());
  await untilWell(bench, title);
}

/** A commit and the title of its page, by which whoever sees the page can tell which one answers. */
interface Commit {
  commit: string;
  title: string;
}

export async function newCommit(bench: Bench, title: string): Promise<Commit> {
  const edit = (page: string) => page.replace(/<h1>.*<\/h1>/, `<h1>${title}</h1>`);
  return { title, commit: await bench.release("templates/index.html", edit) };
}

/** A release of a new commit under load, what has nothing to do, and the way back under load. */
export async function measure(bench: Bench, flow: Flow, old: Commit, title: string): Promise<Round> {
  const [load = 0] = loadavg();
  const { commit } = await newCommit(bench, title);
  await flow.prepare?.(commit);
  const release = await underLoad(bench, title, () => flow.release(commit));
  const repeatSeconds = await again(bench, title, () => flow.release(commit));
  const noopSeconds = flow.look ? await again(bench, title, flow.look) : repeatSeconds;
  const rollback = await underLoad(bench, old.title, () => flow.goBack(old.commit));
  return {
    load,
    ...release,
    ...{ noopSeconds, repeatSeconds },
    rollbackSeconds: rollback.seconds,
    rollbackCommandSeconds: rollback.commandSeconds,
    rollbackFailed: rollback.failed,
    rollbackSlowestSeconds: rollback.slowestSeconds,
    rollbackSwapSeconds: rollback.swapSeconds,
  };
}

async function underLoad(bench: Bench, title: string, command: () => Promise<Details>) {
  const load = startLoad(bench.url, bench.telegram);
  try {
    await sleep(BEFORE);
    const took = await timed(bench, title, command);
    await sleep(AFTER);
    const { requests, failed, slowestSeconds } = await load.stop();
    return { ...took, requests, failed: failed.length, slowestSeconds };
  } catch (error) {
    await load.stop();
    throw error;
  }
}

/** From the command to its end, and to the first moment at which this title is served and /health says well. */
async function timed(bench: Bench, title: string, command: () => Promise<Details>) {
  await forget(bench);
  const before = await countConnections(bench);
  const began = Date.now();
  const ended = command().then((details) => ({ ...details, commandSeconds: since(began) }));
  const [details, seconds] = await Promise.all([ended, untilWell(bench, title, ended)]);
  return { ...details, seconds, sshConnections: (await countConnections(bench)) - before };
}

/** From the command to its end, and on until the page, which it may have taken down, is well again. */
async function again(bench: Bench, title: string, command: () => Promise<unknown>): Promise<number> {
  await forget(bench);
  const began = Date.now();
  await command();
  await untilWell(bench, title);
  return since(began);
}

/** Ends kept connections of earlier commands: each begins as it would on another day. */
const forget = (bench: Bench) => cutConnections(bench.server);

/** Gives the seconds until then; gives up when the command has failed. */
async function untilWell(bench: Bench, title: string, command?: Promise<unknown>): Promise<number> {
  const began = Date.now();
  const state = { failed: false };
  command?.catch(() => (state.failed = true));
  while (!state.failed) {
    if (await isWell(bench.url, title)) return since(began);
    if (since(began) > LIMIT) throw new Error(`"${title}" is not served after ${LIMIT} s`);
    await sleep(PAUSE);
  }
  return since(began);
}

async function isWell(url: string, title: string): Promise<boolean> {
  const page = await ask(url);
  return page.includes(`<h1>${title}</h1>`) && (await ask(`${url}/health`)) !== "";
}

/** The page, or nothing where it is not well. A connection of its own each time, which cannot hang with an old one. */
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
