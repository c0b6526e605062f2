import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { userDirectory } from "./pulumi-home.ts";
import { hasSecret, projectName, type Stack } from "./stack.ts";

/**
 * What Pulumi keeps in the files of a `file://` backend, read directly: each question to its command line takes a quarter
 * of a second of processor time, and a release has four. Nothing is written here; what is not as Pulumi 3.260 leaves
 * it is left to the command line; test/e2e/operations.test.ts holds both against each other.
 */

/** One update as `pulumi stack history --json` prints it; only what is read is named. */
export interface HistoryEntry {
  kind: string;
  startTime: string;
  endTime?: string;
  message?: string;
  result: string;
  config?: Record<string, { value?: string; objectValue?: unknown; secret?: boolean }>;
}

/** The same as the file has it: seconds since 1970, and the configuration as it stands in the stack's file. */
interface StoredEntry extends Omit<HistoryEntry, "startTime" | "endTime" | "config"> {
  startTime: number;
  endTime?: number;
  config?: Record<string, unknown>;
}

/** Pulumi's directory in a backend of files. @param url as PULUMI_BACKEND_URL has it; undefined for any other backend */
export function directoryOf(url: string | undefined): string | undefined {
  const [, path] = /^file:\/\/([^?]*)/.exec(url ?? "") ?? [];
  return path === undefined ? undefined : join(path.replace(/^~(?=\/|$)/, userDirectory()), ".pulumi");
}

/** A path of the stack's in the backend that the environment names, where that is one of files. */
function pathOf(...parts: string[]): string | undefined {
  const directory = directoryOf(process.env.PULUMI_BACKEND_URL);
  return directory && join(directory, ...parts);
}

/** The deployment in a stack's state, as `pulumi stack export` writes it; undefined where the command line is to be asked. */
export function deploymentFile({ name }: Stack): unknown {
  const content = read(pathOf("stacks", projectName(), `${name}.json`)) as
    { checkpoint?: { latest?: unknown } } | undefined;
  return content?.checkpoint?.latest ?? undefined;
}

/** The newest entries of a stack's history, at most so many; undefined where the command line is to be asked. */
export function historyFiles(stack: Stack, size: number): HistoryEntry[] | undefined {
  const history = pathOf("history", projectName(), stack.name);
  // Without the stack there is no history either, and Pulumi says so best.
  if (history === undefined || deploymentFile(stack) === undefined) return undefined;
  if (!existsSync(history)) return [];
  const newest = readdirSync(history)
    .filter((name) => /\.history\.json(\.gz|\.zst)?$/.test(name))
    .sort()
    .reverse()
    .slice(0, size);
  const entries = newest.map((name) => read(join(history, name)) as StoredEntry | undefined);
  return entries.every((entry) => entry !== undefined) ? entries.map(entryOf) : undefined;
}

/** The stack's tags; undefined where the command line is to be asked. */
export function stackTags(stack: Stack): Record<string, string> | undefined {
  if (deploymentFile(stack) === undefined) return undefined;
  const content = read(pathOf("stacks", projectName(), `${stack.name}.pulumi-tags`)) as
    { tags?: Record<string, string> } | undefined;
  return content?.tags ?? {};
}

/**
 * Removes what an update that was killed at the wrong moment has left half-written, beside the stack's state: a note of that
 * file's type and checksum. Pulumi needs none, but fails with "EOF" where one is empty; the state it replaces in one step.
 *
 * @param directory Pulumi's in the backend
 */
export function removeHalfWritten(directory: string, { name }: Stack): void {
  const stacks = join(directory, "stacks", projectName());
  const files = existsSync(stacks) ? readdirSync(stacks) : [];
  const notes = files.filter((file) => file.startsWith(`${name}.`) && file.endsWith(".attrs"));
  for (const note of notes.map((file) => join(stacks, file))) {
    if (read(note) === undefined) rmSync(note, { force: true });
  }
}

/** What a file of JSON holds; undefined where there is none, or it is compressed. */
function read(path: string | undefined): unknown {
  if (path === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function entryOf({ startTime, endTime, config = {}, ...rest }: StoredEntry): HistoryEntry {
  const time = (seconds: number) => new Date(seconds * 1000).toISOString();
  return {
    ...rest,
    startTime: time(startTime),
    endTime: endTime === undefined ? undefined : time(endTime),
    config: Object.fromEntries(Object.entries(config).map(([key, value]) => [key, valueOf(value)])),
  };
}

/** A value with an encrypted part is secret as a whole. */
function valueOf(value: unknown): NonNullable<HistoryEntry["config"]>[string] {
  if (hasSecret(value)) return { secret: true };
  return typeof value === "object" && value !== null ? { objectValue: value } : { value: String(value) };
}
