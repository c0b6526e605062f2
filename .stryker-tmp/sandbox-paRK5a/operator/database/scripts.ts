// @ts-nocheck
import { serverPaths } from "../../infra/model/paths.ts";
import { byName } from "../../infra/model/scripts.ts";
import { OperatorError } from "../command.ts";
import { Server } from "../server.ts";
import type { Stack } from "../stack.ts";

/** A call of one of the database's scripts, which the stack has installed on the server. */
export interface DatabaseScript {
  script: "backup-db.sh" | "restore-db.sh" | "upgrade-db.sh";
  action?: string;
  options?: string[];
  /** Arguments by name. */
  env?: Record<string, string>;
}

/** The words of a call; the stack's settings file goes with it. */
export function wordsOf(stack: Stack, { script, action, options = [], env }: DatabaseScript): string[] {
  const { bin, settings } = serverPaths(stack.settings.server);
  return byName(env ?? {}, [`${bin}/${script}`, settings, ...(action ? [action] : []), ...options]);
}

/**
 * Runs a script on the server and shows what it reports; gives its standard output, unless that is shown too.
 *
 * @throws OperatorError with the script's last sentence
 */
export async function runDatabaseScript(
  stack: Stack,
  call: DatabaseScript,
  { server = new Server(stack), show = [] }: { server?: Server; show?: "stdout"[] } = {},
): Promise<string> {
  const { status, stdout, stderr } = await server.command(wordsOf(stack, call), { show });
  if (status === 127) {
    throw new OperatorError(`The server has no ${call.script} yet; run \`pulumi up\`, which puts it there.`);
  }
  const said = stderr.trim().split("\n").filter(Boolean);
  const last = status === 0 ? undefined : (said.pop() ?? `${call.script} ended with ${status}.`);
  if (said.length > 0) console.error(said.join("\n"));
  if (last !== undefined) throw new OperatorError(last);
  return stdout.trim();
}
