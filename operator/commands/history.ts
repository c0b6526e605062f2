import { define } from "../command.ts";
import { HISTORY_COLUMNS, historyRow } from "../release/history-table.ts";
import { readHistory } from "../pulumi.ts";
import { openStack } from "../stack.ts";
import { table } from "../table.ts";

export default define({
  name: "history",
  positional: "[count]",
  describe: "List what was released, when, by whom and how it ended, newest first",
  options: (args) =>
    args.positional("count", { type: "number", default: 20, describe: "How many" }).option("json", {
      type: "boolean",
      default: false,
      describe: "As JSON, with each release's configuration",
    }),
  exits: { 1: "the state is out of reach" },
  async run({ stack: name, count, json }) {
    const updates = (await readHistory(openStack(name)))
      .filter(({ kind }) => kind === "update")
      .slice(0, count);
    console.log(json ? JSON.stringify(updates, null, 2) : table(HISTORY_COLUMNS, updates.map(historyRow)));
    return undefined;
  },
});
