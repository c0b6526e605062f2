import { runDatabaseScript } from "../database/scripts.ts";
import { define } from "../command.ts";
import { openStack } from "../stack.ts";

export default define({
  name: "backup",
  describe: "Back up the database now, and prove the backup by restoring it. Over SSH alone, without Pulumi",
  exits: { 1: "failed, or a backup, restore or upgrade is running" },
  async run({ stack }) {
    await runDatabaseScript(openStack(stack), { script: "backup-db.sh" }, { show: ["stdout"] });
    return undefined;
  },
});
