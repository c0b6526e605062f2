// @ts-nocheck
import { createInterface } from "node:readline";
import type { Running } from "./run.ts";

/** Milliseconds between two heartbeats; the script gives up after missing many of them. */
const HEARTBEAT = 1000;

/**
 * A session with a script on the server: a word a line in both directions, and heartbeats from this side. The script
 * goes back by itself when they stop, whether this process or the connection has ended.
 */
export class RemoteSession {
  /** The last line from the script. */
  last = "";

  private readonly script: Running;
  private readonly lines: AsyncIterator<string>;
  private readonly heartbeat: NodeJS.Timeout;

  constructor(script: Running) {
    this.script = script;
    this.lines = createInterface({ input: script.stdout })[Symbol.asyncIterator]();
    // A failing write needs no report of its own: the script's next word will be missing.
    script.stdin.on("error", () => undefined);
    this.heartbeat = setInterval(() => {
      this.send("alive");
    }, HEARTBEAT);
  }

  /** Waits for the script's next line; false if it is not this word, or if the script has ended. */
  async expect(word: string): Promise<boolean> {
    const { value } = (await this.lines.next()) as { value: string | undefined };
    this.last = value ?? "the server does not answer any more";
    return value === word;
  }

  send(word: string): void {
    this.script.stdin.write(`${word}\n`);
  }

  /** Stops the heartbeats, waits until the script has ended and gives its exit status. */
  async close(): Promise<number> {
    clearInterval(this.heartbeat);
    this.script.stdin.end();
    return this.script.ended;
  }
}
