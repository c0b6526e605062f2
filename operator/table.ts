import { isatty } from "node:tty";
import Table from "cli-table3";
import { createColors } from "picocolors";
import type { Level } from "./health/checks.ts";

/** Colours where a person looks on, plain text where a file or a workflow does. */
const STDOUT = 1;
const colors = createColors(isatty(STDOUT));

/** A verdict's word, in its colour on a terminal. */
export function paint(level: Level): string {
  const paints = { ok: colors.green, warning: colors.yellow, critical: colors.red };
  return paints[level](level);
}

/** A heading of one line. */
export const heading = (text: string) => `\n${colors.bold(text)}`;

const BARE = Object.fromEntries(
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid"
    .split(" ")
    .map((part) => [part, ""]),
);

/** Columns that line up, without a frame. */
export function table(head: string[], rows: string[][]): string {
  const made = new Table({
    head: head.map(colors.dim),
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
