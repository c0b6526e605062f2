import { createInterface } from "node:readline/promises";
import { type DatabaseScript, runDatabaseScript } from "../database/scripts.ts";
import { OperatorError, define } from "../command.ts";
import { openStack, type Stack } from "../stack.ts";

export default define({
  name: "restore",
  positional: "[backup]",
  describe:
    "Put a backup back: beside the live database, checked, then swapped while the proxy holds the requests. Over SSH alone, without Pulumi",
  options: (args) =>
    args
      .positional("backup", { type: "string", describe: "Its file name, or latest" })
      .option("drop-old", {
        type: "boolean",
        default: false,
        describe: "Remove the databases that restores have replaced, instead of restoring",
      })
      .option("yes", { type: "boolean", default: false, describe: "Do not ask" })
      .check(({ backup, "drop-old": dropOld }) => {
        if ((backup === undefined) === dropOld) return true;
        throw new Error("name the backup to restore, or latest; --drop-old stands alone");
      }),
  exits: { 1: "failed or not confirmed; the database is as it was" },
  async run({ stack: name, backup, "drop-old": dropOld, yes }) {
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

async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await terminal.question(`${question} (yes/no) `)).trim() === "yes";
  } finally {
    terminal.close();
  }
}
