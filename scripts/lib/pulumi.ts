import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir, hostname, userInfo } from "node:os";
import { join } from "node:path";
import { EXIT, OperatorError } from "./command";
import { type Answer, lastLine, run, type RunOptions } from "./run";
import { projectName, type Stack } from "./stack";

/** Runs Pulumi's command line on a stack. */
export function pulumi(stack: Stack, args: string[], options: RunOptions = {}): Promise<Answer> {
  return run("pulumi", [...args, "--stack", stack.name, "--non-interactive"], options);
}

/** One update as the stack's history keeps it. */
export interface Update {
  kind: string;
  succeeded: boolean;
  started: Date;
  seconds: number;
  /** What was done, and by whom. */
  message: string;
  commit?: string;
  /** The whole plain configuration of that update, keys without the project's name; secrets are not in it. */
  config: Record<string, unknown>;
}

interface HistoryEntry {
  kind: string;
  startTime: string;
  endTime?: string;
  message?: string;
  result: string;
  config?: Record<string, { value?: string; objectValue?: unknown; secret?: boolean }>;
}

/** More entries than anybody looks at; the command line asks for a number. */
const ALL = "10000";

/** Everything that was ever done to the stack, newest first. @throws OperatorError when the state is out of reach */
export async function readHistory(stack: Stack, timeout?: number): Promise<Update[]> {
  const { status, stdout, stderr } = await pulumi(stack, ["stack", "history", "--json", "--page-size", ALL], {
    timeout,
  });
  if (status !== 0) throw new OperatorError(`The stack's history cannot be read: ${lastLine(stderr)}`);
  return parseHistory(stdout, projectName());
}

/** @param json what `pulumi stack history --json` prints */
export function parseHistory(json: string, project: string): Update[] {
  return (JSON.parse(json) as HistoryEntry[]).map((entry) => {
    const { kind, startTime, endTime, message = "", result, config = {} } = entry;
    const plain = Object.entries(config)
      .filter(([key, { secret }]) => key.startsWith(`${project}:`) && !secret)
      .map(([key, { value, objectValue }]) => [key.slice(project.length + 1), objectValue ?? value]);
    const own = Object.fromEntries(plain) as Record<string, unknown>;
    const started = new Date(startTime);
    const seconds = Math.max(0, (Date.parse(endTime ?? startTime) - started.getTime()) / 1000);
    const commit = typeof own.commit === "string" ? own.commit : undefined;
    return { kind, succeeded: result === "succeeded", started, seconds, message, commit, config: own };
  });
}

/** Whoever holds the stack, as Pulumi names them. */
export interface Lock {
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
      ? `An earlier update was killed in the middle: ${holder} has the stack's lock and is not there any more; go on with: npm run deploy -- --recover`
      : `The stack is locked by ${holder}; wait for it, or, if it was killed, go on with: npm run deploy -- --recover`,
    EXIT.locked,
  );
}

/** The person or workflow at the keyboard, for the history. */
export function whoami(): string {
  return process.env.GITHUB_ACTOR ?? process.env.SUDO_USER ?? userInfo().username;
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
