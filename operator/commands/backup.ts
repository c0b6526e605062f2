import { onBackups } from "../database/backups.ts";
import { define } from "../command.ts";
import { openStack } from "../stack.ts";

export default define({
  name: "backup",
  describe: "Back up the database now, and prove the backup by restoring it. Over SSH alone, without Pulumi",
  exits: { 1: "failed, or another one is running" },
  async run({ stack }) {
    await onBackups(openStack(stack), "backup-db.sh", []);
    return undefined;
  },
});
