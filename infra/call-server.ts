import { runCommand } from "./model/run-command.ts";
import type { ServerSettings } from "./model/schema.ts";
import { type Answer, NO_CONNECTION, sshArguments } from "./model/ssh.ts";

/**
 * Runs one command on the server while the program runs, over the connection that OpenSSH keeps for all of them.
 *
 * @param withKey whether the deploy key is in the configuration; else ssh-agent is asked
 * @param seconds after which it counts as unanswered
 */
export async function callServer(
  server: ServerSettings,
  words: string[],
  { withKey, seconds, input }: { withKey: boolean; seconds: number; input?: string },
): Promise<Answer> {
  const args = sshArguments(server, withKey, words);
  const {
    status = NO_CONNECTION,
    stdout,
    stderr,
  } = await runCommand("ssh", args, { input, timeout: seconds });
  return { status, stdout, stderr };
}
