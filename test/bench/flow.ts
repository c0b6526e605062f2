/** One way to bring a commit of the bot to the server. */
export interface Flow {
  /** Its containers, which are stopped while another flow is measured. */
  containers: string[];
  /** Brings the first commit up, whatever that takes; not measured. */
  setUp(commit: string): Promise<void>;
  /** What is there already when the command is typed. */
  prepare?(commit: string): Promise<void>;
  /** The command for the newest commit, which is this one. */
  release(commit: string): Promise<Details>;
  /** The command that sees that there is nothing to do, where it is another one than that for a release. */
  look?: () => Promise<unknown>;
  /** The command that goes back to a commit that has run before. */
  goBack(commit: string): Promise<Details>;
}

/** What only our own flow can tell of its parts, in seconds. */
export interface Details {
  buildSeconds?: number;
  /** From the moment at which requests are held to the one at which they go on. */
  swapSeconds?: number;
}
