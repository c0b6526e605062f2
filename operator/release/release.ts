import { readFileSync, writeFileSync } from "node:fs";
import { databaseVolume } from "../../infra/model/schema.ts";
import { OperatorError } from "../command.ts";
import { takeLock } from "../lock.ts";
import { readHistory, whoami } from "../pulumi.ts";
import { Server } from "../server.ts";
import type { Stack } from "../stack.ts";
import { apply } from "./apply.ts";
import type { ApplyOptions } from "./attempt.ts";
import { followServer } from "./carry-out.ts";
import { isHealthy } from "./await-healthy.ts";
import { liveReleases, short } from "./history.ts";
import { backUpBefore } from "./backup.ts";
import { buildImage } from "./image.ts";
import type { ReleaseOptions } from "./options.ts";
import { detailsOf, outcome, type ReleaseConfig, releaseToPutBack } from "./outcome.ts";
import { Timings } from "./timings.ts";
import { withConfig } from "./update.ts";

/** What of a stack's configuration belongs to a release: its commit, and how that is run and reached. */
export const RELEASE_KEYS = ["commit", "app", "proxy"] as const;

/** A stack's configuration file with another release in it; comments, secrets and all other keys stay. */
export function withRelease(file: string, release: Record<string, unknown>): string {
  const keys = RELEASE_KEYS.filter((key) => release[key] !== undefined);
  return withConfig(file, Object.fromEntries(keys.map((key) => [key, release[key]])));
}

/** Whether the server has said how a swap went well (scripts/server/swap-bot.sh). */
const hasGoodVerdict = (notes: string[]) => notes.some((note) => /^requests were held for /m.test(note));

/**
 * Makes a release the one that runs. Where that fails, the previous one runs on, or the server has put it back; the stack
 * then follows by the same path.
 *
 * The stack's file is not touched before a release is healthy: until then its configuration is a copy.
 *
 * @param config the release's part of the configuration; further keys are ignored
 * @param verb the history's word for it, deploy or rollback
 * @param backup whether the database is backed up before, where the release puts data at risk
 * @param objection asked while the update has the lock: why it is not what is wanted any more, if so
 * @throws OperatorError naming the commit that failed, why, and what runs now
 */
export async function release(
  stack: Stack,
  {
    config,
    verb,
    backup: isBackedUp = false,
    objection,
    wait,
    recover,
    verbose,
    timings: shown,
    newServer,
  }: ReleaseOptions & {
    config: ReleaseConfig;
    verb: string;
    backup?: boolean;
    objection?: () => Promise<string | undefined>;
  },
): Promise<void> {
  const timings = new Timings();
  const server = new Server(stack);
  if (recover) await takeLock(stack);
  // An operator's Ctrl-C reaches Pulumi, which ends in good order; what follows then must still happen.
  process.on("SIGINT", () => undefined);

  /** Updates the stack to a release, and waits until that is healthy. */
  const attempt = async (
    to: ReleaseConfig,
    word: string,
    more: Pick<ApplyOptions, "objection" | "backup"> = {},
  ) => {
    const change = {
      file: withRelease(readFileSync(stack.file, "utf8"), to),
      message: `${word} ${short(to.commit)}, by ${whoami()}`,
      ...{ commit: to.commit, volume: databaseVolume(stack.settings), refresh: false },
    };
    const image = buildImage(stack, server, to.commit);
    // A failure is reported by the update, which waits for the image.
    image.then(timings.marking("image"), () => undefined);
    const { succeeded, changed, notes, errors } = await apply(stack, server, change, {
      ...{ wait, verbose, newServer, image, ...more },
      ...{ onLocked: timings.marking("lock"), onStage: timings.mark },
    });
    timings.mark("updated");
    // The verdict of a swap that has just ended needs no second opinion.
    const healthy = succeeded && (hasGoodVerdict(notes) || (await isHealthy(server)));
    timings.mark("well");
    return { config: to, changed, succeeded, isHealthy: healthy, notes, errors, seconds: timings.seconds() };
  };

  const over = new AbortController();
  const backup = isBackedUp ? backUpBefore(stack, server, config.commit, over.signal) : undefined;
  // A failure is reported by the update, which waits for the backup.
  backup?.then(
    (told) => {
      if (told !== undefined) timings.mark("backup");
    },
    () => undefined,
  );
  const begun = attempt(config, verb, { objection, backup }).finally(() => {
    over.abort();
  });
  const first = { verb, ...(await begun) };
  const backedUp = await backup?.catch(() => undefined);
  // Read after the update, which had the lock: what was live before it cannot change any more.
  const live = liveReleases(await readHistory(stack));
  const previous = live[first.succeeded ? 1 : 0];
  const good = releaseToPutBack({ ...first, previous });
  // Where that cannot be done now, the plan of the next update does it.
  if (good !== undefined) await followServer(stack, server).catch(() => undefined);
  const putBack = good && (await attempt(good, "put back"));
  const end = outcome({ ...first, previous }, putBack);
  if (end.live !== undefined) {
    writeFileSync(stack.file, withRelease(readFileSync(stack.file, "utf8"), end.live));
  }
  if (shown) console.log(await timings.table());
  if (end.succeeded) {
    for (const note of [backedUp ?? [], first.notes].flat()) console.log(note);
    console.log(end.message);
  } else {
    for (const line of [detailsOf(first.errors), putBack?.errors ?? [], backedUp ?? []].flat()) {
      console.error(line);
    }
    throw new OperatorError(end.message);
  }
}
