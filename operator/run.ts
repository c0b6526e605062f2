import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { NO_CONNECTION } from "../infra/model/ssh.ts";
import { OperatorError } from "./command.ts";
import { PROJECT } from "./stack.ts";

/** How a command ended and what it said. */
export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string;
  /** Streams that the operator sees while it runs; a shown standard output is not kept. */
  show?: ("stdout" | "stderr")[];
  /** Seconds. */
  timeout?: number;
  /** Is told the process id. */
  started?: (pid: number) => void;
}

// The programs that scripts/bootstrap installed come first.
const env = { PATH: [join(PROJECT, ".tools", "bin"), process.env.PATH ?? ""].join(delimiter) };
const said = (text: unknown) => (typeof text === "string" ? text : "");

/** A running command with open streams. */
export interface Running {
  stdin: Writable;
  stdout: Readable;
  /** Resolves to the exit status when the command ends. */
  ended: Promise<number>;
}

// Help and usage errors run nothing, and execa takes a third of a command's start.
const loadExeca = async () => (await import("execa")).execa;

/** Starts a command with open streams; the operator sees its standard error. */
export async function begin(command: string, args: string[]): Promise<Running> {
  const execa = await loadExeca();
  const child = execa(command, args, {
    ...{ cwd: PROJECT, env, reject: false, buffer: false },
    ...{ stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  });
  const ended = child.then(({ exitCode }) => exitCode ?? NO_CONNECTION);
  return { stdin: child.stdin, stdout: child.stdout, ended };
}

/** Runs a command to its end, successful or not. @throws OperatorError when there is no such program */
export async function run(command: string, args: string[], options: RunOptions = {}): Promise<CommandResult> {
  const { input = "", show = [], timeout, started } = options;
  const execa = await loadExeca();
  const child = execa(command, args, {
    ...{ cwd: PROJECT, env, input },
    stdout: show.includes("stdout") ? "inherit" : "pipe",
    stderr: show.includes("stderr") ? ["inherit", "pipe"] : "pipe",
    timeout: timeout && timeout * 1000,
    reject: false,
  });
  if (child.pid !== undefined) started?.(child.pid);
  const result = await child;
  if (result.code === "ENOENT") {
    throw new OperatorError(`There is no ${command} on this machine; install it with scripts/bootstrap.`);
  }
  const stderr = result.timedOut ? `no answer in ${timeout ?? 0} seconds` : said(result.stderr);
  // ssh is silent only when its output is no longer read; each other failure of its own has a message.
  const isUnread =
    result.signal === "SIGPIPE" ||
    (show.includes("stdout") && result.exitCode === NO_CONNECTION && stderr === "");
  const status = isUnread ? READER_LEFT : (result.exitCode ?? NO_CONNECTION);
  return { status, stdout: said(result.stdout), stderr };
}

/** The status of a command whose shown output is no longer read, as in `logs | head`; shells give it for SIGPIPE. */
export const READER_LEFT = 141;

/** The last line that is not empty, for an error message. */
export function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}
