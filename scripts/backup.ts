import { onBackups } from "./lib/backups";
import { start } from "./lib/command";
import { openStack } from "./lib/stack";

start({
  name: "backup",
  describe: "Back up the database now, and prove the backup by restoring it. Over SSH alone, without Pulumi",
  exits: { 1: "failed, or another one is running" },
  async run({ stack }) {
    await onBackups(openStack(stack), "backup-db.sh", []);
    return undefined;
  },
});
