import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { execa } from "execa";
import { NO_CONNECTION } from "../infra/model/ssh.ts";
import { OperatorError } from "./command.ts";
import { PROJECT } from "./stack.ts";

/** How a command ended and what it said. */
export interface Answer {
  status: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string;
  /** What the operator sees while it runs; standard output that is shown is not kept. */
  show?: ("stdout" | "stderr")[];
  /** Seconds. */
  timeout?: number;
}

// What scripts/bootstrap has installed comes first.
const env = { PATH: [join(PROJECT, ".tools", "bin"), process.env.PATH ?? ""].join(delimiter) };
const said = (text: unknown) => (typeof text === "string" ? text : "");

/** A command that is talked to while it runs. */
export interface Running {
  stdin: Writable;
  stdout: Readable;
  /** Gives its exit status at its end. */
  ended: Promise<number>;
}

/** Starts a command to talk to; the operator sees its standard error. */
export function begin(command: string, args: string[]): Running {
  const child = execa(command, args, {
    ...{ cwd: PROJECT, env, reject: false, buffer: false },
    ...{ stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  });
  const ended = child.then(({ exitCode }) => exitCode ?? NO_CONNECTION);
  return { stdin: child.stdin, stdout: child.stdout, ended };
}

/** Runs a command to its end, whatever that is. */
export async function run(command: string, args: string[], options: RunOptions = {}): Promise<Answer> {
  const { input = "", show = [], timeout } = options;
  const result = await execa(command, args, {
    ...{ cwd: PROJECT, env, input },
    stdout: show.includes("stdout") ? "inherit" : "pipe",
    stderr: show.includes("stderr") ? ["inherit", "pipe"] : "pipe",
    timeout: timeout && timeout * 1000,
    reject: false,
  });
  if (result.code === "ENOENT") {
    throw new OperatorError(`There is no ${command} on this machine; install it with scripts/bootstrap.`);
  }
  const stderr = result.timedOut ? `no answer in ${timeout ?? 0} seconds` : said(result.stderr);
  return { status: result.exitCode ?? NO_CONNECTION, stdout: said(result.stdout), stderr };
}

/** The last line that says something, for a sentence. */
export function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}
