import type { Options } from "yargs";
import { EXIT } from "../command.ts";

/** Exit statuses of every command that makes a release. */
export const RELEASE_EXITS = {
  [EXIT.locked]: "another update has the stack, or was killed and has left its lock",
};

/** How every command that updates a stack goes about it. */
export interface UpdateOptions {
  /** Seconds to wait while another update has the stack. */
  wait: number;
  /** Whether to take the stack from an update that was killed. */
  recover: boolean;
}

/** How every command that makes a release goes about it. */
export interface ReleaseOptions extends UpdateOptions {
  /** Whether the operator sees what Pulumi says. */
  verbose: boolean;
  /** Whether to say what took how long. */
  timings: boolean;
  /** Whether to make everything anew on a server that has nothing of the stack. */
  newServer?: boolean;
}

/** Options of every command that updates a stack. */
export const UPDATE_OPTIONS = {
  wait: {
    type: "number",
    default: 300,
    describe: "Seconds to wait while another update has the stack",
  },
  recover: {
    type: "boolean",
    default: false,
    describe: "First take the stack from an update that was killed: its lock, and what it left half done",
  },
} as const satisfies Record<string, Options>;

/** Options of every command that makes a release. */
export const RELEASE_OPTIONS = {
  ...UPDATE_OPTIONS,
  verbose: { type: "boolean", default: false, describe: "Show all that Pulumi says" },
  timings: { type: "boolean", default: false, describe: "Say at the end what took how long" },
} as const satisfies Record<string, Options>;
