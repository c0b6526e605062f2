import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import timers from "node:timers/promises";
import { EXIT, OperatorError } from "./command.ts";
import { directoryOf, removeHalfWritten } from "./file-backend.ts";
import { describeLock, type Lock, type LockFile, UNKNOWN_HOLDER } from "./lock-holder.ts";
import { pulumi } from "./pulumi.ts";
import { readState } from "./release/state.ts";
import { lastLine, run } from "./run.ts";
import { projectName, type Stack } from "./stack.ts";

/** Seconds between two tries while another update has the stack. */
const LOCK_PAUSE = 3;
/** Pulumi fills a note of its state in place, within milliseconds: one that is empty at every try was left so. */
const HALF_WRITTEN = { tries: 3, pause: 1 } as const;

/** Another update has the stack. The message names it and says what to do. */
export class LockedError extends OperatorError {
  readonly lock: Lock;

  constructor(lock: Lock) {
    super(sentenceOf(lock), EXIT.locked);
    this.lock = lock;
  }
}

function sentenceOf({ holder, state }: Lock): string {
  switch (state) {
    case "running":
      return `The stack is locked by ${holder}, which still runs; wait for it.`;
    case "dead":
      return `An earlier update was killed in the middle: ${holder} still holds the stack's lock and does not run any more; continue with: ./delivery deploy --recover`;
    case "unknown":
      return `The stack is locked by ${holder}; wait for it, or, if it was killed, continue with: ./delivery deploy --recover`;
  }
}

/** Pulumi has met a half-written note of its state: another update writes it just now, or was killed while it did. */
export class HalfWrittenError extends OperatorError {
  constructor() {
    super(
      "An earlier update was killed in the middle, while it wrote the stack's state, which is whole; continue with: ./delivery deploy --recover",
      EXIT.locked,
    );
  }
}

/**
 * @param stderr what Pulumi said
 * @throws LockedError when it refused because of a lock; HalfWrittenError when it could not read a note of its state
 */
export function throwIfLocked(stderr: string): void {
  if (/failed to load checkpoint: EOF$/m.test(stderr)) throw new HalfWrittenError();
  if (!/currently locked|another update is currently in progress/i.test(stderr)) return;
  const [, url = "", username, host = "", pid, timestamp = ""] =
    /(\S*): created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)/.exec(stderr) ?? [];
  if (username === undefined) throw new LockedError(UNKNOWN_HOLDER);
  const lock = describeLock({ username, hostname: host, pid: Number(pid), timestamp });
  const [, path] = /^file:\/\/(\/[^?]*)$/.exec(url) ?? [];
  // An update gives its lock back before its process ends: one whose lock is gone was not killed.
  const hasEnded = lock.state === "dead" && path !== undefined && !existsSync(path);
  throw new LockedError(hasEnded ? { ...lock, state: "unknown" } : lock);
}

/** The lock in a directory, the one whose holder runs before any other. @param directory of one stack's locks; it need not exist */
export function readLock(directory: string): Lock | undefined {
  const files = existsSync(directory) ? readdirSync(directory) : [];
  const locks = files
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => readLockFile(join(directory, name)) ?? []);
  return locks.find(({ state }) => state === "running") ?? locks[0];
}

function readLockFile(path: string): Lock | undefined {
  try {
    const lock = describeLock(JSON.parse(readFileSync(path, "utf8")) as LockFile);
    // An update gives its lock back before its process ends.
    return lock.state === "dead" && !existsSync(path) ? undefined : lock;
  } catch (error) {
    // The update has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Where the backend keeps what it knows; undefined unless it is file://, as no other shows its locks. */
async function backendDirectory(): Promise<string | undefined> {
  // What the environment names wins in Pulumi too, and needs no question.
  const { PULUMI_BACKEND_URL: named = "" } = process.env;
  return directoryOf(named === "" ? await backendUrl() : named);
}

/** The stack's locks in it. */
const locksIn = (directory: string, { name }: Stack) =>
  join(directory, "locks", "organization", projectName(), name);

/** @throws OperatorError when the backend is out of reach */
async function backendUrl(): Promise<string> {
  const question = ["whoami", "--json", "--verbose", "--non-interactive"];
  const { status, stdout, stderr } = await run("pulumi", question);
  if (status !== 0) throw new OperatorError(`Pulumi's backend is out of reach: ${lastLine(stderr)}`);
  return (JSON.parse(stdout) as { url: string }).url;
}

/**
 * Makes sure that no update has the stack now. On file:// the lock is read; on another backend an operation that was
 * begun and not finished counts as one.
 *
 * @throws LockedError
 */
export async function assertUnlocked(stack: Stack): Promise<void> {
  const directory = await backendDirectory();
  const lock = directory === undefined ? await impliedLock(stack) : readLock(locksIn(directory, stack));
  if (lock !== undefined) throw new LockedError(lock);
}

async function impliedLock(stack: Stack): Promise<Lock | undefined> {
  const { pending } = await readState(stack);
  return pending.length > 0 ? UNKNOWN_HOLDER : undefined;
}

/**
 * Repeats an action while it throws LockedError, and some times where it throws HalfWrittenError.
 *
 * @param wait seconds after which the error is final; that of a dead update is so at once
 */
export async function untilUnlocked<T>(wait: number, action: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + wait * 1000;
  let told = false;
  let halfWritten = 0;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (error instanceof HalfWrittenError && ++halfWritten < HALF_WRITTEN.tries) {
        await timers.setTimeout(HALF_WRITTEN.pause * 1000);
        continue;
      }
      if (!(error instanceof LockedError) || error.lock.state === "dead" || Date.now() >= deadline)
        throw error;
      if (!told) console.log(`waiting up to ${wait} s for ${error.lock.holder}`);
      told = true;
      await timers.setTimeout(LOCK_PAUSE * 1000);
    }
  }
}

/**
 * Takes the stack from an update that was killed. One that cannot be seen from here is taken for killed, as the operator
 * says.
 *
 * @throws OperatorError when its process still runs on this machine
 */
export async function takeLock(stack: Stack): Promise<void> {
  const directory = await backendDirectory();
  const lock = directory === undefined ? undefined : readLock(locksIn(directory, stack));
  if (lock?.state === "running") {
    throw new OperatorError(
      `--recover takes the stack from an update that was killed, and ${lock.holder} still runs; wait for it.`,
      EXIT.locked,
    );
  }
  if (directory !== undefined) removeHalfWritten(directory, stack);
  const { status, stderr } = await pulumi(stack, ["cancel", "--yes"]);
  if (status !== 0) throw new OperatorError(`The stack's lock cannot be taken: ${lastLine(stderr)}`);
}
