// @ts-nocheck
import { VERBS } from "./verbs.ts";

const NAME_COLUMNS = 18;

/** Verbs by group, one a line: all of them, or those named. */
function contents(names: string[] = Object.keys(VERBS)): string {
  const lines: string[] = [];
  let last = "";
  for (const [name, { group, summary }] of Object.entries(VERBS)) {
    if (!names.includes(name)) continue;
    if (group !== last) lines.push(group);
    last = group;
    lines.push(`  ${name.padEnd(NAME_COLUMNS)}${summary}`);
  }
  return lines.join("\n");
}

/** What `./delivery --help` prints: every verb on one screen. */
export function overview(): string {
  return `Usage: ./delivery VERB [arguments] [--stack NAME] | --help | --version

${contents()}

./delivery VERB --help shows arguments, options, examples and exit statuses.`;
}

/** What `./delivery database` prints: the verbs that begin with this word. */
export function family(word: string, names: string[]): string {
  return `Usage: ./delivery ${word} VERB

${contents(names)}`;
}
