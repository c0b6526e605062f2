import { createInterface } from "node:readline";
import type { Running } from "./run.ts";

/** Milliseconds between two signs of life; the other side waits for many of them. */
const ALIVE = 1000;

/**
 * A conversation with a script on the server, a word a line in both directions. Should this process end, however it
 * does, or the connection, the other side knows it by the silence.
 */
export class Dialogue {
  private readonly words: AsyncIterator<string>;
  private readonly alive: NodeJS.Timeout;
  /** The last line that was heard. */
  last = "";

  private readonly other: Running;

  constructor(other: Running) {
    this.other = other;
    this.words = createInterface({ input: other.stdout })[Symbol.asyncIterator]();
    // To speak to one who is gone is no fault here: it shows in the words that do not come.
    other.stdin.on("error", () => undefined);
    this.alive = setInterval(() => {
      this.say("alive");
    }, ALIVE);
  }

  /** Waits for a word; false when the other side says something else instead, or ends. */
  async hears(word: string): Promise<boolean> {
    const { value } = (await this.words.next()) as { value: string | undefined };
    this.last = value ?? "the server does not answer any more";
    return value === word;
  }

  say(word: string): void {
    this.other.stdin.write(`${word}\n`);
  }

  /** Says no more, and waits until the other side has ended; gives its exit status. */
  async end(): Promise<number> {
    clearInterval(this.alive);
    this.other.stdin.end();
    return this.other.ended;
  }
}
