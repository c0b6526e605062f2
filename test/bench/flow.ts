import type { Options } from "execa";

/** What an operator types on this machine. */
export interface Command {
  file: string;
  args: string[];
  options?: Options;
}

/** One way to release a commit of the bot on the server. */
export interface Flow {
  /** Stops all that this flow runs, so that another flow can be measured, and starts it again as it was. */
  park(): Promise<unknown>;
  unpark(): Promise<unknown>;
  /** Releases the first commit; not measured. */
  setUp(commit: string): Promise<unknown>;
  /** Prepares what exists before the command starts; not measured. */
  prepare?(commit: string): Promise<unknown>;
  /** Releases the newest commit, which is this one. */
  release(commit: string): Command;
  /** Goes back to a commit that has run before. */
  goBack(commit: string): Command;
  /** Restarts the bot as it is. */
  restart?(): Command;
  /** Further commands that find nothing to do. */
  looks?(): { preview: Command; up: Command };
}
