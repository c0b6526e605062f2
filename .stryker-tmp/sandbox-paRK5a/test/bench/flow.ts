/** One way to release a commit of the bot on the server. */
// @ts-nocheck

export interface Flow {
  /** The flow's containers, stopped while another flow is measured. */
  containers: string[];
  /** Releases the first commit; not measured. */
  setUp(commit: string): Promise<void>;
  /** Prepares what exists before the command starts; not measured. */
  prepare?(commit: string): Promise<void>;
  /** Releases the newest commit, which is this one. */
  release(commit: string): Promise<Details>;
  /** The command that finds nothing to do, where it differs from `release`. */
  look?: () => Promise<unknown>;
  /** Goes back to a commit that has run before. */
  goBack(commit: string): Promise<Details>;
}

/** Parts of a release that only this project's flow reports, in seconds. */
export interface Details {
  buildSeconds?: number;
  /** How long requests were held. */
  swapSeconds?: number;
}
