import { type LiveRelease, short } from "./history.ts";

/** A release's part of the configuration: its commit, and how that is run and reached. */
export type ReleaseConfig = Record<string, unknown> & { commit: string };

/** What has become of a release. Times are in seconds since its command began. */
export interface Attempt {
  /** The history's word for it: deploy or rollback. */
  verb: string;
  config: ReleaseConfig;
  isHealthy: boolean;
  /** Whether anything was changed for it. */
  changed: boolean;
  /** What went wrong; the last line of each is its cause. */
  errors: string[];
  seconds: number;
  /** The release that was live right before. */
  previous?: LiveRelease;
}

/** How a command that makes a release ends. */
export interface Outcome {
  succeeded: boolean;
  message: string;
  /**
   * What the stack's file must say of the release that runs now, where that is known to be healthy. Of one that was put
   * back, that is its commit alone: what else stands there is the operator's, who may be about to correct it.
   */
  live?: ReleaseConfig;
}

/** The release that must be put back after an attempt, if any. */
export function releaseToPutBack({
  isHealthy,
  changed,
  previous,
}: Omit<Attempt, "verb">): ReleaseConfig | undefined {
  if (isHealthy || !changed || previous === undefined) return undefined;
  return { ...previous.config, commit: previous.commit };
}

/** @param putBack how putting the previous release back has ended, where there was one to put back */
export function outcome(
  { verb, config, isHealthy, changed, errors, seconds, previous }: Attempt,
  putBack?: { config: ReleaseConfig; isHealthy: boolean; seconds: number },
): Outcome {
  const commit = short(config.commit);
  if (isHealthy) {
    const before = previous === undefined ? "" : ` (before: ${short(previous.commit)})`;
    const message = changed
      ? `${verb}: ${commit} is live${before}, ${shown(seconds)} s`
      : `${verb}: ${commit} was live already, ${shown(seconds)} s`;
    return { succeeded: true, message, live: config };
  }
  const cause = causeOf(errors);
  const failed = `The ${verb} of ${commit} failed after ${shown(seconds)} s${cause && `: ${cause}`}`;
  if (!changed) return { succeeded: false, message: failed };
  if (putBack === undefined) {
    return { succeeded: false, message: `${failed}; there is no earlier release to put back.` };
  }
  const good = short(putBack.config.commit);
  if (!putBack.isHealthy) {
    return {
      succeeded: false,
      message: `${failed}; and ${good} could not be put back either; see above and ./delivery health.`,
    };
  }
  return {
    succeeded: false,
    message: `${failed}; ${good} is back.`,
    live: { commit: putBack.config.commit },
  };
}

/** The sentence behind the first error, without its full stop. */
const causeOf = ([first = ""]: string[]) => (linesOf(first).at(-1) ?? "").replace(/\.$/, "");

/** What errors say beside the cause that is named: the last lines of a log, for instance. */
export function detailsOf(errors: string[]): string[] {
  return errors.flatMap((error, index) => {
    const lines = linesOf(error);
    return (index === 0 ? lines.slice(0, -1) : lines).filter((line) => !COMMAND.test(line));
  });
}

/** How the plugin for commands begins its errors. */
const COMMAND = /^Process exited with status \d+: running "/;

const linesOf = (text: string) => text.trim().split("\n");

const shown = (seconds: number) => seconds.toFixed(1);
