/** What each moment ends, for people. */
const MEANINGS: Record<string, string> = {
  image: "the image is there",
  backup: "the database is backed up",
  lock: "Pulumi has the stack's lock",
  swapping: "the swap begins, while Pulumi compares all else",
  making: "requests in flight are done, the old bot has stopped, all else is compared",
  updated: "the new bot is made, well, and over its probation",
  well: "asked once more",
};

/** When the parts of a release came, in seconds since the command's process began. */
export class Timings {
  private readonly marks: [string, number][] = [];

  /** Seconds since the process began: the start of Node counts. */
  seconds(): number {
    return performance.now() / 1000;
  }

  readonly mark = (what: string): void => {
    this.marks.push([what, this.seconds()]);
  };

  marking(what: string): () => void {
    return () => {
      this.mark(what);
    };
  }

  async table(): Promise<string> {
    // Seldom asked for, and slow to load.
    const { table } = await import("../table.ts");
    const rows = this.marks.map(([what, at]) => [`${at.toFixed(2)} s`, MEANINGS[what] ?? what]);
    return table(["at", "what"], rows);
  }
}
