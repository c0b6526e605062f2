import { define } from "../command.ts";
import { releaseOptions, RELEASE_EXITS } from "../release/options.ts";
import { openStack } from "../stack.ts";
import { upgradeDatabase } from "../database/upgrade.ts";

export default define({
  name: "database upgrade",
  positional: "<major>",
  describe:
    "Move the database to a newer major version of PostgreSQL: a verified backup, a trial with it, then the data into a new volume while the proxy holds the requests, and the switch. If anything fails, the old database goes on; its volume is kept",
  options: (args) =>
    releaseOptions(args).positional("major", {
      type: "number",
      demandOption: true,
      describe: "The major version, such as 17",
    }),
  exits: { 1: "failed or refused; the old database runs, with all its data", ...RELEASE_EXITS },
  async run({ stack, major, wait, recover }) {
    await upgradeDatabase(openStack(stack), major, { wait, recover });
    return undefined;
  },
});
