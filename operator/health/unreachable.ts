import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { stackTags } from "../file-backend.ts";
import { pulumi } from "../pulumi.ts";
import type { Stack } from "../stack.ts";

/**
 * That the server does not answer, which it cannot remember itself: a tag of the stack, next to Pulumi's state, so that
 * every machine knows what another one has told. Pulumi keeps tags in a file of their own and takes no lock for them; an
 * update neither waits for them nor changes them. Where the state is out of reach, a file on this machine has to do.
 */

const TAG = "unreachable-since";
const FILE = ".ssh/unreachable.json";
/** Seconds that Pulumi gets. */
const SECONDS = 10;

/** Since when the server was told to be unreachable (ISO 8601); undefined where it was not. */
export async function recallUnreachable(stack: Stack): Promise<string | undefined> {
  const tags = stackTags(stack);
  if (tags !== undefined) return tags[TAG] ?? readLocal();
  const { status, stdout } = await askPulumi(stack, "get", TAG);
  return status === 0 ? stdout.trim() : readLocal();
}

/** @param since ISO 8601 */
export async function rememberUnreachable(stack: Stack, since: string): Promise<void> {
  if ((await askPulumi(stack, "set", TAG, since)).status === 0) return;
  mkdirSync(dirname(FILE), { recursive: true, mode: 0o700 });
  writeFileSync(FILE, JSON.stringify({ since }));
}

export async function forgetUnreachable(stack: Stack): Promise<void> {
  await askPulumi(stack, "rm", TAG);
  rmSync(FILE, { force: true });
}

function askPulumi(stack: Stack, ...words: string[]): Promise<{ status: number; stdout: string }> {
  return pulumi(stack, ["stack", "tag", ...words], { timeout: SECONDS }).catch(() => ({
    status: 1,
    stdout: "",
  }));
}

/** The file of this machine; an earlier version kept its failing checks in it. */
function readLocal(): string | undefined {
  try {
    const content = JSON.parse(readFileSync(FILE, "utf8")) as {
      since?: string;
      failing?: { server?: string };
    } | null;
    return content?.since ?? content?.failing?.server;
  } catch {
    return undefined;
  }
}
