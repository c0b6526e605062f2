import type { Update } from "../pulumi.ts";

/** An update that has made a commit live. */
export type LiveRelease = Update & { commit: string };

/** Digits of a hash without which it names no commit, as in Git. */
const LEAST_DIGITS = 4;

/** A commit as people name it. */
export const short = (commit: string) => commit.slice(0, 7);

/** The releases that have been live, newest first: the successful updates with a commit. */
export function liveReleases(history: Update[]): LiveRelease[] {
  return history.filter(
    (update): update is LiveRelease =>
      update.kind === "update" && update.succeeded && update.commit !== undefined,
  );
}

/** How the history tells an update that has gone back: by hand, or after a release that failed (release.ts). */
const WENT_BACK = /^(rollback|put back) /;

/**
 * What a rollback can go back through: the releases that led to the running one, newest first, each with the newest
 * configuration that it ran with; and the commits that were given up on the way, newest first.
 */
function pathTo(live: LiveRelease[]): { path: LiveRelease[]; abandoned: string[] } {
  let path: LiveRelease[] = [];
  let abandoned: string[] = [];
  for (const release of live.toReversed()) {
    const { commit, message } = release;
    const earlier = path.findIndex((one) => one.commit === commit);
    const leaves = earlier > 0 && WENT_BACK.test(message) ? path.slice(0, earlier) : [];
    const below = path.slice(leaves.length);
    path = [release, ...(below[0]?.commit === commit ? below.slice(1) : below)];
    const given = leaves.map((one) => one.commit);
    abandoned = [...given, ...abandoned.filter((one) => !given.includes(one) && one !== commit)];
  }
  return { path, abandoned };
}

/**
 * The release to roll back to: the one that was live before the running one and was not rolled back from since, or that of
 * the commit whose hash begins with `wanted`. Where there is none: a sentence that says why, and which there are.
 */
export function chooseRollback(history: Update[], wanted?: string): LiveRelease | string {
  const live = liveReleases(history);
  const commits = [...new Set(live.map(({ commit }) => commit))];
  const [running] = commits;
  if (running === undefined) return "Nothing has been released yet, so there is nothing to roll back to.";
  const list = commits.map((commit) => `\n  ${commit}${commit === running ? " (runs now)" : ""}`).join("");
  if (wanted === undefined) {
    const { path, abandoned } = pathTo(live);
    return path[1] ?? nothingFurtherBack(running, abandoned);
  }
  const matching = commits.filter((commit) => wanted.length >= LEAST_DIGITS && commit.startsWith(wanted));
  if (matching.length > 1)
    return `${wanted} is the beginning of several commits; name more digits. There are:${list}`;
  const found = live.find(({ commit }) => commit === matching[0]);
  return found ?? `No release of ${wanted} is known. What can be rolled back to:${list}`;
}

function nothingFurtherBack(running: string, [newest]: string[]): string {
  return newest === undefined
    ? `${running} is the only commit that was ever released; there is nothing to roll back to.`
    : `Nothing ran before ${running} that was not rolled back from; to run ${short(newest)} again: ./delivery rollback ${short(newest)}`;
}
