import { createInterface } from "node:readline/promises";
import { onBackups } from "../database/backups.ts";
import { OperatorError, define } from "../command.ts";
import { openStack } from "../stack.ts";

export default define({
  details:
    "Restores the backup beside the live database, checks it, then swaps the two while the proxy holds the requests. Needs SSH alone, no Pulumi.",
  positionals: {
    backup: { type: "string", demandOption: true, describe: "Its file name, or latest" },
  },
  options: { yes: { type: "boolean", default: false, describe: "Do not ask" } },
  examples: {
    "restore latest": "restore the newest verified backup, after a question",
    "restore hockey_db_2026-06-10_060005.sql.gz --yes": "restore that one without a question",
  },
  exits: { 1: "failed or not wanted; the database is as it was" },
  async run({ stack: name, backup, yes }) {
    const stack = openStack(name);
    const { database, server } = stack.settings;
    if (!yes && !(await confirmed(`Replace the database ${database.name} on ${server.host} by ${backup}?`))) {
      throw new OperatorError("Nothing was restored; answer yes, or say --yes.");
    }
    await onBackups(stack, "restore-db.sh", ["restore", backup, "--yes"]);
    return undefined;
  },
});

async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await terminal.question(`${question} (yes/no) `)).trim() === "yes";
  } finally {
    terminal.close();
  }
}
