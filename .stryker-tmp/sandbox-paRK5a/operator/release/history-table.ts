// @ts-nocheck
import type { Update } from "../pulumi.ts";
import { short } from "./history.ts";

/** Columns of the history, as people read it. */
export const HISTORY_COLUMNS = ["when (UTC)", "commit", "what, by whom", "took", "outcome"];

/** One update as a row under `HISTORY_COLUMNS`. */
export function historyRow({ kind, started, commit, message, seconds, succeeded }: Update): string[] {
  const when = started.toISOString().slice(0, 16).replace("T", " ");
  const what = message || `${kind}, by hand`;
  return [
    when,
    commit === undefined ? "" : short(commit),
    what,
    `${seconds} s`,
    succeeded ? "succeeded" : "failed",
  ];
}
