import { onBackups } from "../database/backups.ts";
import { define } from "../command.ts";
import { openStack } from "../stack.ts";

export default define({
  details: "Restores the new backup into a scratch database to verify it. Needs SSH alone, no Pulumi.",
  examples: { backup: "make a verified backup and print its path on the server" },
  exits: { 1: "failed, or another one is running" },
  async run({ stack }) {
    await onBackups(openStack(stack), "backup-db.sh", []);
    return undefined;
  },
});
