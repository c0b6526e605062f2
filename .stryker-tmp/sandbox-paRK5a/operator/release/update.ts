// @ts-nocheck
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { throwIfLocked } from "../lock.ts";
import { pulumi } from "../pulumi.ts";
import { projectName, type Stack } from "../stack.ts";

/** What an update brings the stack to. */
export interface UpdateTarget {
  /** The whole configuration file. The stack's own is not touched. */
  file: string;
  /** What the history says of it. */
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
 * Runs `pulumi up` with a copy of the configuration; gives whether it succeeded.
 *
 * @param flags further arguments of `pulumi up`
 * @throws LockedError when another update has the stack
 */
export async function update(
  stack: Stack,
  { file, message }: UpdateTarget,
  flags: string[],
): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), "update-"));
  try {
    const config = join(directory, stack.file);
    writeFileSync(config, file, { mode: 0o600 });
    const { status, stderr } = await pulumi(
      stack,
      ["up", "--yes", "--skip-preview", "--config-file", config, "--message", message, ...flags],
      { show: ["stdout"] },
    );
    throwIfLocked(stderr);
    if (stderr) console.error(stderr);
    return status === 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
