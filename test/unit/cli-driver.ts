import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { VERBS } from "../../operator/verbs.ts";

export const ROOT = join(import.meta.dirname, "..", "..");
export const EXECUTABLE = join(ROOT, "delivery");
export const NAMES = Object.keys(VERBS);

/** Runs ./delivery as it is typed, without a terminal. */
export function delivery(args: string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const { cwd = ROOT, env = {} } = options;
  return spawnSync(EXECUTABLE, args, { cwd, encoding: "utf8", env: { ...process.env, ...env } });
}

/** Runs a shell's script in the project's directory. */
export function shell(name: string, args: string[], script: string) {
  const { status, stdout, stderr } = spawnSync(name, [...args, script], {
    ...{ cwd: ROOT, encoding: "utf8", timeout: 8000 },
  });
  return { status, lines: stdout.split("\n").filter(Boolean), stderr };
}
