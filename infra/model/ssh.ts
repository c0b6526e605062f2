import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import type { ServerSettings } from "./schema.ts";
import { digest } from "./digest.ts";

/**
 * How this machine talks to the server: one set of options for OpenSSH, used by the checks before a
 * preview and by the Docker provider, which runs `ssh` itself. Paths are relative to the project's
 * directory, so that no path of one machine gets into the stack's state.
 */

/** Directory for the control sockets and the deploy keys; ignored by git but for its .gitignore. */
const DIRECTORY = ".ssh";
/** What the name of every key's file begins with: workflows remove them all. */
export const DEPLOY_KEYS = `${DIRECTORY}/deploy_key`;
/** Where the deploy key of a stack is. */
export const deployKeyFile = (stack: string) => `${DEPLOY_KEYS}.${stack}`;
/** Beside it, where a command has put it there: which encrypted text it comes from. */
const originFile = (stack: string) => `${DEPLOY_KEYS}_origin.${stack}`;
/** What the sockets of a stack begin with. */
const socketsOf = (stack: string) => `${digest(stack).slice(0, 8)}-`;

/** The options, without host and user. The host key is pinned inside them, so that no known_hosts file is needed. */
export function sshOptions(server: ServerSettings, stack: string, withKey: boolean): string[] {
  const pin = digest(server.hostKey).slice(0, 8);
  const options = {
    BatchMode: "yes",
    ConnectTimeout: "10",
    ServerAliveInterval: "15",
    // One connection for everything that an update asks of Docker: each question would dial anew, and sshd's
    // MaxStartups drops connections that come too fast. It closes by itself. Another stack's may have another key.
    ControlMaster: "auto",
    ControlPath: `${DIRECTORY}/${socketsOf(stack)}${pin}-%C`,
    ControlPersist: "20",
    // Only the pinned key counts. KnownHostsCommand (OpenSSH 8.5, 2021) gives it without a file.
    StrictHostKeyChecking: "yes",
    UserKnownHostsFile: "/dev/null",
    GlobalKnownHostsFile: "/dev/null",
    KnownHostsCommand: `/bin/echo %H ${server.hostKey}`,
    ...(withKey && { IdentityFile: deployKeyFile(stack), IdentitiesOnly: "yes" }),
  };
  return Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/** Arguments of OpenSSH for one command on the server. */
export function sshArguments(
  server: ServerSettings,
  { stack, withKey }: { stack: string; withKey: boolean },
  words: string[],
): string[] {
  const { host, port, user } = server;
  const options = sshOptions(server, stack, withKey);
  return [...options, "-p", String(port), "-l", user, host, shellCommand(words)];
}

/**
 * Puts a stack's deploy key where `sshOptions` says; without one it removes an older one, and ssh asks ssh-agent.
 *
 * @param origin the digest of the encrypted text that the key comes from, where that is known
 */
export function writeDeployKey(stack: string, key: string | undefined, origin?: string): void {
  const file = deployKeyFile(stack);
  if (read(file) !== key) {
    mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
    // A connection that the old key opened goes too: another key must prove itself anew.
    for (const entry of readdirSync(DIRECTORY))
      if (entry.startsWith(socketsOf(stack))) rmSync(`${DIRECTORY}/${entry}`);
    for (const old of [file, originFile(stack)]) rmSync(old, { force: true });
    if (key !== undefined)
      replace(file, (path) => {
        writeFileSync(path, key, { mode: 0o600 });
      });
  }
  if (key === undefined) return;
  linkEarlier(stack);
  if (origin !== undefined) writeFileSync(originFile(stack), origin, { mode: 0o600 });
}

/** Whether the deploy key of a stack is there and comes from the encrypted text with this digest; then it is ready. */
export function findDeployKey(stack: string, origin: string): boolean {
  const isThere = existsSync(deployKeyFile(stack)) && read(originFile(stack)) === origin;
  if (isThere) linkEarlier(stack);
  return isThere;
}

/** States of earlier versions name one file for all stacks: it leads to the key of the stack that was used last. */
function linkEarlier(stack: string): void {
  replace(DEPLOY_KEYS, (path) => {
    symlinkSync(basename(deployKeyFile(stack)), path);
  });
}

/** Another command that runs meanwhile sees the old file or the new one. */
function replace(file: string, make: (path: string) => void): void {
  const fresh = `${file}.${process.pid}.new`;
  make(fresh);
  renameSync(fresh, file);
}

const read = (file: string) => (existsSync(file) ? readFileSync(file, "utf8") : undefined);

/** What tells a host key for people, as ssh-keygen -l prints it. */
export function fingerprint(hostKey: string): string {
  const [, blob = ""] = hostKey.split(" ");
  const hash = createHash("sha256").update(Buffer.from(blob, "base64")).digest("base64");
  return `SHA256:${hash.replace(/=+$/, "")}`;
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
