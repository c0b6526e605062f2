import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { ServerSettings } from "./schema.ts";
import { digest } from "./digest.ts";

/**
 * How this machine talks to the server: one set of options for OpenSSH, used by the checks before a
 * preview and by the Docker provider, which runs `ssh` itself. Paths are relative to the project's
 * directory, so that no path of one machine gets into the stack's state.
 */

/** Directory for the control socket and the deploy key; ignored by git but for its .gitignore. */
const DIRECTORY = ".ssh";
/** Where the program puts the deploy key. */
export const DEPLOY_KEY = `${DIRECTORY}/deploy_key`;

/** The options, without host and user. The host key is pinned inside them, so that no known_hosts file is needed. */
export function sshOptions(server: ServerSettings, withKey: boolean): string[] {
  const pin = digest(server.hostKey).slice(0, 8);
  const options = {
    BatchMode: "yes",
    ConnectTimeout: "10",
    ServerAliveInterval: "15",
    // One connection for everything that an update asks of Docker: each question would dial anew, and sshd's
    // MaxStartups drops connections that come too fast. It closes by itself.
    ControlMaster: "auto",
    ControlPath: `${DIRECTORY}/${pin}-%C`,
    ControlPersist: "20",
    // Only the pinned key counts. KnownHostsCommand (OpenSSH 8.5, 2021) gives it without a file.
    StrictHostKeyChecking: "yes",
    UserKnownHostsFile: "/dev/null",
    GlobalKnownHostsFile: "/dev/null",
    KnownHostsCommand: `/bin/echo %H ${server.hostKey}`,
    ...(withKey && { IdentityFile: DEPLOY_KEY, IdentitiesOnly: "yes" }),
  };
  return Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/** Arguments of OpenSSH for one command on the server. */
export function sshArguments(server: ServerSettings, withKey: boolean, words: string[]): string[] {
  const { host, port, user } = server;
  return [...sshOptions(server, withKey), "-p", String(port), "-l", user, host, shellCommand(words)];
}

/** Puts the deploy key where `sshOptions` says; without one it removes an older one, and ssh asks ssh-agent. */
export function writeDeployKey(key: string | undefined): void {
  const present = existsSync(DEPLOY_KEY) ? readFileSync(DEPLOY_KEY, "utf8") : undefined;
  if (present === key) return;
  // A connection that the old key opened goes too: another key must prove itself anew.
  mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
  for (const entry of readdirSync(DIRECTORY)) if (entry !== ".gitignore") rmSync(`${DIRECTORY}/${entry}`);
  if (key !== undefined) writeFileSync(DEPLOY_KEY, key, { mode: 0o600 });
}

/** ssh's own exit status for "no connection"; also given where ssh itself was ended. */
export const NO_CONNECTION = 255;

/** What a script on the server left: its exit status and what it said. */
export interface Answer {
  status: number;
  stdout: string;
  stderr: string;
}

/** The fault behind an answer of the server, and what to do; undefined for a success. */
export function explain(
  { status, stderr }: Answer,
  { server, sshPrivateKey }: { server: ServerSettings; sshPrivateKey?: string },
): string | undefined {
  if (status === 0) return undefined;
  const last = stderr.trim().split("\n").at(-1) ?? "";
  if (status !== NO_CONNECTION)
    return asSentence(last || `The script on the server ended with status ${status}`);
  const address = `${server.host}:${server.port}`;
  if (/host key verification failed/i.test(stderr)) {
    return `The server at ${address} shows another host key than the pinned one; compare \`server.hostKey\` with the server's /etc/ssh/ssh_host_*_key.pub and correct it, or find out who answers there.`;
  }
  if (/permission denied|too many authentication failures|error in libcrypto|invalid format/i.test(stderr)) {
    const key = sshPrivateKey === undefined ? "the key in your ssh-agent (`ssh-add -l`)" : "`sshPrivateKey`";
    return `The server at ${address} does not accept ${key} for the user ${server.user}; correct it, or add its public half to that user's ~/.ssh/authorized_keys.`;
  }
  if (/could not resolve|name or service not known/i.test(stderr)) {
    return `The server's name ${server.host} is unknown; correct \`server.host\`.`;
  }
  return `The server does not answer at ${address} (${last || "no answer in time"}); correct \`server.host\` or \`server.port\`, or see that sshd runs and the firewall lets you in.`;
}

/** What a tool says may lack its full stop; the caller adds a sentence. */
const asSentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** One line for the login shell from separate words, each quoted. */
export function shellCommand(words: string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}
