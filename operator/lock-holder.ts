import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename } from "node:path";
import { messageOf } from "./pulumi.ts";
import { notedUpdate } from "./update-notes.ts";

/** A lock as Pulumi writes it to a file. */
export interface LockFile {
  username: string;
  hostname: string;
  pid: number;
  timestamp: string;
}

/** What has the stack. */
export interface Lock {
  /** The user, machine, process and time, and what it is doing, as far as that can be known. */
  holder: string;
  /** What has become of the process: `running` and `dead` are certain, as it is one of this machine. */
  state: "running" | "dead" | "unknown";
}

/** What is known of a lock on a backend that does not show its locks. */
export const UNKNOWN_HOLDER: Lock = {
  holder: "another update (by whom, of what and since when, this backend does not tell)",
  state: "unknown",
};

/** A process of this machine. What the system does not tell of it is left out. */
export interface Process {
  /** The program and its arguments. */
  command?: string[];
  /** When it began, Unix time in seconds. */
  began?: number;
}

/** Ticks a second in /proc, on every Linux. */
const TICKS = 100;
/** Fields of /proc/PID/stat, counted after the program's name: the state, and the time at which the process began. */
const STATE = 0;
const START = 19;
/** Seconds by which a process may seem to have begun after it took its lock: the clock may have been set meanwhile. */
const CLOCK_SET = 60;

/** The process of this machine with that id; undefined where there is none, or none that can do anything. */
export function findProcess(pid: number): Process | undefined {
  if (!exists(pid)) return undefined;
  const stat = read(`/proc/${pid}/stat`);
  // The program's name may have spaces and parentheses in it.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  // In a container whose first process asks for no other's end, a killed one stays as a zombie.
  if (fields?.[STATE] === "Z") return undefined;
  const booted = Number(/^btime (\d+)$/m.exec(read("/proc/stat") ?? "")?.[1]);
  const began = booted + Number(fields?.[START]) / TICKS;
  const command = read(`/proc/${pid}/cmdline`)?.split("\0").slice(0, -1);
  return { command, began: Number.isFinite(began) ? began : undefined };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/**
 * @param find gives the process of this machine with an id
 * @param noted gives what the process of this machine was doing that took a lock at a time
 */
export function describeLock(lock: LockFile, find = findProcess, noted = notedUpdate): Lock {
  const { username, hostname: host, pid, timestamp } = lock;
  const isHere = host === hostname();
  const found = isHere ? find(pid) : undefined;
  const holder = found !== undefined && isHolder(found, timestamp) ? found : undefined;
  const seen = holder && whatIsDone(holder.command ?? []);
  const doing = seen ?? (isHere ? noted(pid, timestamp) : undefined);
  const words = doing ?? "what it is doing is not known here";
  return {
    holder: `${username}@${host} (${words}; process ${pid}, since ${inWords(timestamp)})`,
    state: !isHere ? "unknown" : holder === undefined ? "dead" : "running",
  };
}

/**
 * Whether a process can be the one that took a lock: after a reboot, another one may have its id. Where that is not
 * certain, it is: a lock must not be taken from an update that runs.
 */
function isHolder({ command = [], began }: Process, since: string): boolean {
  if (isPulumi(command) || began === undefined) return true;
  return !(began > Date.parse(since) / 1000 + CLOCK_SET);
}

/** What a command of Pulumi's is doing, in the words of the history: `deploy 4f2c91e, by ann`. */
function whatIsDone(command: string[]): string | undefined {
  const message = messageOf(command);
  if (message !== undefined) return message;
  const verb = command.slice(1).find((word) => /^[a-z]+$/.test(word));
  return isPulumi(command) && verb !== undefined ? `pulumi ${verb}` : undefined;
}

const isPulumi = ([program = ""]: string[]) => basename(program) === "pulumi";

/** A time as Pulumi writes it, for people. */
function inWords(timestamp: string): string {
  const time = new Date(timestamp);
  if (Number.isNaN(time.getTime())) return timestamp;
  return `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
