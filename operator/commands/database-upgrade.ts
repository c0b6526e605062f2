import { define } from "../command.ts";
import { RELEASE_EXITS, UPDATE_OPTIONS } from "../release/options.ts";
import { openStack } from "../stack.ts";
import { upgradeDatabase } from "../database/upgrade.ts";

export default define({
  details:
    "Makes a verified backup, tries the upgrade with it, then moves the data into a new volume while the proxy holds the requests. If a step fails, the old database goes on; its volume is kept in any case.",
  positionals: {
    major: { type: "number", demandOption: true, describe: "The major version, such as 17" },
  },
  options: UPDATE_OPTIONS,
  examples: { "database upgrade 17": "move the data to PostgreSQL 17" },
  exits: { 1: "failed or refused; the old database runs, with all its data", ...RELEASE_EXITS },
  async run({ stack, major, wait, recover }) {
    await upgradeDatabase(openStack(stack), major, { wait, recover });
    return undefined;
  },
});
