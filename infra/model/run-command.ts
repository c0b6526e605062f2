import { spawn, type StdioOptions } from "node:child_process";

/**
 * Runs a program without a shell. Node's own module, because a library for it took a third of a command's start, and of
 * the program's, too.
 */

export interface RunCommandOptions {
  cwd?: string;
  /** Added to this process's environment. */
  env?: Record<string, string>;
  input?: string;
  /** What follows the input, once it is known; it must not fail. */
  more?: Promise<string>;
  /** Streams that are shown as they come; a shown standard output is not kept. */
  show?: ("stdout" | "stderr")[];
  /** Seconds after which it is ended. */
  timeout?: number;
  /** Ends it, and then it has no answer any more. */
  signal?: AbortSignal;
  /** Is told the process id. */
  started?: (pid: number) => void;
}

/** How a program ended and what it said, each stream without its last line end. */
export interface Ran {
  /** Undefined where a signal has ended it. */
  status?: number;
  signal?: NodeJS.Signals;
  timedOut: boolean;
  stdout: string;
  stderr: string;
}

/** Signals of a runner that is stopped: the program ends in good order, and what follows here still happens. */
const PASSED_ON = ["SIGTERM", "SIGHUP"] as const;

/** Runs a program to its end, successful or not. @throws NodeJS.ErrnoException when it cannot be started */
export function runCommand(command: string, args: string[], options: RunCommandOptions = {}): Promise<Ran> {
  const { cwd, env, input = "", more, show = [], timeout, signal } = options;
  const stdio: StdioOptions = ["pipe", show.includes("stdout") ? "inherit" : "pipe", "pipe"];
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio, signal });
  // What it has begun itself, such as ssh's kept connection, may have its streams for longer: this process need not wait.
  signal?.addEventListener("abort", () => {
    for (const stream of [child.stdout, child.stderr]) stream?.destroy();
  });
  if (child.pid !== undefined) options.started?.(child.pid);
  const kept = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (text: string) => {
      kept[stream] += text;
      if (show.includes(stream)) process[stream].write(text);
    });
  }
  // A program that ends before it has read everything says so by its status.
  const stdin = child.stdin?.on("error", () => undefined);
  if (more === undefined) stdin?.end(input);
  else stdin?.write(input);
  void more?.then((rest) => stdin?.end(rest));

  let timedOut = false;
  const timer = timeout && setTimeout(() => (timedOut = child.kill()), timeout * 1000);
  const passOn = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of PASSED_ON) process.on(signal, passOn);
  return new Promise<Ran>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => {
      const [stdout, stderr] = [kept.stdout, kept.stderr].map(withoutLineEnd) as [string, string];
      resolve({ status: status ?? undefined, signal: signal ?? undefined, timedOut, stdout, stderr });
    });
  }).finally(() => {
    clearTimeout(timer);
    for (const signal of PASSED_ON) process.off(signal, passOn);
  });
}

const withoutLineEnd = (text: string) => text.replace(/\r?\n$/, "");
