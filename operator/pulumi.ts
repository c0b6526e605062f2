import { userInfo } from "node:os";
import { OperatorError } from "./command.ts";
import { type HistoryEntry, historyFiles } from "./file-backend.ts";
import { type CommandResult, lastLine, run, type RunOptions } from "./run.ts";
import { homeWithoutLog } from "./pulumi-home.ts";
import { projectName, type Stack } from "./stack.ts";
import { noteUpdate } from "./update-notes.ts";

/** Pulumi would download a plugin that is missing, unchecked: scripts/bootstrap installs them all. */
const NO_DOWNLOADS = { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" };

/** Runs Pulumi's command line on a stack. */
export function pulumi(stack: Stack, args: string[], options: RunOptions = {}): Promise<CommandResult> {
  const message = messageOf(args);
  const started = (pid: number) => {
    if (message !== undefined) noteUpdate(pid, message);
  };
  // With a key of the stack's own, no plugin has to ask an ssh-agent, which may have ended: that would be an error to some.
  const agent: Record<string, string> = stack.deployKey === undefined ? {} : { SSH_AUTH_SOCK: "" };
  const env = { ...homeWithoutLog(), ...NO_DOWNLOADS, ...agent, ...options.env };
  return run("pulumi", [...args, "--stack", stack.name, "--non-interactive"], { started, ...options, env });
}

/** Seconds that Pulumi gets to decrypt one value. */
const SECRET_SECONDS = 10;

/** A secret of the configuration, by its path; undefined where Pulumi's state or the passphrase is out of reach. */
export async function readSecret(stack: Stack, path: string): Promise<string | undefined> {
  const question = ["config", "get", path, "--path"];
  const answer = await pulumi(stack, question, { timeout: SECRET_SECONDS }).catch(() => undefined);
  return answer?.status === 0 ? answer.stdout.trim() : undefined;
}

/** What the history is to say of a command. */
export function messageOf(args: string[]): string | undefined {
  return args.includes("--message") ? args[args.indexOf("--message") + 1] : undefined;
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

/** More entries than a stack has; the command line asks for a number. */
const ALL = 10_000;

/** Everything that was ever done to the stack, newest first. @throws OperatorError when the state is out of reach */
export function readHistory(stack: Stack): Promise<Update[]> {
  return readPage(stack, ALL);
}

/**
 * The newest updates, at most so many: without previews, refreshes and the like. Pulumi reads a file of the state for
 * each entry, which takes seconds for a long history in a bucket.
 *
 * @throws OperatorError when the state is out of reach
 */
export async function newestUpdates(stack: Stack, count: number, timeout?: number): Promise<Update[]> {
  return pickUpdates(count, (size) => readPage(stack, size, timeout));
}

/** Reads more and more of a history until it has enough updates. @param read gives so many of the newest entries */
export async function pickUpdates(
  count: number,
  read: (size: number) => Promise<Update[]>,
): Promise<Update[]> {
  for (let size = 2 * count + 1; ; size = ALL) {
    const entries = await read(size);
    const updates = entries.filter(({ kind }) => kind === "update");
    if (updates.length >= count || entries.length < size) return updates.slice(0, count);
  }
}

async function readPage(stack: Stack, size: number, timeout?: number): Promise<Update[]> {
  const entries = historyFiles(stack, size) ?? (await askForHistory(stack, size, timeout));
  return parseHistory(entries, projectName());
}

async function askForHistory(stack: Stack, size: number, timeout?: number): Promise<HistoryEntry[]> {
  const question = ["stack", "history", "--json", "--page-size", String(size)];
  const { status, stdout, stderr } = await pulumi(stack, question, { timeout });
  if (status !== 0) throw new OperatorError(`The stack's history cannot be read: ${lastLine(stderr)}`);
  return JSON.parse(stdout) as HistoryEntry[];
}

/** @param entries what `pulumi stack history --json` prints */
export function parseHistory(entries: HistoryEntry[], project: string): Update[] {
  return entries.map((entry) => {
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
