// @ts-nocheck
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between two attempts. */
const PAUSE = 200;

/**
 * Asks again and again until an answer is truthy.
 *
 * @throws when that takes longer than `seconds`; the message ends with the last answer or error
 */
export async function eventually<T>(
  question: () => Promise<T> | T,
  what: string,
  seconds = 30,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    let last: string;
    try {
      const answer = await question();
      if (answer) return answer;
      last = `the answer was ${String(answer)}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s; at last: ${last}`);
    await sleep(PAUSE);
  }
}
