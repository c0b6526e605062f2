// @ts-nocheck
import { get } from "node:http";
import { loadavg } from "node:os";
import { cutConnections } from "../../sandbox/server.ts";
import { startLoad } from "../e2e/load.ts";
import type { Bench } from "./bench.ts";
import type { Details, Flow } from "./flow.ts";
import type { Round } from "./results.ts";

/** Milliseconds of load before a command starts, and after the page is healthy again. */
const BEFORE = 500;
const AFTER = 1500;
/** Seconds after which a flow counts as failed. */
const LIMIT = 300;
/** Milliseconds between two probes of the page, and the limit for one. */
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
  await untilHealthy(bench, title);
}

/** A commit and the title of its page, which shows the commit that answers. */
interface Commit {
  commit: string;
  title: string;
}

export async function newCommit(bench: Bench, title: string): Promise<Commit> {
  const edit = (page: string) => page.replace(/<h1>.*<\/h1>/, `<h1>${title}</h1>`);
  return { title, commit: await bench.release("templates/index.html", edit) };
}

/** One round: a release under load, the same commands with nothing to do, and a rollback under load. */
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

/** Measures until the command has ended, and until this title is served and /health answers 200. */
async function timed(bench: Bench, title: string, command: () => Promise<Details>) {
  await forget(bench);
  const before = await countConnections(bench);
  const began = Date.now();
  const ended = command().then((details) => ({ ...details, commandSeconds: since(began) }));
  const [details, seconds] = await Promise.all([ended, untilHealthy(bench, title, ended)]);
  return { ...details, seconds, sshConnections: (await countConnections(bench)) - before };
}

/** Seconds until the command has ended and the page, which it may have taken down, is healthy again. */
async function again(bench: Bench, title: string, command: () => Promise<unknown>): Promise<number> {
  await forget(bench);
  const began = Date.now();
  await command();
  await untilHealthy(bench, title);
  return since(began);
}

/** Cuts open connections of earlier commands, so that each starts like the first of the day. */
const forget = (bench: Bench) => cutConnections(bench.server);

/** Seconds until this title is served and healthy, or until the command has failed. */
async function untilHealthy(bench: Bench, title: string, command?: Promise<unknown>): Promise<number> {
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
