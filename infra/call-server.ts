import { answerSeconds } from "./model/limits.ts";
import { runCommand } from "./model/run-command.ts";
import type { StackSettings } from "./model/server-settings.ts";
import { type Answer, NO_CONNECTION, sshArguments } from "./model/ssh.ts";

/**
 * Runs one command on the server while the program runs, over the connection that OpenSSH keeps for all of them. Without a
 * deploy key in the configuration, ssh-agent is asked.
 */
export async function callServer(
  { server, app, sshPrivateKey }: StackSettings & { sshPrivateKey?: string },
  stack: string,
  words: string[],
  input?: string,
): Promise<Answer> {
  const args = sshArguments(server, { stack, withKey: sshPrivateKey !== undefined }, words);
  const {
    status = NO_CONNECTION,
    stdout,
    stderr,
  } = await runCommand("ssh", args, { input, timeout: answerSeconds(app.startSeconds) });
  return { status, stdout, stderr };
}
