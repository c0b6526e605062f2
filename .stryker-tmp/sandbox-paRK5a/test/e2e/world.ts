// @ts-nocheck
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { type BotRepository, createBotRepository } from "../../sandbox/repository.ts";
import { removeServer, serverExec, startServer, type ThrowawayServer } from "../../sandbox/server.ts";
import { initStack, localStack, pulumi, pulumiOk, randomToken, type Stack } from "../../sandbox/stack.ts";
import { type FakeTelegram, startTelegram } from "../../sandbox/telegram.ts";
import { PROJECT } from "./documents.ts";

/** A throwaway server, the sample bot's repository on it, a fake Telegram, and a stack that is configured but not up. */
export interface World {
  server: ThrowawayServer;
  repository: BotRepository;
  telegram: FakeTelegram;
  stack: Stack;
  /** The page, as this machine reaches it. */
  url: string;
  /** Every secret that the stack was given, by its key. */
  secrets: Record<string, string>;
  /** Directory of all that the world keeps on this machine. */
  directory: string;
  /** Runs a command on the server as root and gives its standard output. */
  onServer(...command: string[]): Promise<string>;
  /** Changes the sample bot with an edit of one file, commits and pushes it; gives the commit. */
  release(file: string, edit: (text: string) => string): Promise<string>;
  close(): Promise<void>;
}

/** @param name of the server; one of each name at a time */
export async function createWorld(name: string): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), `hockey-${name}-`));
  await removeServer(name);
  const server = await startServer({ name, directory: join(directory, "server") });
  const repository = await createBotRepository(server, join(directory, "hockey"));
  const telegramToken = randomToken();
  const telegram = await startTelegram({ host: server.gateway, tokens: [telegramToken] });
  const project = join(directory, "project");
  await copyProject(project);
  const stack = await stackIn(directory, project);
  const target = { server, repository, telegramUrl: telegram.url, telegramToken, proxyPort: 5000 };
  const secrets = await initStack(stack, target);
  await commitProject(project);
  return {
    ...{ server, repository, telegram, stack, secrets, directory },
    url: `http://127.0.0.1:${server.publicPort(5000)}`,
    onServer: (...command) => serverExec(server, command),
    async release(file, edit) {
      const path = join(repository.directory, file);
      await writeFile(path, edit(await readFile(path, "utf8")));
      return repository.push(`Change ${file}`);
    },
    async close() {
      await telegram.close();
      await removeServer(name);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Copies the project into a git repository of its own, as it stands in the working tree, uncommitted changes included. */
export async function copyProject(project: string): Promise<void> {
  const listed = await run("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: PROJECT });
  for (const file of listed.split("\0").filter(Boolean)) {
    await mkdir(dirname(join(project, file)), { recursive: true });
    await cp(join(PROJECT, file), join(project, file)).catch((error: unknown) => {
      // Deleted, but not yet committed: a clone would not have it either.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    });
  }
  await run("git", ["init", "--quiet", "--initial-branch=main", project]);
}

async function commitProject(project: string): Promise<void> {
  await run("git", ["-C", project, "add", "--all"]);
  const author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
  await run("git", ["-C", project, ...author, "commit", "--quiet", "--message", "The project"]);
}

/** Another machine's view: a clone of the world's project in another directory, with the same passphrase and state. */
export async function freshClone(world: World, name: string): Promise<Stack> {
  const project = join(world.directory, name);
  await run("git", ["clone", "--quiet", world.stack.project, project]);
  return stackIn(world.directory, project);
}

async function stackIn(directory: string, project: string): Promise<Stack> {
  await symlink(join(PROJECT, "node_modules"), join(project, "node_modules"));
  const backend = join(directory, "state");
  const passphraseFile = join(directory, "passphrase");
  await mkdir(backend, { recursive: true });
  await writeFile(passphraseFile, "a passphrase for tests", { mode: 0o600 });
  return localStack({ name: "test", project, backend, passphraseFile });
}

/** `pulumi up` without questions; fails the test when it fails. */
export const up = (world: World) => pulumiOk(world.stack, ["up", "--yes", "--skip-preview"]);

/** Whether the stack's program and its state agree. */
export async function unchanged(stack: Stack): Promise<boolean> {
  const { exitCode, output } = await pulumi(stack, ["preview", "--expect-no-changes", "--diff"]);
  if (exitCode !== 0) console.error(output);
  return exitCode === 0;
}

/** Asks again and again until an answer is truthy. */
export async function eventually<T>(
  question: () => Promise<T> | T,
  what: string,
  seconds = 30,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await Promise.resolve()
      .then(question)
      .catch(() => undefined);
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
