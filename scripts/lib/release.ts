import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseDocument } from "yaml";
import { forgetServer, hasAnotherKey, type State } from "./another-server";
import { OperatorError } from "./command";
import { findLock, type Lock, pulumi, readHistory, refuseLocked, type Update, whoami } from "./pulumi";
import { lastLine } from "./run";
import { Server } from "./server";
import { projectName, type Stack } from "./stack";

/** What of a stack's configuration belongs to a release: its commit, and how that is run and reached. */
export const RELEASE_KEYS = ["commit", "app", "proxy"] as const;

/** Lines of the container's log that are shown of a release that failed. */
const LOG_LINES = "100";
/** Seconds between two tries while another update has the stack. */
const LOCK_PAUSE = 3;
/** Seconds within which a running bot must be well; a release has waited longer before. */
const HEALTHY_SECONDS = "60";

interface ReleaseOptions {
  /** Seconds to wait while another update has the stack. */
  wait: number;
  /** Whether to take the stack from an update that was killed. */
  recover: boolean;
  /** Whether to look at everything on the server first; else only at which containers are there and run. */
  refresh: boolean;
}

export const short = (commit: string) => commit.slice(0, 7);

/** The successful updates with a commit, newest first: what has been live. */
function releases(history: Update[]): (Update & { commit: string })[] {
  return history.filter(
    (update): update is Update & { commit: string } =>
      update.kind === "update" && update.succeeded && update.commit !== undefined,
  );
}

/** A stack's configuration file with another release in it; comments, secrets and all other keys stay. */
export function withRelease(file: string, project: string, release: Record<string, unknown>): string {
  const document = parseDocument(file);
  for (const key of RELEASE_KEYS) {
    if (release[key] !== undefined) document.setIn(["config", `${project}:${key}`], release[key]);
  }
  return document.toString({ lineWidth: 0 });
}

/**
 * Makes a release the one that runs. Where that fails, the last good one is put back by the same path.
 *
 * The stack's file is not touched before the release has succeeded: until then its configuration is a copy.
 *
 * @param wanted `commit`, and what else of the configuration belongs to that release
 * @param what the word for the history: deploy or rollback
 * @throws OperatorError naming the commit that failed and what runs now
 */
export async function release(
  stack: Stack,
  wanted: Record<string, unknown> & { commit: string },
  what: string,
  options: ReleaseOptions,
): Promise<void> {
  const began = Date.now();
  const seconds = () => ((Date.now() - began) / 1000).toFixed(1);
  const server = new Server(stack);
  const project = projectName();
  if (options.recover) await takeLock(stack);
  const lastGood = releases(await readHistory(stack))[0];
  // An operator's Ctrl-C reaches Pulumi, which ends in good order; what follows then must still happen.
  process.on("SIGINT", () => undefined);

  const apply = async (
    config: Record<string, unknown> & { commit: string },
    word: string,
    refresh: boolean,
  ) => {
    const file = withRelease(readFileSync(stack.file, "utf8"), project, config);
    return untilUnlocked(options.wait, async () => {
      const extra = await reconcile(stack, server, config.commit, refresh);
      return update(stack, file, `${word} ${short(config.commit)}, by ${whoami()}`, extra);
    });
  };
  const live = (config: Record<string, unknown>) => {
    writeFileSync(stack.file, withRelease(readFileSync(stack.file, "utf8"), project, config));
  };

  const { commit } = wanted;
  if ((await apply(wanted, what, options.refresh)) && (await isWell(stack, server))) {
    live(wanted);
    const before = lastGood === undefined ? "" : ` (before: ${short(lastGood.commit)})`;
    console.log(`${what}: ${short(commit)} is live${before}, ${seconds()} s`);
    return;
  }

  await showLog(stack, server, commit);
  const failed = `The ${what} of ${commit} failed after ${seconds()} s`;
  if (lastGood === undefined) throw new OperatorError(`${failed}; there is no earlier release to put back.`);
  console.log(`putting ${short(lastGood.commit)} back`);
  const { commit: good, config } = lastGood;
  if (!(await apply({ ...config, commit: good }, "put back", true)) || !(await isWell(stack, server))) {
    throw new OperatorError(
      `${failed}, and ${good} could not be put back either; see above and npm run health.`,
    );
  }
  live({ ...config, commit: good });
  throw new OperatorError(`${failed}; ${good} is back, ${seconds()} s after the command.`);
}

