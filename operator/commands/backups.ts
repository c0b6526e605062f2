import { runDatabaseScript } from "../database/scripts.ts";
import { define } from "../command.ts";
import { openStack } from "../stack.ts";

export default define({
  name: "backups",
  describe:
    "List the backups, newest first, with their age and whether they were proven. Over SSH alone, without Pulumi",
  options: (args) => args.option("json", { type: "boolean", default: false, describe: "As JSON" }),
  exits: { 1: "failed" },
  async run({ stack, json }) {
    const options = json ? ["--json"] : [];
    const call = { script: "restore-db.sh", action: "list", options } as const;
    await runDatabaseScript(openStack(stack), call, { show: ["stdout"] });
    return undefined;
  },
});
