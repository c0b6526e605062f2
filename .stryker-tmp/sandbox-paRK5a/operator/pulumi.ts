// @ts-nocheck
import { userInfo } from "node:os";
import { OperatorError } from "./command.ts";
import { type CommandResult, lastLine, run, type RunOptions } from "./run.ts";
import { projectName, type Stack } from "./stack.ts";

/** Runs Pulumi's command line on a stack. */
export function pulumi(stack: Stack, args: string[], options: RunOptions = {}): Promise<CommandResult> {
  return run("pulumi", [...args, "--stack", stack.name, "--non-interactive"], options);
}

/** One update as the stack's history keeps it. */
export interface Update {
  kind: string;
  succeeded: boolean;
  started: Date;
  seconds: number;
  /** What was done, and by whom. */
  message: string;
  commit?: string;
  /** The whole plain configuration of that update, keys without the project's name; secrets are not in it. */
  config: Record<string, unknown>;
}

interface HistoryEntry {
  kind: string;
  startTime: string;
  endTime?: string;
  message?: string;
  result: string;
  config?: Record<string, { value?: string; objectValue?: unknown; secret?: boolean }>;
}

/** More entries than anybody looks at; the command line asks for a number. */
const ALL = "10000";

/** Everything that was ever done to the stack, newest first. @throws OperatorError when the state is out of reach */
export async function readHistory(stack: Stack, timeout?: number): Promise<Update[]> {
  const { status, stdout, stderr } = await pulumi(stack, ["stack", "history", "--json", "--page-size", ALL], {
    timeout,
  });
  if (status !== 0) throw new OperatorError(`The stack's history cannot be read: ${lastLine(stderr)}`);
  return parseHistory(stdout, projectName());
}

/** @param json what `pulumi stack history --json` prints */
export function parseHistory(json: string, project: string): Update[] {
  return (JSON.parse(json) as HistoryEntry[]).map((entry) => {
    const { kind, startTime, endTime, message = "", result, config = {} } = entry;
    const plain = Object.entries(config)
      .filter(([key, { secret }]) => key.startsWith(`${project}:`) && !secret)
      .map(([key, { value, objectValue }]) => [key.slice(project.length + 1), objectValue ?? value]);
    const own = Object.fromEntries(plain) as Record<string, unknown>;
    const started = new Date(startTime);
    const seconds = Math.max(0, (Date.parse(endTime ?? startTime) - started.getTime()) / 1000);
    const commit = typeof own.commit === "string" ? own.commit : undefined;
    return { kind, succeeded: result === "succeeded", started, seconds, message, commit, config: own };
  });
}

/** The person or workflow at the keyboard, for the history. */
export function whoami(): string {
  return process.env.GITHUB_ACTOR ?? process.env.SUDO_USER ?? userInfo().username;
}
