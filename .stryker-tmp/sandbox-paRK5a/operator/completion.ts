// @ts-nocheck
import { findVerb, VERBS } from "./verbs.ts";

/** Words beside the verbs that may stand first. */
const BUILT_IN = ["help", "--help", "--version"];

/**
 * What the last word may become.
 *
 * @param words all that is typed after `./delivery`, the last one unfinished or empty
 */
export async function complete(words: string[]): Promise<string[]> {
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  return (await candidates(before)).filter(
    (word) => word.startsWith(current) && (current.startsWith("-") || !word.startsWith("-")),
  );
}

async function candidates(before: string[]): Promise<string[]> {
  const verb = findVerb(before);
  if (verb === undefined) {
    const typed = before[0] === "help" ? before.slice(1) : before;
    const next = Object.keys(VERBS)
      .map((name) => name.split(" "))
      .filter((name) => typed.every((word, place) => word === name[place]))
      .flatMap((name) => name[typed.length] ?? []);
    return [...new Set([...next, ...(before.length === 0 ? BUILT_IN : [])])];
  }
  const { flags, choices } = (await verb.entry.load()).default;
  return [...flags.filter((flag) => !verb.args.includes(flag)), ...(verb.args.length === 0 ? choices : [])];
}
