import { randomBytes } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Acme } from "../../sandbox/acme.ts";
import { run } from "../../sandbox/docker.ts";
import { type BotRepository, createBotRepository } from "../../sandbox/repository.ts";
import {
  freePort,
  removeServer,
  serverExec,
  startServer,
  type ThrowawayServer,
} from "../../sandbox/server.ts";
import { initStack, localStack, pulumi, pulumiOk, randomToken, type Stack } from "../../sandbox/stack.ts";
import { type FakeTelegram, startTelegram } from "../../sandbox/telegram.ts";
import type { Page } from "./clients.ts";
import { PROJECT } from "./documents.ts";

/** In a world's directory. */
const PASSPHRASE_FILE = "passphrase";

/** A throwaway server, the sample bot's repository on it, a fake Telegram, and a stack that is configured but not up. */
export interface World extends Page {
  server: ThrowawayServer;
  repository: BotRepository;
  telegram: FakeTelegram;
  stack: Stack;
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

/** Where a world and its page are. */
export interface Place {
  /** The DNS and ACME server that everything there asks. */
  acme?: Acme;
  /** The page's domain, which leads to the server; it needs `acme`. */
  domain?: string;
  /** The proxy's port of the server; else it is the same as this machine's, as with a real address. */
  port?: number;
}

/**
 * The server's cron does not run before its next boot; a test that needs it starts it.
 * @param name of the server; one of each name at a time
 */
export async function createWorld(name: string, { acme, domain, port }: Place = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), `hockey-${name}-`));
  await removeServer(name);
  const proxyPort = port ?? (await freePort());
  const server = await startServer({
    ...{ name, directory: join(directory, "server"), dns: acme?.address },
    ...(port === undefined ? { ports: [], fixedPorts: { [proxyPort]: proxyPort } } : { ports: [port] }),
  });
  // A test must not depend on the hour: cron looks after the bot at every half, and makes a backup once a day. It starts
  // with the next boot, after which the stack needs it.
  await serverExec(server, ["systemctl", "stop", "cron"]);
  await acme?.becomeTrustedBy(server);
  const repository = await createBotRepository(server, join(directory, "hockey"));
  const telegramToken = randomToken();
  const telegram = await startTelegram({ host: server.gateway, tokens: [telegramToken] });
  const passphrase = `a passphrase for tests: ${randomBytes(12).toString("hex")}`;
  await writeFile(join(directory, PASSPHRASE_FILE), passphrase, { mode: 0o600 });
  const project = join(directory, "project");
  await copyProject(project);
  const stack = await stackIn(directory, project);
  const target = { server, repository, telegramUrl: telegram.url, telegramToken, proxyPort };
  const secrets = await initStack(stack, target);
  const page =
    acme && domain
      ? await secured(stack, server, { acme, domain })
      : { url: `http://127.0.0.1:${server.publicPort(proxyPort)}` };
  await commitProject(project);
  return {
    ...{ server, repository, telegram, stack, secrets, directory, ...page },
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

/** Gives a stack a domain that leads to its server. */
async function secured(
  stack: Stack,
  server: ThrowawayServer,
  { domain, acme }: { domain: string; acme: Acme },
): Promise<Page> {
  await acme.lead(domain, server.address);
  await pulumiOk(stack, ["config", "set", "--path", "proxy.domain", domain]);
  return { url: `https://${domain}`, tls: { address: server.address, ca: await acme.root() } };
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
  await mkdir(backend, { recursive: true });
  return localStack({ name: "test", project, backend, passphraseFile: join(directory, PASSPHRASE_FILE) });
}

/** `pulumi up` without questions; fails the test when it fails. */
export const up = (world: World) => pulumiOk(world.stack, ["up", "--yes", "--skip-preview"]);

/** Whether the stack's program and its state agree. */
export async function unchanged(stack: Stack): Promise<boolean> {
  const { exitCode, output } = await pulumi(stack, ["preview", "--expect-no-changes", "--diff"]);
  if (exitCode !== 0) console.error(output);
  return exitCode === 0;
}
