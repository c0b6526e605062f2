// @ts-nocheck
import { runDatabaseScript } from "../database/scripts.ts";
import { define } from "../command.ts";
import { openStack } from "../stack.ts";

export default define({
  details: "Newest first. Needs SSH alone, no Pulumi.",
  options: { json: { type: "boolean", default: false, describe: "Print JSON" } },
  examples: { backups: "list them", "backups --json": "list them for a program" },
  exits: { 1: "failed" },
  async run({ stack, json }) {
    const options = json ? ["--json"] : [];
    const call = { script: "restore-db.sh", action: "list", options } as const;
    await runDatabaseScript(openStack(stack), call, { show: ["stdout"] });
    return undefined;
  },
});
