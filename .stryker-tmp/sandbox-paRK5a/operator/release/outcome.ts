// @ts-nocheck
import { type LiveRelease, short } from "./history.ts";

/** A release's part of the configuration: its commit, and how that is run and reached. */
export type ReleaseConfig = Record<string, unknown> & { commit: string };

/** What has become of a release. Times are in seconds since its command began. */
export interface Attempt {
  /** The history's word for it: deploy or rollback. */
  verb: string;
  config: ReleaseConfig;
  isHealthy: boolean;
  seconds: number;
  /** The release that was live right before. */
  previous?: LiveRelease;
}

/** How a command that makes a release ends. */
export interface Outcome {
  succeeded: boolean;
  message: string;
  /** The release that runs now, where it is known to be healthy: the stack's file must say so. */
  live?: ReleaseConfig;
}

/** The release that must be put back after an attempt, if any. */
export function releaseToPutBack({ isHealthy, previous }: Attempt): ReleaseConfig | undefined {
  if (isHealthy || previous === undefined) return undefined;
  return { ...previous.config, commit: previous.commit };
}

/** @param putBack how putting the previous release back has ended, where there was one to put back */
export function outcome(
  { verb, config, isHealthy, seconds, previous }: Attempt,
  putBack?: { config: ReleaseConfig; isHealthy: boolean; seconds: number },
): Outcome {
  if (isHealthy) {
    const before = previous === undefined ? "" : ` (before: ${short(previous.commit)})`;
    return {
      succeeded: true,
      message: `${verb}: ${short(config.commit)} is live${before}, ${shown(seconds)} s`,
      live: config,
    };
  }
  const failed = `The ${verb} of ${config.commit} failed after ${shown(seconds)} s`;
  if (putBack === undefined) {
    return { succeeded: false, message: `${failed}; there is no earlier release to put back.` };
  }
  const { commit } = putBack.config;
  if (!putBack.isHealthy) {
    return {
      succeeded: false,
      message: `${failed}, and ${commit} could not be put back either; see above and ./delivery health.`,
    };
  }
  return {
    succeeded: false,
    message: `${failed}; ${commit} is back, ${shown(putBack.seconds)} s after the command.`,
    live: putBack.config,
  };
}

const shown = (seconds: number) => seconds.toFixed(1);
