import { styleText } from "node:util";
import Table from "cli-table3";
import type { Level, Verdict } from "./health/verdict.ts";

const COLORS = { ok: "green", warning: "yellow", critical: "red" } as const;

/** A verdict's word, colored if standard output is a terminal; NO_COLOR and FORCE_COLOR override that. */
function paint(level: Level): string {
  return styleText(COLORS[level], level);
}

/** A heading of one line. */
export const heading = (text: string) => `\n${styleText("bold", text)}`;

const BARE = Object.fromEntries(
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid"
    .split(" ")
    .map((part) => [part, ""]),
);

/** Columns that line up, without a frame. */
export function table(head: string[], rows: string[][]): string {
  const made = new Table({
    head: head.map((text) => styleText("dim", text)),
    chars: { ...BARE, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  made.push(...rows);
  return made
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** The checks and their results, a line each. */
export function verdictTable(verdicts: Verdict[]): string {
  const rows = verdicts.map(({ level, check, text }) => [paint(level), check, text]);
  return table(["", "check", ""], rows);
}
