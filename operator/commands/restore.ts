import { type DatabaseScript, runDatabaseScript } from "../database/scripts.ts";
import { EXIT, OperatorError, define } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { openStack, type Stack } from "../stack.ts";

export default define({
  details:
    "Restores the backup beside the live database, checks it, then swaps the two while the proxy holds the requests. Needs SSH alone, no Pulumi.",
  positionals: {
    backup: { type: "string", describe: "Its file name, or latest" },
  },
  options: {
    "drop-old": {
      type: "boolean",
      conflicts: "backup",
      describe: "Remove the databases that restores have replaced, instead of restoring",
    },
    yes: { type: "boolean", default: false, describe: "Do not ask" },
  },
  examples: {
    "restore latest": "restore the newest verified backup, after a question",
    "restore hockey_db_2026-06-10_060005.sql.gz --yes": "restore that one without a question",
    "restore --drop-old": "remove what earlier restores have replaced, after a question",
  },
  exits: { 1: "failed or not confirmed; the database is as it was" },
  async run({ stack: name, backup, "drop-old": dropOld, yes }) {
    if (backup === undefined && !dropOld) {
      throw new OperatorError("Name the backup to restore, or latest; or pass --drop-old.", EXIT.usage);
    }
    const stack = openStack(name);
    await (dropOld ? removeReplaced(stack, yes) : restore(stack, backup ?? "", yes));
    return undefined;
  },
});

async function restore(stack: Stack, backup: string, yes: boolean): Promise<void> {
  const { database, server } = stack.settings;
  if (!yes && !(await confirmed(`Replace the database ${database.name} on ${server.host} by ${backup}?`))) {
    throw new OperatorError("Nothing was restored; answer yes, or pass --yes.");
  }
  await call(stack, { action: "restore", env: { BACKUP: backup }, options: ["--yes"] });
}

async function removeReplaced(stack: Stack, yes: boolean): Promise<void> {
  const { host } = stack.settings.server;
  const list = await runDatabaseScript(stack, { script: "restore-db.sh", action: "list-old" });
  if (list === "") {
    console.log(`There is no replaced database on ${host}.`);
    return;
  }
  const names = list.split("\n").join(", ");
  if (!yes && !(await confirmed(`Remove for good, on ${host}: ${names}?`))) {
    throw new OperatorError("Nothing was removed; answer yes, or pass --yes.");
  }
  await call(stack, { action: "drop-old", options: ["--yes"] });
}

async function call(stack: Stack, what: Omit<DatabaseScript, "script">): Promise<void> {
  await runDatabaseScript(stack, { script: "restore-db.sh", ...what }, { show: ["stdout"] });
}
