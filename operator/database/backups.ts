import { serverPaths } from "../../infra/model/paths.ts";
import { OperatorError } from "../command.ts";
import { lastLine } from "../run.ts";
import { Server } from "../server.ts";
import type { Stack } from "../stack.ts";

/** Runs backup-db.sh or restore-db.sh where the stack has put them, with the stack's settings; shows what they say. */
export async function onBackups(stack: Stack, script: string, args: string[]): Promise<void> {
  const { bin, settings } = serverPaths(stack.settings.server);
  const words = [`${bin}/${script}`, settings, ...args];
  const { status, stderr } = await new Server(stack).command(words, { show: ["stdout"] });
  if (status === 75)
    throw new OperatorError("Another backup or restore is running; try again when it is done.");
  if (status === 127)
    throw new OperatorError(`The server has no ${script} yet; run \`pulumi up\`, which puts it there.`);
  if (status !== 0) throw new OperatorError(lastLine(stderr) || `${script} ended with ${status}.`);
}