/** Runs an update with that configuration; gives whether it succeeded. @throws Locked */
async function update(stack: Stack, file: string, message: string, extra: string[]): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), "release-"));
  try {
    const config = join(directory, stack.file);
    writeFileSync(config, file, { mode: 0o600 });
    const { status, stderr } = await pulumi(
      stack,
      ["up", "--yes", "--skip-preview", "--config-file", config, "--message", message, ...extra],
      { show: ["stdout"] },
    );
    const lock = findLock(stderr);
    if (lock !== undefined) throw new Locked(lock);
    if (stderr) console.error(stderr);
    return status === 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

class Locked extends Error {
  constructor(readonly lock: Lock) {
    super(lock.holder);
  }
}

/** Tries again while another update has the stack; refuses when it takes too long, or when that update is dead. */
async function untilUnlocked<T>(wait: number, action: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + wait * 1000;
  let told = false;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof Locked)) throw error;
      if (error.lock.dead || Date.now() > deadline) refuseLocked(error.lock);
      if (!told) console.log(`waiting up to ${wait} s for ${error.lock.holder}`);
      told = true;
      await sleep(LOCK_PAUSE * 1000);
    }
  }
}

async function takeLock(stack: Stack): Promise<void> {
  const { status, stderr } = await pulumi(stack, ["cancel", "--yes"]);
  if (status !== 0) throw new OperatorError(`The stack's lock cannot be taken: ${lastLine(stderr)}`);
}

const CONTAINER = "docker:index/container:Container";

/**
 * Brings Pulumi's state and the server together where an update was killed, or somebody has removed something by hand;
 * Pulumi alone would trip over it. Gives further arguments for the update.
 */
async function reconcile(stack: Stack, server: Server, commit: string, refresh: boolean): Promise<string[]> {
  const { name } = stack.settings;
  const names = [name, `${name}_db`, `${name}_proxy`];
  const listing = server.ask("list-containers.sh", [`${name}:${commit}`, ...names]);
  const [exported, listed] = await Promise.all([readState(stack), listing]);
  let state = exported;
  const lines = listed.split("\n").map((line) => line.split(" "));
  const present = lines
    .filter(([what]) => what === "container")
    .map(([, name, id, status, revision]) => ({ name, id, status, revision }));
  const known = () => containersOf(state).map(({ id }) => id);
  const unknown = () => present.filter(({ id }) => !known().includes(id));
  const pending = state.deployment.pending_operations ?? [];
  const gone = containersOf(state).filter(({ id }) => !present.some((container) => container.id === id));

  if (
    gone.length > 0 &&
    gone.length === known().length &&
    hasAnotherKey(state, stack.settings.server.hostKey)
  ) {
    console.log(
      `This is another server than that of the last update, and nothing of the stack is on it: everything is made anew here. What is on the old one stays there.`,
    );
    await forgetServer(stack, state);
    return [];
  }
  if (pending.length > 0 || gone.length > 0 || (unknown().length > 0 && known().length > 0)) {
    const what = [
      ...pending.map(({ type, resource }) => `an earlier update ended while ${type} ${nameOf(resource.urn)}`),
      ...gone.map(({ urn }) => `${nameOf(urn)} is gone from the server`),
      ...unknown().map(({ name = "" }) => `the container ${name} is left over`),
    ];
    console.log(`Pulumi's state and the server differ: ${what.join("; ")}. Bringing them together.`);
    // Takes the lock: whatever looks left over is no other update's work in progress.
    const command = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates"];
    const { status, stdout, stderr } = await pulumi(stack, command);
    const lock = findLock(stderr);
    if (lock !== undefined) throw new Locked(lock);
    if (status !== 0)
      throw new OperatorError(`The state could not be refreshed: ${lastLine(stderr || stdout)}`);
    state = await readState(stack);
  }
  for (const { name = "", id = "", revision } of unknown()) {
    // Only what this stack made: the bot carries its label, others were being created when an update was killed.
    if (revision === "-" && pending.length === 0) {
      throw new OperatorError(
        `The server has a container ${name} that this stack did not make; remove or rename it there, then deploy again.`,
      );
    }
    await server.command(["docker", "stop", id]);
    await server.command(["docker", "rm", "--force", id]);
  }
  // An image that Pulumi believes to be there and that somebody has removed must be built again.
  const built = state.deployment.resources?.find(
    ({ urn, inputs }) => nameOf(urn) === "release-image" && String(inputs?.create).includes(commit),
  );
  const image = lines.some(([what]) => what === "image");
  // What was stopped by hand is mended too, which takes Pulumi's own look at the server.
  const stopped = present.some(({ status }) => status !== "running");
  return [
    ...(refresh || stopped ? ["--refresh"] : []),
    ...(built !== undefined && !image ? ["--replace", built.urn] : []),
  ];
}

