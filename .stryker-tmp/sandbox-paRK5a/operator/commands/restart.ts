// @ts-nocheck
import { OperatorError, define } from "../command.ts";
import { lastLine } from "../run.ts";
import { Server } from "../server.ts";
import { openStack } from "../stack.ts";

export default define({
  details: "Requests wait at the proxy until the bot is healthy again. Needs SSH alone, no Pulumi.",
  examples: { restart: "restart the bot" },
  exits: { 1: "failed" },
  async run({ stack: name }) {
    const began = Date.now();
    const stack = openStack(name);
    const { settings } = stack;
    const { status, stderr } = await new Server(stack).script("restart-bot.sh", {}, { show: ["stderr"] });
    if (status !== 0) throw new OperatorError(`The restart failed: ${lastLine(stderr)}`);
    console.log(`restart: ${settings.name} is well again, ${((Date.now() - began) / 1000).toFixed(1)} s`);
    return undefined;
  },
});
