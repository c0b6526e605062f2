import { define } from "../command.ts";
import { HISTORY_COLUMNS, historyRow } from "../release/history-table.ts";
import { newestUpdates } from "../pulumi.ts";
import { openStack } from "../stack.ts";
import { table } from "../table.ts";

export default define({
  details: "Newest first, from Pulumi's state.",
  positionals: { count: { type: "number", default: 20, describe: "How many" } },
  options: {
    json: { type: "boolean", default: false, describe: "Print JSON, with each release's configuration" },
  },
  examples: {
    "history 5": "list the last five releases",
    "history --json": "print them with their configuration, for a program",
  },
  exits: { 1: "the state is out of reach" },
  async run({ stack: name, count, json }) {
    const updates = await newestUpdates(openStack(name), count);
    console.log(json ? JSON.stringify(updates, null, 2) : table(HISTORY_COLUMNS, updates.map(historyRow)));
    return undefined;
  },
});
