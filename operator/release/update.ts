import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { refuseLock, untilUnlocked } from "../lock.ts";
import { pulumi } from "../pulumi.ts";
import { giveUpVolumes, readState, reconcile, type Wanted } from "./reconcile.ts";
import type { Server } from "../server.ts";
import { projectName, type Stack } from "../stack.ts";

/** How every command that updates a stack goes about it. */
export interface UpdateOptions {
  /** Seconds to wait while another update has the stack. */
  wait: number;
  /** Whether to take the stack from an update that was killed. */
  recover: boolean;
}

/** An update that is wanted. */
interface Change extends Wanted {
  /** The whole configuration file; the stack's own is not touched. */
  file: string;
  /** For the history. */
  message: string;
}

/** A stack's configuration file with other values, by dotted keys; comments, secrets and all other keys stay. */
export function withConfig(file: string, values: Record<string, unknown>): string {
  const document = parseDocument(file);
  for (const [key, value] of Object.entries(values)) {
    const [first = "", ...rest] = key.split(".");
    document.setIn(["config", `${projectName()}:${first}`, ...rest], value);
  }
  return document.toString({ lineWidth: 0 });
}

/**
 * Brings Pulumi's state and the server together, then both to that configuration; gives whether that succeeded.
 *
 * @param look at what must be known of the moment before the update: whoever waits for another one does not know it earlier
 */
export function apply(
  stack: Stack,
  server: Server,
  change: Change,
  wait: number,
  look?: () => Promise<void>,
): Promise<boolean> {
  return untilUnlocked(wait, async () => {
    const [extra] = await Promise.all([reconcile(stack, server, change), look?.()]);
    return update(stack, change, extra);
  });
}

/** The same without a look at the server: for one that was brought together a moment ago, and is being waited for. */
export function applyAtOnce(stack: Stack, change: Omit<Change, "refresh">): Promise<boolean> {
  return untilUnlocked(0, async () => {
    await giveUpVolumes(stack, await readState(stack), change.volume);
    return update(stack, change, []);
  });
}

/** Runs an update with that configuration; gives whether it succeeded. @throws Locked */
async function update(
  stack: Stack,
  { file, message }: Pick<Change, "file" | "message">,
  extra: string[],
): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), "update-"));
  try {
    const config = join(directory, stack.file);
    writeFileSync(config, file, { mode: 0o600 });
    const { status, stderr } = await pulumi(
      stack,
      ["up", "--yes", "--skip-preview", "--config-file", config, "--message", message, ...extra],
      { show: ["stdout"] },
    );
    refuseLock(stderr);
    if (stderr) console.error(stderr);
    return status === 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Whether the bot is healthy after an update; one with nothing to do runs no health check. */
export async function isWell(server: Server): Promise<boolean> {
  const { status, stderr } = await server.script("await-healthy.sh", {}, { words: ["bot"] });
  if (status !== 0) console.error(stderr);
  return status === 0;
}
