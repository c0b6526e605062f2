import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { runCommand, type RunCommandOptions } from "../infra/model/run-command.ts";
import { NO_CONNECTION } from "../infra/model/ssh.ts";
import { OperatorError } from "./command.ts";
import { PROJECT } from "./stack.ts";

/** How a command ended and what it said. */
export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

export type RunOptions = Omit<RunCommandOptions, "cwd">;

// The programs that scripts/bootstrap installed come first.
const environment = { PATH: [join(PROJECT, ".tools", "bin"), process.env.PATH ?? ""].join(delimiter) };

/** A running command with open streams. */
export interface Running {
  stdin: Writable;
  stdout: Readable;
  /** Resolves to the exit status when the command ends. */
  ended: Promise<number>;
}

/** Starts a command with open streams; the operator sees its standard error. */
export function begin(command: string, args: string[]): Running {
  const env = { ...process.env, ...environment };
  const child = spawn(command, args, { cwd: PROJECT, env, stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<number>((resolve) => {
    child.on("error", () => {
      resolve(NO_CONNECTION);
    });
    child.on("close", (status) => {
      resolve(status ?? NO_CONNECTION);
    });
  });
  return { stdin: child.stdin, stdout: child.stdout, ended };
}

/** Runs a command to its end, successful or not. @throws OperatorError when there is no such program */
export async function run(command: string, args: string[], options: RunOptions = {}): Promise<CommandResult> {
  const { show = [], timeout, env } = options;
  const ran = await runCommand(command, args, {
    ...options,
    cwd: PROJECT,
    env: { ...environment, ...env },
  }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new OperatorError(`There is no ${command} on this machine; install it with scripts/bootstrap.`);
  });
  const stderr = ran.timedOut ? `no answer in ${timeout ?? 0} seconds` : ran.stderr;
  // ssh is silent only when its output is no longer read; each other failure of its own has a message.
  const isUnread =
    ran.signal === "SIGPIPE" || (show.includes("stdout") && ran.status === NO_CONNECTION && stderr === "");
  const status = isUnread ? READER_LEFT : (ran.status ?? NO_CONNECTION);
  return { status, stdout: ran.stdout, stderr };
}

/** The status of a command whose shown output is no longer read, as in `logs | head`; shells give it for SIGPIPE. */
export const READER_LEFT = 141;

/** The last line that is not empty, for an error message. */
export function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}
