import { runDatabaseScript } from "../database/scripts.ts";
import { define } from "../command.ts";
import { openStack } from "../stack.ts";

export default define({
  details: "Restores the new backup into a scratch database to verify it. Needs SSH alone, no Pulumi.",
  options: {
    "if-older-than": {
      type: "number",
      requiresArg: true,
      describe: "Hours: make none if the newest verified one, releases' own aside, is younger",
    },
    wait: {
      type: "number",
      requiresArg: true,
      describe: "Seconds to wait while another backup, a restore or an upgrade runs",
    },
  },
  examples: {
    backup: "make a verified backup and print its path on the server",
    "backup --if-older-than 25 --wait 900": "make one if the daily one is missing",
  },
  exits: { 1: "failed, or a backup, restore or upgrade is running" },
  async run({ stack, "if-older-than": hours, wait }) {
    const options = [
      ...(hours === undefined ? [] : ["--if-older-than", String(hours)]),
      ...(wait === undefined ? [] : ["--wait", String(wait)]),
    ];
    await runDatabaseScript(openStack(stack), { script: "backup-db.sh", options }, { show: ["stdout"] });
    return undefined;
  },
});
