import { execa } from "execa";
import type { ServerSettings } from "./model/schema.ts";
import { type Answer, NO_CONNECTION, shellCommand, sshOptions } from "./model/ssh.ts";

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
  const to = ["-p", String(server.port), "-l", server.user, server.host, shellCommand(words)];
  const options = { input: input ?? "", reject: false, timeout: seconds * 1000 } as const;
  const { exitCode, stdout, stderr } = await execa("ssh", [...sshOptions(server, withKey), ...to], options);
  return { status: exitCode ?? NO_CONNECTION, stdout, stderr };
}
