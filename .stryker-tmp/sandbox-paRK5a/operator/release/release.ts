// @ts-nocheck
import { readFileSync, writeFileSync } from "node:fs";
import { dockerNames } from "../../infra/model/names.ts";
import { databaseVolume } from "../../infra/model/schema.ts";
import { OperatorError } from "../command.ts";
import { takeLock } from "../lock.ts";
import { whoami } from "../pulumi.ts";
import { Server } from "../server.ts";
import type { Stack } from "../stack.ts";
import { apply } from "./apply.ts";
import { isHealthy } from "./await-healthy.ts";
import { short } from "./history.ts";
import { readInventory } from "./inventory.ts";
import type { UpdateOptions } from "./options.ts";
import { outcome, type ReleaseConfig, releaseToPutBack } from "./outcome.ts";
import { withConfig } from "./update.ts";

/** What of a stack's configuration belongs to a release: its commit, and how that is run and reached. */
export const RELEASE_KEYS = ["commit", "app", "proxy"] as const;

/** Lines of the container's log that are shown of a release that failed. */
const LOG_LINES = 100;

/** A stack's configuration file with another release in it; comments, secrets and all other keys stay. */
export function withRelease(file: string, release: Record<string, unknown>): string {
  const keys = RELEASE_KEYS.filter((key) => release[key] !== undefined);
  return withConfig(file, Object.fromEntries(keys.map((key) => [key, release[key]])));
}

/**
 * Makes a release the one that runs. Where that fails, the previous one is put back by the same path.
 *
 * The stack's file is not touched before a release is healthy: until then its configuration is a copy.
 *
 * @throws OperatorError naming the commit that failed and what runs now
 */
export async function release(
  stack: Stack,
  {
    config,
    verb,
    refresh,
    wait,
    recover,
  }: UpdateOptions & {
    /** Its part of the configuration; further keys are ignored. */
    config: ReleaseConfig;
    /** The history's word for it, deploy or rollback. */
    verb: string;
    /** Whether to compare everything on the server first; else only missing, extra and stopped containers count. */
    refresh: boolean;
  },
): Promise<void> {
  const began = Date.now();
  const seconds = () => (Date.now() - began) / 1000;
  const server = new Server(stack);
  if (recover) await takeLock(stack);
  // An operator's Ctrl-C reaches Pulumi, which ends in good order; what follows then must still happen.
  process.on("SIGINT", () => undefined);

  /** Updates the stack to a release, and waits until that is healthy. */
  const attempt = async (to: ReleaseConfig, how: { word: string; refresh: boolean }) => {
    const change = {
      file: withRelease(readFileSync(stack.file, "utf8"), to),
      message: `${how.word} ${short(to.commit)}, by ${whoami()}`,
      ...{ commit: to.commit, volume: databaseVolume(stack.settings), refresh: how.refresh },
    };
    const { succeeded, previous } = await apply(stack, server, change, { wait });
    const healthy = succeeded && (await isHealthy(server));
    return { config: to, isHealthy: healthy, previous, seconds: seconds() };
  };

  const first = { verb, ...(await attempt(config, { word: verb, refresh })) };
  if (!first.isHealthy) await showLog(stack, server, config.commit);
  const good = releaseToPutBack(first);
  if (good !== undefined) console.log(`putting ${short(good.commit)} back`);
  const putBack = good && (await attempt(good, { word: "put back", refresh: true }));
  const { succeeded, message, live } = outcome(first, putBack);
  if (live !== undefined) writeFileSync(stack.file, withRelease(readFileSync(stack.file, "utf8"), live));
  if (!succeeded) throw new OperatorError(message);
  console.log(message);
}

/** Shows the end of the log of a release that failed, before its container is removed. */
async function showLog(stack: Stack, server: Server, commit: string): Promise<void> {
  const { bot } = dockerNames(stack.settings.name);
  try {
    const { containers } = await readInventory(server, commit);
    if (!containers.some((container) => container.commit === commit)) {
      console.log(`The release did not get as far as a container of ${short(commit)}.`);
      return;
    }
    console.log(`The last ${LOG_LINES} log lines of ${bot} at ${short(commit)}:`);
    const names = { CONTAINER: bot, LOG_LINES: String(LOG_LINES) };
    await server.script("show-logs.sh", names, { show: ["stdout"] });
  } catch (error) {
    // Putting the previous release back matters more than the reason.
    console.error(`The log cannot be shown: ${(error as Error).message}`);
  }
}
