import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT, OperatorError } from "./command.ts";
import { pulumi } from "./pulumi.ts";
import { lastLine, run } from "./run.ts";
import { projectName, type Stack } from "./stack.ts";

/** Seconds between two tries while another update has the stack. */
const LOCK_PAUSE = 3;

/** Whoever holds the stack, as Pulumi names them. */
interface Lock {
  holder: string;
  /** Whether that was a process of this machine that is not there any more. */
  dead: boolean;
}

/** Who has the stack, if that is why Pulumi refused. */
export function findLock(stderr: string): Lock | undefined {
  if (!/currently locked|another update is currently in progress/i.test(stderr)) return undefined;
  const [, user, host, pid, since] = /created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)/.exec(stderr) ?? [];
  if (user === undefined) return { holder: "another update", dead: false };
  return describeLock(user, host ?? "", Number(pid), since ?? "");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** @throws OperatorError that names whoever has the stack */
export function refuseLocked({ holder, dead }: Lock): never {
  throw new OperatorError(
    dead
      ? `An earlier update was killed in the middle: ${holder} has the stack's lock and is not there any more; go on with: ./delivery deploy --recover`
      : `The stack is locked by ${holder}; wait for it, or, if it was killed, go on with: ./delivery deploy --recover`,
    EXIT.locked,
  );
}

/**
 * Who has the stack now; undefined where nobody has. Only a directory as the backend shows its locks; elsewhere an update
 * is known by what it has begun and not finished.
 */
export async function currentLock(stack: Stack): Promise<Lock | undefined> {
  const { status, stdout, stderr } = await run("pulumi", [
    "whoami",
    "--json",
    "--verbose",
    "--non-interactive",
  ]);
  if (status !== 0) throw new OperatorError(`Pulumi's backend is out of reach: ${lastLine(stderr)}`);
  const { url } = JSON.parse(stdout) as { url: string };
  if (!url.startsWith("file://")) {
    const exported = await pulumi(stack, ["stack", "export"]);
    const pending = exported.status === 0 && exported.stdout.includes('"pending_operations"');
    return pending ? { holder: "another update", dead: false } : undefined;
  }
  const directory = url.slice("file://".length).replace(/^~(?=\/|$)/, homedir());
  const locks = join(directory, ".pulumi", "locks", "organization", projectName(), stack.name);
  const [file] = existsSync(locks) ? readdirSync(locks) : [];
  if (file === undefined) return undefined;
  const lock = JSON.parse(readFileSync(join(locks, file), "utf8")) as Record<string, string | number>;
  const { username = "", hostname: host = "", pid = 0, timestamp = "" } = lock;
  return describeLock(String(username), String(host), Number(pid), String(timestamp));
}

function describeLock(user: string, host: string, pid: number, since: string): Lock {
  const dead = host === hostname() && !isAlive(pid);
  return { holder: `${user}@${host} (process ${pid}, since ${since})`, dead };
}

class Locked extends Error {
  readonly lock: Lock;

  constructor(lock: Lock) {
    super(lock.holder);
    this.lock = lock;
  }
}

/** @throws Locked when that is why Pulumi refused */
export function refuseLock(stderr: string): void {
  const lock = findLock(stderr);
  if (lock !== undefined) throw new Locked(lock);
}

/** Tries again while another update has the stack; refuses when it takes too long, or when that update is dead. */
export async function untilUnlocked<T>(wait: number, action: () => Promise<T>): Promise<T> {
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

/** Takes the stack from an update that was killed. */
export async function takeLock(stack: Stack): Promise<void> {
  const { status, stderr } = await pulumi(stack, ["cancel", "--yes"]);
  if (status !== 0) throw new OperatorError(`The stack's lock cannot be taken: ${lastLine(stderr)}`);
}
