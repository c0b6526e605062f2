// @ts-nocheck
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

/**
 * The release to roll back to: the newest one of another commit than the running one, or of the commit whose hash
 * begins with `wanted`. Where there is none: a sentence that says why, and which there are.
 */
export function chooseRollback(history: Update[], wanted?: string): LiveRelease | string {
  const live = liveReleases(history);
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
  const matching = commits.filter((commit) => wanted.length >= LEAST_DIGITS && commit.startsWith(wanted));
  if (matching.length > 1)
    return `${wanted} is the beginning of several commits; name more digits. There are:${list}`;
  const found = live.find(({ commit }) => commit === matching[0]);
  return found ?? `No release of ${wanted} is known. What can be rolled back to:${list}`;
}
