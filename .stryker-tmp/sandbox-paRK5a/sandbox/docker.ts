// @ts-nocheck
import { execa, type Options, type Result } from "execa";

/** An error for the user, shown without a stack trace: one sentence with the cause and what to do. */
export class SandboxError extends Error {}

/**
 * Runs a command and returns its standard output without the last newline. If it fails, the error has the last lines of
 * its standard error.
 */
export async function run(command: string, args: string[], options: Options = {}): Promise<string> {
  return outcome([command, ...args], await execa(command, args, { ...options, reject: false }));
}

/** Runs `from | to` with data of any size; an error is that of the receiving command. */
export async function pipe(from: string[], to: string[]): Promise<string> {
  const [source = "", ...sourceArgs] = from;
  const [sink = "", ...sinkArgs] = to;
  const sending = execa(source, sourceArgs, { buffer: false, reject: false });
  return outcome(to, await sending.pipe(sink, sinkArgs, { reject: false }));
}

export const docker = (args: string[], options: Options = {}) => run("docker", args, options);

/** Whether a Docker command succeeds: for questions such as "does this image exist?". */
export const dockerSucceeds = (args: string[], options: Options = {}) =>
  docker(args, options).then(
    () => true,
    () => false,
  );

function outcome(command: string[], result: Result): string {
  if (!result.failed) return text(result.stdout);
  const cause = text(result.stderr).trim().split("\n").slice(-3).join(" ") || (result.shortMessage ?? "");
  throw new SandboxError(`${command.slice(0, 3).join(" ")} failed: ${cause}`);
}

/** Standard output is a string unless execa is asked for lines or bytes, which never happens here. */
const text = (output: unknown) => (typeof output === "string" ? output : "");
