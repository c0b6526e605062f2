import { readdirSync, readFileSync } from "node:fs";
import { execa } from "execa";
import type { Command } from "./flow.ts";

/** Milliseconds between two looks at the memory: each reads a file for every process of this machine. */
const LOOK = 200;
/** Seconds after which a command counts as stuck. */
const LIMIT = 600;
const PAGES_PER_MIB = 256;

/** How a command has ended. */
export interface Ended {
  status: number;
  output: string;
  seconds: number;
  /** The most memory that its processes had at once: on this machine, and those of its SSH sessions on the server. */
  memoryHere: number;
  memoryServer: number;
}

export interface Process {
  pid: number;
  parent: number;
  name: string;
  mib: number;
}

/** Runs a command to its end, whatever that is. @param server the server's first process */
export async function perform({ file, args, options }: Command, server: number): Promise<Ended> {
  const began = Date.now();
  const running = execa(file, args, { ...options, all: true, reject: false, timeout: LIMIT * 1000 });
  const memory = { here: 0, server: 0 };
  const look = () => {
    const all = readProcesses();
    memory.here = Math.max(memory.here, memoryBelow(all, [running.pid ?? -1]));
    memory.server = Math.max(memory.server, memoryBelow(all, daemons(all, server)));
  };
  const timer = setInterval(look, LOOK);
  const { exitCode = -1, all, shortMessage } = await running;
  clearInterval(timer);
  const output = typeof all === "string" ? all : (shortMessage ?? "");
  const seconds = (Date.now() - began) / 1000;
  return { status: exitCode, output, seconds, memoryHere: memory.here, memoryServer: memory.server };
}

/** Runs a command that must succeed; gives its standard output. */
export async function must({ file, args, options }: Command): Promise<string> {
  const { exitCode, all, stdout } = await execa(file, args, { ...options, all: true, reject: false });
  if (exitCode !== 0) throw new Error(`${file} ${args.slice(-2).join(" ")} failed:\n${String(all)}`);
  return String(stdout);
}

/** These processes and all below them. */
export function processesBelow(all: Process[], roots: number[]): Process[] {
  const below = new Set(roots);
  // A child may be listed before its parent, as numbers of processes start anew.
  for (let before = 0; before !== below.size;) {
    before = below.size;
    for (const { pid, parent } of all) if (below.has(parent)) below.add(pid);
  }
  return all.filter(({ pid }) => below.has(pid));
}

/** MiB of these processes and all below them; a page that several share counts for each. Those named sshd do not count. */
export const memoryBelow = (all: Process[], roots: number[]) =>
  processesBelow(all, roots).reduce((sum, { name, mib }) => sum + (name === "sshd" ? 0 : mib), 0);

/** The server's sshd, below which all sessions run. */
const daemons = (all: Process[], server: number) =>
  all.filter(({ parent, name }) => parent === server && name === "sshd").map(({ pid }) => pid);

export function readProcesses(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [parseProcess(readFileSync(`/proc/${pid}/stat`, "utf8"))];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
}

/** @param stat a line of /proc/PID/stat, whose second field may contain anything */
export function parseProcess(stat: string): Process {
  const [start, end] = [stat.indexOf("("), stat.lastIndexOf(")")];
  const fields = stat.slice(end + 2).split(" ");
  return {
    pid: Number.parseInt(stat, 10),
    name: stat.slice(start + 1, end),
    parent: Number(fields[1]),
    mib: Number(fields[21]) / PAGES_PER_MIB,
  };
}
