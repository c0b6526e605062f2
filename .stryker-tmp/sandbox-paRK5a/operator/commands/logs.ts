// @ts-nocheck
import { dockerNames } from "../../infra/model/names.ts";
import { OperatorError, define } from "../command.ts";
import { lastLine, READER_LEFT } from "../run.ts";
import { Server } from "../server.ts";
import { openStack } from "../stack.ts";

export default define({
  details: "Each line has its time. Needs SSH alone, no Pulumi.",
  positionals: { lines: { type: "number", default: 100, describe: "How many" } },
  options: {
    follow: { type: "boolean", alias: "f", describe: "Go on with new lines, until Ctrl-C" },
    db: { type: "boolean", conflicts: "proxy", describe: "Show the database's instead of the bot's" },
    proxy: { type: "boolean", describe: "Show the proxy's instead of the bot's" },
  },
  examples: {
    "logs 50": "show the bot's last 50 lines",
    "logs -f": "show the last 100 lines and follow",
    "logs 20 --db": "show the database's last 20 lines",
  },
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
    if (status !== 0 && status !== READER_LEFT)
      throw new OperatorError(lastLine(stderr) || `docker logs ended with ${status}.`);
    return undefined;
  },
});
