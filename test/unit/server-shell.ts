import { execFile } from "node:child_process";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";

/** How bash ended, and what it said. */
export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs bash; gives its end. Without SHLVL it would take itself for a login over a network. */
export const bash = (args: string[], input: string, env: Record<string, string> = {}) =>
  new Promise<Ended>((resolve) => {
    const options = { env: { PATH: process.env.PATH, SHLVL: "1", ...env } };
    const child = execFile("bash", args, options, (_, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, stdout: stdout.trim(), stderr: stderr.trim() });
    });
    // What reads nothing may have ended before.
    child.stdin?.on("error", () => undefined).end(input);
  });

/** What lines of bash print where these files of the library are loaded; they must not fail. */
export async function withLibrary(
  libs: string[],
  script: string,
  env: Record<string, string> = {},
): Promise<string> {
  const sources = libs.map((lib) => `source ${SERVER_SCRIPTS}/lib/${lib}.sh`);
  const text = ["set -euo pipefail", ...sources, script].join("\n");
  const { status, stdout, stderr } = await bash(["-s"], text, env);
  if (status !== 0 || stderr !== "") throw new Error(`bash ended with ${status}: ${stderr}`);
  return stdout;
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Bash that fills an array of this name; a tab in a key or value is one. */
export const array = (name: string, values: Record<string, string | number>) =>
  `declare -A ${name}=(${Object.entries(values)
    .map(([key, value]) => `[${quoted(key)}]=${quoted(String(value))}`)
    .join(" ")})`;

/** Bash that fills a list of this name. */
export const list = (name: string, values: string[]) => `${name}=(${values.map(quoted).join(" ")})`;
