import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";

import { deployKeyFile } from "../infra/model/ssh.ts";
import { run, SandboxError } from "./docker.ts";
import { botRepository, createBotRepository } from "./repository.ts";
import { isFree, startServer } from "./server.ts";
import { initStack, localStack, pulumi, pulumiOk, randomToken, type Stack } from "./stack.ts";

/**
 * The demo: a throwaway server, the sample bot in a git repository on it, a fake Telegram, and a stack with its state in a
 * directory. All files are below .demo/, except the stack's configuration, Pulumi.demo.yaml.
 */

const NAME = "demo";
const PROJECT = join(import.meta.dirname, "..");
const HOME = join(PROJECT, ".demo");
/** Where `npm run sandbox` keeps the key of a server of this name. */
const SERVER = join(PROJECT, ".sandbox", NAME);
const CLI = join(import.meta.dirname, "cli.ts");
/** The first port to try; if it is taken, the next free one is used. */
const PORT = 5000;

const step = (text: string) => {
  console.log(`\n── ${text}`);
};

const path = (...parts: string[]) => join(HOME, ...parts);
const shown = (file: string) => relative(process.cwd(), file) || ".";
const sandbox = (...args: string[]) => run(process.execPath, [CLI, ...args, "--name", NAME]);

async function up(): Promise<void> {
  await mkdir(path("state"), { recursive: true, mode: 0o700 });
  const passphrase = path("passphrase");
  if (!existsSync(passphrase))
    await writeFile(passphrase, randomBytes(24).toString("base64"), { mode: 0o600 });
  const stack = localStack({
    name: NAME,
    project: PROJECT,
    backend: path("state"),
    passphraseFile: passphrase,
  });
  await writeFile(path("env"), environment(stack), { mode: 0o600 });

  step("the throwaway server");
  const port = await proxyPort(stack);
  const server = await startServer({
    name: NAME,
    directory: SERVER,
    ports: [port],
    fixedPorts: { [port]: port },
  });
  console.log(`sshd on ${server.host}:${server.port}, ${server.hostKey.slice(0, 32)}…`);

  step("the sample bot in a git repository");
  const directory = path("hockey");
  const repository = existsSync(directory)
    ? botRepository(directory)
    : await createBotRepository(server, directory);
  console.log(`${shown(directory)} at ${(await repository.head()).slice(0, 7)}`);

  step("the fake Telegram");
  const token = await readFile(path("token"), "utf8").catch(() => randomToken());
  await writeFile(path("token"), token, { mode: 0o600 });
  const telegramUrl = /^telegram: (\S+)/m.exec(await sandbox("telegram", "--token", token))?.[1] ?? "";
  console.log(telegramUrl);

  if (!existsSync(join(PROJECT, `Pulumi.${NAME}.yaml`))) {
    step("the stack's configuration");
    await initStack(stack, { server, repository, telegramUrl, telegramToken: token, proxyPort: port });
    console.log(`Pulumi.${NAME}.yaml, its secrets encrypted`);
  }

  step("pulumi up");
  const { exitCode } = await pulumi(stack, ["up", "--yes", "--skip-preview"], { show: true });
  if (exitCode !== 0) throw new SandboxError("pulumi up failed, see above; scripts/demo tries again");

  const url = (await pulumiOk(stack, ["stack", "output", "url"])).trim();
  const env = shown(path("env"));
  console.log(`
The bot is up: ${url}

Three things to try next:
  1. A new release. Change something in ${shown(join(directory, "templates", "index.html"))}, then
       git -C ${shown(directory)} commit -am "My release" && git -C ${shown(directory)} push
       source ${env} && pulumi config set commit $(git -C ${shown(directory)} rev-parse HEAD) && pulumi up
  2. What would change, on the server as it is now:
       source ${env} && pulumi preview --diff
  3. Take everything down again:
       scripts/demo --down`);
}

async function down(): Promise<void> {
  await sandbox("down");
  await rm(HOME, { recursive: true, force: true });
  await rm(join(PROJECT, `Pulumi.${NAME}.yaml`), { force: true });
  await rm(join(PROJECT, deployKeyFile(NAME)), { force: true });
  console.log("The demo's server, state and files are gone.");
}

/** The environment in which a shell can run `pulumi` on the demo's stack. */
function environment(stack: Stack): string {
  const lines = Object.entries({ ...stack.env, PULUMI_STACK: stack.name })
    .filter(([key]) => key !== "PATH")
    .map(([key, value]) => `export ${key}='${value}'`);
  return [...lines, `export PATH='${join(PROJECT, ".tools", "bin")}':"$PATH"`, ""].join("\n");
}

/** The port of a running demo, else the first free one. */
async function proxyPort(stack: Stack): Promise<number> {
  if (existsSync(join(PROJECT, `Pulumi.${NAME}.yaml`))) {
    return Number(await pulumiOk(stack, ["config", "get", "--path", "proxy.port"]));
  }
  for (let port = PORT; port < PORT + 100; port += 1) if (await isFree(port)) return port;
  throw new SandboxError(`the ports ${PORT} to ${PORT + 99} of this machine are all taken: free one`);
}

void yargs(hideBin(process.argv))
  .scriptName("scripts/demo")
  .usage("$0 [--down]\n\nA bot on a server in one command: on a throwaway server on this machine.")
  .option("down", { type: "boolean", describe: "Remove everything that the demo made" })
  .strict()
  .version(false)
  .parseAsync()
  .then((args) => (args.down ? down() : up()))
  .catch((error: unknown) => {
    console.error(error instanceof Error ? `error: ${error.message}` : error);
    process.exitCode = 1;
  });
