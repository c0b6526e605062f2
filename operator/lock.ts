import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import timers from "node:timers/promises";
import { EXIT, OperatorError } from "./command.ts";
import { pulumi } from "./pulumi.ts";
import { readState } from "./release/state.ts";
import { lastLine, run } from "./run.ts";
import { projectName, type Stack } from "./stack.ts";

/** Seconds between two tries while another update has the stack. */
const LOCK_PAUSE = 3;

/** What has the stack. */
export interface Lock {
  /** The user, machine, process and time, as far as Pulumi tells. */
  holder: string;
  /** Whether that was a process of this machine that does not run any more. */
  dead: boolean;
}

/** Another update has the stack. The message names it and says what to do. */
export class LockedError extends OperatorError {
  readonly lock: Lock;

  constructor(lock: Lock) {
    const { holder, dead } = lock;
    super(
      dead
        ? `An earlier update was killed in the middle: ${holder} still holds the stack's lock and does not run any more; continue with: ./delivery deploy --recover`
        : `The stack is locked by ${holder}; wait for it, or, if it was killed, continue with: ./delivery deploy --recover`,
      EXIT.locked,
    );
    this.lock = lock;
  }
}

/** @param stderr what Pulumi said @throws LockedError when it refused because of a lock */
export function throwIfLocked(stderr: string): void {
  if (!/currently locked|another update is currently in progress/i.test(stderr)) return;
  const [, username, host = "", pid, timestamp = ""] =
    /created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)/.exec(stderr) ?? [];
  throw new LockedError(
    username === undefined
      ? UNKNOWN_HOLDER
      : describeLock({ username, hostname: host, pid: Number(pid), timestamp }),
  );
}

/** What is known of a lock on a backend that does not show its locks. */
const UNKNOWN_HOLDER: Lock = { holder: "another update", dead: false };

/** A lock as Pulumi writes it to a file. */
interface LockFile {
  username: string;
  hostname: string;
  pid: number;
  timestamp: string;
}

function describeLock({ username, hostname: host, pid, timestamp }: LockFile): Lock {
  const dead = host === hostname() && !isAlive(pid);
  return { holder: `${username}@${host} (process ${pid}, since ${timestamp})`, dead };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** @param directory of one stack's locks; it need not exist */
export function readLock(directory: string): Lock | undefined {
  const files = existsSync(directory) ? readdirSync(directory) : [];
  const file = files.find((name) => name.endsWith(".json"));
  if (file === undefined) return undefined;
  try {
    return describeLock(JSON.parse(readFileSync(join(directory, file), "utf8")) as LockFile);
  } catch (error) {
    // The update has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Where the backend keeps the stack's locks; undefined unless it is file://, as no other shows them. */
async function lockDirectory({ name }: Stack): Promise<string | undefined> {
  // What the environment names wins in Pulumi too, and needs no question.
  const { PULUMI_BACKEND_URL: named = "" } = process.env;
  const url = named === "" ? await backendUrl() : named;
  const [, path] = /^file:\/\/([^?]*)/.exec(url) ?? [];
  if (path === undefined) return undefined;
  const directory = path.replace(/^~(?=\/|$)/, homedir());
  return join(directory, ".pulumi", "locks", "organization", projectName(), name);
}

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
  const directory = await lockDirectory(stack);
  const lock = directory === undefined ? await impliedLock(stack) : readLock(directory);
  if (lock !== undefined) throw new LockedError(lock);
}

async function impliedLock(stack: Stack): Promise<Lock | undefined> {
  const { pending } = await readState(stack);
  return pending.length > 0 ? UNKNOWN_HOLDER : undefined;
}

/**
 * Repeats an action while it throws LockedError.
 *
 * @param wait seconds after which the error is final; that of a dead update is so at once
 */
export async function untilUnlocked<T>(wait: number, action: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + wait * 1000;
  let told = false;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof LockedError) || error.lock.dead || Date.now() >= deadline) throw error;
      if (!told) console.log(`waiting up to ${wait} s for ${error.lock.holder}`);
      told = true;
      await timers.setTimeout(LOCK_PAUSE * 1000);
    }
  }
}

/** Takes the stack from an update that was killed. */
export async function takeLock(stack: Stack): Promise<void> {
  const { status, stderr } = await pulumi(stack, ["cancel", "--yes"]);
  if (status !== 0) throw new OperatorError(`The stack's lock cannot be taken: ${lastLine(stderr)}`);
}
