import { dockerNames } from "../../infra/model/names.ts";
import { OperatorError, define } from "../command.ts";
import { lastLine } from "../run.ts";
import { Server } from "../server.ts";
import { openStack } from "../stack.ts";

export default define({
  name: "logs",
  positional: "[lines]",
  describe: "Show the bot's last log lines. Over SSH alone, without Pulumi",
  options: (args) =>
    args
      .positional("lines", { type: "number", default: 100, describe: "How many" })
      .option("follow", { type: "boolean", describe: "Go on with new ones, until Ctrl-C" })
      .option("db", {
        type: "boolean",
        describe: "The database's instead",
        conflicts: "proxy",
      })
      .option("proxy", { type: "boolean", describe: "The proxy's instead" })
      .check(({ lines }) => (Number.isInteger(lines) && lines >= 0) || "lines must be a whole number"),
  exits: { 1: "failed" },
  async run({ stack: name, lines, follow, db, proxy }) {
    const stack = openStack(name);
    const { bot, database, proxy: front } = dockerNames(stack.settings.name);
    const names = {
      CONTAINER: db ? database : proxy ? front : bot,
      LOG_LINES: String(lines),
      FOLLOW: follow ? "yes" : undefined,
    };
    const { status, stderr } = await new Server(stack).script("show-logs.sh", names, { show: ["stdout"] });
    if (status !== 0) throw new OperatorError(lastLine(stderr) || `docker logs ended with ${status}.`);
    return undefined;
  },
});
