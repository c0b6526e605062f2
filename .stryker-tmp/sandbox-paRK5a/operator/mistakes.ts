// @ts-nocheck
import { closestMatch } from "leven";

/** The candidate that a mistyped word probably means; undefined where none is near. */
function closest(word: string, candidates: string[]): string | undefined {
  // A third of the letters may be wrong; two swapped letters count as two.
  return closestMatch(word, candidates, { maxDistance: Math.max(2, Math.ceil(word.length / 3)) });
}

/** A sentence about words that begin with no verb. */
export function unknownVerb(words: string[], verbs: string[]): string {
  const [first = "", second = ""] = words;
  if (first.startsWith("-")) return `${first} must follow a verb; see ./delivery --help`;
  const isFamily = verbs.some((verb) => verb.startsWith(`${first} `));
  const meant = closest(`${first} ${second}`, verbs) ?? closest(first, verbs);
  const advice = meant === undefined ? "see ./delivery --help" : `did you mean: ./delivery ${meant}`;
  return `There is no verb ${isFamily ? `${first} ${second}` : first}; ${advice}`;
}

/**
 * What yargs finds wrong, in words that name what was typed.
 *
 * @param args the words after the verb
 * @param usage the verb's arguments, as help shows them
 * @param flags the verb's options, as they are typed
 */
export function explainUsage(message: string, args: string[], usage: string, flags: string[]): string {
  const [, unknown] = /^Unknown (?:argument|command)s?: (.+)$/.exec(message) ?? [];
  if (unknown !== undefined) return unknownArguments(unknown.split(", "), args, flags);
  if (message.startsWith("Not enough non-option arguments")) return `An argument is missing: ${usage}`;
  const [, lonely] = /^Not enough arguments following: (.+)$/.exec(message) ?? [];
  if (lonely !== undefined) return `--${lonely} needs a value`;
  const [, argument, given, choices] = /Argument: (.+), Given: "(.+)", Choices: (.+)/.exec(message) ?? [];
  if (argument !== undefined) return `${argument} must be one of ${choices ?? ""}, not "${given ?? ""}"`;
  return message;
}

/** @param unknown names as yargs gives them: an option's without its dashes */
function unknownArguments(unknown: string[], args: string[], flags: string[]): string {
  const typed = args.find((arg) => {
    const name = /^--?(?:no-)?([^=]+)/.exec(arg)?.[1];
    return name !== undefined && unknown.includes(name);
  });
  if (typed === undefined) return `Unexpected argument: ${unknown.join(" ")}`;
  const option = typed.replace(/=.*/, "");
  const meant = option.startsWith("--") ? closest(option, flags) : undefined;
  return `There is no option ${option}${meant === undefined ? "" : ` (did you mean ${meant}?)`}`;
}