async function readState(stack: Stack): Promise<State> {
  const { status, stdout, stderr } = await pulumi(stack, ["stack", "export"]);
  if (status !== 0) throw new OperatorError(`The stack's state cannot be read: ${lastLine(stderr)}`);
  return JSON.parse(stdout) as State;
}

const containersOf = ({ deployment }: State) =>
  (deployment.resources ?? []).filter(({ type, id }) => type === CONTAINER && id);
const nameOf = (urn: string) => urn.slice(urn.lastIndexOf("::") + 2);

/** Whether the bot is well after an update; one with nothing to do has not looked. */
async function isWell(stack: Stack, server: Server): Promise<boolean> {
  const { name, app, server: at } = stack.settings;
  const page = `${app.port}${app.healthPath}`;
  const script = `${at.deployPath}/bin/await-healthy.sh`;
  const { status, stderr } = await server.command([script, name, HEALTHY_SECONDS, `${name}_proxy`, page]);
  if (status !== 0) console.error(stderr);
  return status === 0;
}

/** The last words of a release that failed, before its container is taken away. */
async function showLog(stack: Stack, server: Server, commit: string): Promise<void> {
  const { name } = stack.settings;
  try {
    const listed = await server.ask("list-containers.sh", [`${name}:${commit}`, name]);
    if (!listed.split("\n").some((line) => line.startsWith("container ") && line.endsWith(commit))) {
      console.log(`The release did not get as far as a container of ${short(commit)}.`);
      return;
    }
    console.log(`The last ${LOG_LINES} log lines of ${name} at ${short(commit)}:`);
    await server.script("show-logs.sh", [name, LOG_LINES], { show: ["stdout"] });
  } catch (error) {
    // Whatever the matter is, the last good release matters more.
    console.error(`The log cannot be shown: ${(error as Error).message}`);
  }
}

/**
 * The release to roll back to: the newest successful one of another commit than that which runs, or of the commit whose
 * hash begins so. Where there is none: a sentence that says why, and what there is.
 */
export function chooseRollback(history: Update[], wanted?: string): (Update & { commit: string }) | string {
  const live = releases(history);
  const commits = [...new Set(live.map(({ commit }) => commit))];
  const [running] = commits;
  if (running === undefined) return "Nothing has been released yet, so there is nothing to roll back to.";
  const list = commits.map((commit) => `\n  ${commit}${commit === running ? " (runs now)" : ""}`).join("");
  if (wanted === undefined) {
    const earlier = live.find(({ commit }) => commit !== running);
    return (
      earlier ?? `${running} is the only commit that was ever released; there is nothing to roll back to.`
    );
  }
  const matching = commits.filter((commit) => /^[0-9a-f]{4,40}$/.test(wanted) && commit.startsWith(wanted));
  if (matching.length > 1)
    return `${wanted} is the beginning of several commits; name more digits. There are:${list}`;
  const found = live.find(({ commit }) => commit === matching[0]);
  return found ?? `No release of ${wanted} is known. What can be rolled back to:${list}`;
}
