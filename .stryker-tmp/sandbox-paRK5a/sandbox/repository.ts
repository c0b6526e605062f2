// @ts-nocheck
import { cp, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "./docker.ts";
import type { ThrowawayServer } from "./server.ts";

const EXAMPLE = join(import.meta.dirname, "..", "examples", "hockey");

/** The sample bot in its own git repository, with the remote on the throwaway server. */
export interface BotRepository {
  /** The working tree on this machine. */
  directory: string;
  /** Path of the repository on the server: the stack's `app.repository`. */
  pathOnServer: string;
  /** The full hash of the newest commit. */
  head(): Promise<string>;
  /** Commits and pushes all changes in the working tree and returns the full hash. */
  push(message: string): Promise<string>;
}

/** Copies the sample bot to `directory`, commits it and pushes it to the server. */
export async function createBotRepository(
  server: ThrowawayServer,
  directory: string,
): Promise<BotRepository> {
  const repository = botRepository(directory);
  await cp(EXAMPLE, directory, {
    recursive: true,
    filter: (path) => !/__pycache__|\.pytest_cache|\.venv/.test(path),
  });
  const git = (...args: string[]) => run("git", ["-C", directory, ...args]);
  await run("git", ["init", "--quiet", "--initial-branch=main", directory]);
  const knownHosts = resolve(directory, ".git", "known_hosts");
  await writeFile(knownHosts, `[${server.host}]:${server.port} ${server.hostKey}\n`);
  // Stored in the clone, so that a plain `git push` works.
  const ssh = `ssh -i ${resolve(server.privateKeyFile)} -o IdentitiesOnly=yes -o UserKnownHostsFile=${knownHosts}`;
  await git("config", "core.sshCommand", ssh);
  await git("config", "user.name", "Demo");
  await git("config", "user.email", "demo@example.org");
  const url = `ssh://${server.user}@${server.host}:${server.port}${repository.pathOnServer}`;
  await run("ssh", [
    ...ssh.split(" ").slice(1),
    ...["-p", String(server.port), "-l", server.user, server.host],
    `git init --quiet --bare --initial-branch=main ${repository.pathOnServer}`,
  ]);
  await git("remote", "add", "origin", url);
  await repository.push("The sample bot");
  return repository;
}

/** Opens a repository that `createBotRepository` has made. */
export function botRepository(directory: string): BotRepository {
  const git = (...args: string[]) => run("git", ["-C", directory, ...args]);
  const head = () => git("rev-parse", "HEAD");
  return {
    directory,
    pathOnServer: "/srv/git/hockey.git",
    head,
    async push(message) {
      await git("add", "--all");
      await git("commit", "--quiet", "--message", message);
      await git("push", "--quiet", "--set-upstream", "origin", "HEAD:main");
      return head();
    },
  };
}
