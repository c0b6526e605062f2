/**
 * Records what the program of this checkout leaves: on a throwaway server of its own it releases two commits of the
 * sample bot, stores rows, makes a backup, looks at health and drift, and writes a fixture that replay.ts re-creates.
 *
 * usage: record.ts NAME    writes test/e2e/takeover/NAME, which must not exist yet
 */
import assert from "node:assert/strict";
import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { parseDocument } from "yaml";
import { run } from "../../../sandbox/docker.ts";
import { serverExec } from "../../../sandbox/server.ts";
import { pulumiOk } from "../../../sandbox/stack.ts";
import { operate } from "../operator.ts";
import { eventually } from "../eventually.ts";
import { createWorld, type World } from "../world.ts";
import {
  type Commits,
  CONTAINERS,
  containerValues,
  digest,
  generalise,
  imageValues,
  inspect,
  machineValues,
  substitute,
  type Values,
} from "./machine.ts";
import {
  type ContainerSettings,
  type DockerSettings,
  historyOf,
  HOME,
  provenLines,
  pushReleases,
  resourceOf,
  type State,
} from "./replay.ts";

const IMAGES = {
  EARLIER_IMAGE: "training_bot:@EARLIER_COMMIT@",
  RUNNING_IMAGE: "training_bot:@RUNNING_COMMIT@",
  DB_IMAGE: "postgres:13",
  PROXY_IMAGE: "caddy:2",
};
/** The secrets that are another server's and another fake Telegram's at the next replay. */
const MACHINE_SECRETS = ["sshPrivateKey", "telegramToken"];
/** Files that the replay makes by what made them here, or computes. */
const MADE_ANEW = ["build.log", ".build-lock", "proven", "manifest.sha256"];

/** The properties of the bot's container whose digest bot-hold gets, in the order of the program (infra/components/Bot.ts). */
const HASHED = [
  ...["restart", "mustRun", "logDriver", "logOpts", "max-size", "max-file", "memory", "memorySwap"],
  ...["securityOpts", "name", "image", "networkMode", "envs", "uploads", "file", "content", "executable"],
  ...["healthcheck", "tests", "interval", "timeout", "retries", "startPeriod", "capabilities", "drops"],
  ...["init", "destroyGraceSeconds", "stopTimeout", "labels", "label", "value", "wait"],
];
const HASHED_VARIABLES = [
  ...["DATABASE_URL", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"],
  ...["TELEGRAM_TOKEN", "SECRET_KEY", "PORT", "COMMIT_SHA", "TELEGRAM_API_URL"],
];

/** Two releases, rows from the page and from a chat, a backup, and what health and drift remember on the server. */
async function make(world: World): Promise<Commits> {
  const ok = async (command: string, ...args: string[]) => {
    const { exitCode, output } = await operate(world.stack, command, args);
    assert.equal(exitCode, 0, `${command}: ${output}`);
  };
  const { earlier, running } = await pushReleases(world);
  await ok("deploy", earlier);
  for (const minutes of [20, 45]) {
    const stored = await fetch(`${world.url}/api/trainings`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ player: "Mika", what: "slapshots", minutes }),
    });
    assert.equal(stored.status, 201);
  }
  world.telegram.sendAsUser({ text: "/train skating 30", chat_id: 77 });
  await eventually(() => world.telegram.sent().length > 0, "an answer");
  await ok("deploy");
  await ok("backup");
  await ok("health");
  await ok("drift");
  return { earlier, running };
}

