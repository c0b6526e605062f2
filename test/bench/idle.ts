import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { serverExec } from "../../sandbox/server.ts";
import type { Bench, Commit } from "./bench.ts";
import { sleep, untilHealthy } from "./measure.ts";
import { processesBelow, readProcesses } from "./perform.ts";
import type { Idle } from "./results.ts";
import { median, rounded } from "./statistics.ts";

/** Seconds of each measurement: a multiple of the pause between two health checks. */
const SECONDS = 60;
/** Seconds after which a start, with its more frequent checks, is over. */
const SETTLE = 45;

const OFF = readFileSync(join(import.meta.dirname, "health-checks-off.sh"), "utf8");

/** What the server uses while nothing happens, in percent of a core: with the health checks, then without them. */
export async function measureIdle(bench: Bench, { title }: Commit, rounds: number): Promise<Idle> {
  const several = async () => {
    await untilHealthy(bench, title);
    await sleep(SETTLE * 1000);
    const shares: number[] = [];
    while (shares.length < rounds) shares.push(await coreShare(bench.pid));
    console.log(`  idle: ${shares.map((share) => share.toFixed(2)).join(", ")} % of a core`);
    return rounded(median(shares));
  };
  const on = await several();
  await serverExec(bench.server, ["bash", "-s"], { input: OFF });
  const off = await several();
  return { seconds: SECONDS, on, off };
}

async function coreShare(server: number): Promise<number> {
  const groups = outermost(processesBelow(readProcesses(), [server]).map(({ pid }) => groupOf(pid)));
  const used = () => groups.reduce((sum, group) => sum + cpuSeconds(group), 0);
  const [began, before] = [Date.now(), used()];
  await sleep(SECONDS * 1000);
  return (100_000 * (used() - before)) / (Date.now() - began);
}

/** The control group that counts a process's time: also that of the short ones that a health check starts in there. */
function groupOf(pid: number): string {
  const file = `/proc/${pid}/cgroup`;
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  const [first, second] = [/^\d+:(?:[^:]*,)?cpuacct(?:,[^:]*)?:(.*)$/, /^0::(.*)$/];
  const path = lines.map((line) => first.exec(line)?.[1]).find(Boolean);
  if (path !== undefined) return `/sys/fs/cgroup/cpuacct${path}`;
  return `/sys/fs/cgroup${lines.map((line) => second.exec(line)?.[1]).find(Boolean) ?? ""}`;
}

function cpuSeconds(group: string): number {
  const [nanoseconds, stat] = [`${group}/cpuacct.usage`, `${group}/cpu.stat`];
  if (existsSync(nanoseconds)) return Number(readFileSync(nanoseconds, "utf8")) / 1e9;
  return Number(/^usage_usec (\d+)$/m.exec(readFileSync(stat, "utf8"))?.[1]) / 1e6;
}

/** These groups without those inside another one, which counts them as well. */
export function outermost(groups: string[]): string[] {
  const all = [...new Set(groups)];
  return all.filter((group) => !all.some((other) => group.startsWith(`${other}/`)));
}
