import { readFileSync, writeFileSync } from "node:fs";
import { databaseVolume } from "../../infra/model/schema.ts";
import { OperatorError } from "../command.ts";
import { takeLock } from "../lock.ts";
import { readHistory, type Update, whoami } from "../pulumi.ts";
import { Server } from "../server.ts";
import type { Stack } from "../stack.ts";
import { apply, isWell, type UpdateOptions, withConfig } from "./update.ts";

/** What of a stack's configuration belongs to a release: its commit, and how that is run and reached. */
export const RELEASE_KEYS = ["commit", "app", "proxy"] as const;

/** Lines of the container's log that are shown of a release that failed. */
const LOG_LINES = "100";

export const short = (commit: string) => commit.slice(0, 7);

/** An update that has made a commit live. */
type Release = Update & { commit: string };

/** The successful updates with a commit, newest first: what has been live. */
function releases(history: Update[]): Release[] {
  return history.filter(
    (update): update is Release =>
      update.kind === "update" && update.succeeded && update.commit !== undefined,
  );
}

/** A stack's configuration file with another release in it; comments, secrets and all other keys stay. */
export function withRelease(file: string, release: Record<string, unknown>): string {
  const keys = RELEASE_KEYS.filter((key) => release[key] !== undefined);
  return withConfig(file, Object.fromEntries(keys.map((key) => [key, release[key]])));
}

/**
 * Makes a release the one that runs. Where that fails, the last good one is put back by the same path.
 *
 * The stack's file is not touched before the release has succeeded: until then its configuration is a copy.
 *
 * @param wanted `commit`, and what else of the configuration belongs to that release
 * @param what the word for the history: deploy or rollback
 * @throws OperatorError naming the commit that failed and what runs now
 */
export async function release(
  stack: Stack,
  wanted: Record<string, unknown> & { commit: string },
  what: string,
  options: UpdateOptions & {
    /** Whether to look at everything on the server first; else only at which containers are there and run. */
    refresh: boolean;
  },
): Promise<void> {
  const began = Date.now();
  const seconds = () => ((Date.now() - began) / 1000).toFixed(1);
  const server = new Server(stack);
  if (options.recover) await takeLock(stack);
  let lastGood: Release | undefined;
  const findLastGood = async () => {
    [lastGood] = releases(await readHistory(stack));
  };
  // An operator's Ctrl-C reaches Pulumi, which ends in good order; what follows then must still happen.
  process.on("SIGINT", () => undefined);

  const volume = databaseVolume(stack.settings);
  const put = (
    config: Record<string, unknown> & { commit: string },
    word: string,
    refresh: boolean,
    look?: () => Promise<void>,
  ) => {
    const { commit } = config;
    const file = withRelease(readFileSync(stack.file, "utf8"), config);
    const message = `${word} ${short(commit)}, by ${whoami()}`;
    return apply(stack, server, { file, commit, volume, message, refresh }, options.wait, look);
  };
  const live = (config: Record<string, unknown>) => {
    writeFileSync(stack.file, withRelease(readFileSync(stack.file, "utf8"), config));
  };

  const { commit } = wanted;
  if ((await put(wanted, what, options.refresh, findLastGood)) && (await isWell(server))) {
    live(wanted);
    const before = lastGood === undefined ? "" : ` (before: ${short(lastGood.commit)})`;
    console.log(`${what}: ${short(commit)} is live${before}, ${seconds()} s`);
    return;
  }

  await showLog(stack, server, commit);
  const failed = `The ${what} of ${commit} failed after ${seconds()} s`;
  if (lastGood === undefined) throw new OperatorError(`${failed}; there is no earlier release to put back.`);
  console.log(`putting ${short(lastGood.commit)} back`);
  const { commit: good, config } = lastGood;
  if (!(await put({ ...config, commit: good }, "put back", true)) || !(await isWell(server))) {
    throw new OperatorError(
      `${failed}, and ${good} could not be put back either; see above and ./delivery health.`,
    );
  }
  live({ ...config, commit: good });
  throw new OperatorError(`${failed}; ${good} is back, ${seconds()} s after the command.`);
}

/** The last words of a release that failed, before its container is taken away. */
async function showLog(stack: Stack, server: Server, commit: string): Promise<void> {
  const { name } = stack.settings;
  try {
    const listed = await server.ask("list-containers.sh", { COMMIT: commit });
    if (!listed.split("\n").some((line) => line.startsWith("container ") && line.endsWith(commit))) {
      console.log(`The release did not get as far as a container of ${short(commit)}.`);
      return;
    }
    console.log(`The last ${LOG_LINES} log lines of ${name} at ${short(commit)}:`);
    await server.script("show-logs.sh", { CONTAINER: name, LOG_LINES }, { show: ["stdout"] });
  } catch (error) {
    // Whatever the matter is, the last good release matters more.
    console.error(`The log cannot be shown: ${(error as Error).message}`);
  }
}

/**
 * The release to roll back to: the newest successful one of another commit than that which runs, or of the commit whose
 * hash begins so. Where there is none: a sentence that says why, and what there is.
 */
export function chooseRollback(history: Update[], wanted?: string): Release | string {
  const live = releases(history);
  const commits = [...new Set(live.map(({ commit }) => commit))];
  const [running] = commits;
  if (running === undefined) return "Nothing has been released yet, so there is nothing to roll back to.";
  const list = commits.map((commit) => `\n  ${commit}${commit === running ? " (runs now)" : ""}`).join("");
  if (wanted === undefined) {
    const earlier = live.find(({ commit }) => commit !== running);
    return (
      earlier ?? `${running} is the only commit that was ever released; there is nothing to roll back to.`
    );
  }
  const matching = commits.filter((commit) => /^[0-9a-f]{4,40}$/.test(wanted) && commit.startsWith(wanted));
  if (matching.length > 1)
    return `${wanted} is the beginning of several commits; name more digits. There are:${list}`;
  const found = live.find(({ commit }) => commit === matching[0]);
  return found ?? `No release of ${wanted} is known. What can be rolled back to:${list}`;
}