/** The files of a fixture, by their paths in it. */
export async function capture(world: World, commits: Commits): Promise<Record<string, string | Buffer>> {
  const { stack } = world;
  const state = JSON.parse(await pulumiOk(stack, ["stack", "export", "--show-secrets"])) as State;
  const { inputs: bot } = resourceOf(state, "bot-container");
  const network = String(resourceOf(state, "network").inputs.name);
  const stdin = String(plain(resourceOf(state, "server-files").inputs.stdin));
  const changes = hashed(bot);
  const machine = await machineValues(world, commits);
  const values: Values = {
    ...machine,
    ...(await imageValues(world, substitute(IMAGES, machine))),
    ...(await containerValues(world, network)),
    FILES: stdin,
    BOT_CHANGES: digest(changes),
  };
  assert.equal(plain(resourceOf(state, "bot-hold").inputs.stdin), values.BOT_CHANGES, "HASHED is in order");
  // Where in the program a resource was declared: bulky, and without effect.
  for (const resource of state.deployment.resources) {
    delete resource.sourcePosition;
    delete resource.stackTrace;
  }
  const docker = generalise(await dockerSettings(world, network), values);
  const proven = await world.onServer("cat", `${HOME}/hockey/proven`);
  assert.deepEqual(proven.split("\n"), await provenLines(world, docker, values));

  const pretty = (json: unknown) => {
    const general = generalise(json, values);
    // Without values it writes nested JSON anew and nothing else: Pulumi escapes more of it than JavaScript.
    assert.deepEqual(substitute(general, values), generalise(json, {}));
    return `${JSON.stringify(general, null, 2)}\n`;
  };
  const config = `Pulumi.${stack.name}.yaml`;
  const listed = await listing(world);
  const files: Record<string, string | Buffer> = {
    passphrase: await readFile(stack.env.PULUMI_CONFIG_PASSPHRASE_FILE ?? "", "utf8"),
    [config]: generalise(withoutSecrets(await readFile(join(stack.project, config), "utf8")), values),
    "state.json": pretty(state),
    "bot-changes.json": pretty(JSON.parse(changes)),
    "docker.json": `${JSON.stringify(docker, null, 2)}\n`,
    "bot.tar.gz": await botSources(world),
    // After the script that unpacks it.
    "files.tar.gz": gzipSync(Buffer.from(stdin.slice(stdin.lastIndexOf("\n")), "base64"), { level: 9 }),
    crontab: `${await serverExec(world.server, ["crontab", "-l"], { user: "deploy" })}\n`,
    listing: `${listed.join("\n")}\n`,
  };
  for (const name of await readdir(historyOf(stack))) {
    if (!name.endsWith(".history.json")) continue;
    files[`history/${name}`] = pretty(JSON.parse(await readFile(join(historyOf(stack), name), "utf8")));
  }
  const manifest = await world.onServer("cut", "-c", "67-", `${HOME}/hockey/manifest.sha256`);
  const known = [...manifest.split("\n"), ...MADE_ANEW].map((name) => `hockey/${name}`);
  for (const [, mode, path = ""] of listed.flatMap((line) => [/^f (\S+) \S+ (.*)$/.exec(line) ?? []])) {
    if (path === "" || known.includes(path)) continue;
    assert.equal(mode, "600", path);
    const content = await world.onServer("base64", "--wrap=0", `${HOME}/${path}`);
    files[`home/${path}`] = Buffer.from(content, "base64");
  }
  for (const [name, content] of Object.entries(files)) {
    assert.doesNotMatch(content.toString(), /PRIVATE KEY|\/tmp\/|\/work\//, name);
  }
  return files;
}

/** A value of the state; that of a secret as `stack export --show-secrets` writes it. */
function plain(value: unknown): unknown {
  const { plaintext } = Object(value) as { plaintext?: string };
  return plaintext === undefined ? value : JSON.parse(plaintext);
}

/** The text that the program hashes of the bot's container. The state has lost its order, which a list of keys gives back. */
function hashed(inputs: Record<string, unknown>): string {
  const variables = plain(inputs.envs) as string[];
  const envs = HASHED_VARIABLES.map((name) => variables.find((variable) => variable.startsWith(`${name}=`)));
  return JSON.stringify({ ...inputs, envs }, HASHED);
}

interface Container {
  Id: string;
  Config: ContainerSettings;
  HostConfig: Record<string, unknown>;
}

/** What the stack asked Docker for: the settings that a container made without any does not have. */
async function dockerSettings(world: World, networkName: string): Promise<DockerSettings> {
  const containers: Record<string, ContainerSettings> = {};
  // In the order in which they got their addresses.
  for (const name of [CONTAINERS.DB, CONTAINERS.PROXY, CONTAINERS.BOT]) {
    const { Config, HostConfig } = await inspect<Container>(world, "container", name);
    const bare = await inspect<Container>(
      world,
      "container",
      await world.onServer("docker", "create", Config.Image),
    );
    await world.onServer("docker", "rm", "--volumes", bare.Id);
    const { Hostname, ...config } = added({ ...Config }, { ...bare.Config });
    assert.ok(Hostname);
    containers[name] = {
      ...(config as unknown as ContainerSettings),
      Image: Config.Image,
      HostConfig: added(HostConfig, bare.HostConfig),
    };
  }
  const { Name, Driver, EnableIPv6, Internal, Attachable, Ingress, Options, Labels } = await inspect<
    Record<string, unknown>
  >(world, "network", networkName);
  const network = { Name: String(Name), Driver, EnableIPv6, Internal, Attachable, Ingress, Options, Labels };
  const volumes = (await world.onServer("docker", "volume", "ls", "--quiet")).split("\n");
  return { images: IMAGES, volumes, network, containers };
}

/** The settings that are not those of the bare container; of lists and maps, what was added to them. */
function added(settings: Record<string, unknown>, bare: Record<string, unknown>): Record<string, unknown> {
  const own = Object.entries(settings).flatMap(([key, value]): [string, unknown][] => {
    const base = bare[key];
    const isSame = value === null || JSON.stringify(value) === JSON.stringify(base);
    // The command line attaches itself to what it creates, the stack does not.
    if (isSame || key.startsWith("Attach")) return [];
    if (key === "Env")
      return [[key, (value as string[]).filter((line) => !(base as string[]).includes(line))]];
    if (key === "Labels") return [[key, added(Object(value) as typeof bare, Object(base) as typeof bare)]];
    return [[key, value]];
  });
  return Object.fromEntries(own);
}

function withoutSecrets(config: string): string {
  const document = parseDocument(config);
  for (const key of MACHINE_SECRETS) document.deleteIn(["config", `hockey:${key}`]);
  return document.toString({ lineWidth: 0 });
}

async function botSources({ repository, directory }: World): Promise<Buffer> {
  const archive = join(directory, "bot.tar.gz");
  await run("git", ["-C", repository.directory, "archive", "--output", archive, "HEAD"]);
  return readFile(archive);
}

/** Everything below the stack's two directories but what git keeps: kind, mode, owner, path. */
async function listing(world: World): Promise<string[]> {
  const lines = await world.onServer(
    ...["find", `${HOME}/hockey`, `${HOME}/backups`, "-path", "*/repository.git/*", "-prune"],
    ...["-o", "-printf", "%y %m %u:%g %p\n"],
  );
  return lines
    .split("\n")
    .map((line) => line.replace(`${HOME}/`, ""))
    .sort();
}

async function main([name = ""]: string[]): Promise<void> {
  assert.match(name, /^[0-9a-z]+$/, "usage: record.ts NAME");
  const directory = join(import.meta.dirname, name);
  await assert.rejects(access(join(directory, "state.json")), `${directory} is there already`);
  const world = await createWorld("takeover-record", { port: 5000 });
  try {
    const files = await capture(world, await make(world));
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), content);
    }
  } finally {
    await world.close();
  }
}

if (process.argv[1] === import.meta.filename) void main(process.argv.slice(2));
