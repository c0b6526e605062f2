// @ts-nocheck
import { runDatabaseScript } from "../database/scripts.ts";
import { define } from "../command.ts";
import { openStack } from "../stack.ts";

export default define({
  details: "Restores the new backup into a scratch database to verify it. Needs SSH alone, no Pulumi.",
  examples: { backup: "make a verified backup and print its path on the server" },
  exits: { 1: "failed, or a backup, restore or upgrade is running" },
  async run({ stack }) {
    await runDatabaseScript(openStack(stack), { script: "backup-db.sh" }, { show: ["stdout"] });
    return undefined;
  },
});
