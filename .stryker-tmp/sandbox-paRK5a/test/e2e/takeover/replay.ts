// @ts-nocheck
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32, gunzipSync } from "node:zlib";
import { run } from "../../../sandbox/docker.ts";
import { loadImages, serverExec } from "../../../sandbox/server.ts";
import { pulumiOk, type Stack } from "../../../sandbox/stack.ts";
import { eventually, type World } from "../world.ts";
import {
  type Commits,
  CONTAINERS,
  containerValues,
  digest,
  imageValues,
  inspect,
  machineValues,
  substitute,
  type Values,
} from "./machine.ts";

// Names, paths and images of a stack as it was then, whatever those of today are.
export const HOME = "/home/deploy";
const USER = "deploy";
const DATABASE = { CONTAINER: CONTAINERS.DB, ROLE: "hockey", DATABASE: "hockey_db" };
const NEEDED_IMAGES = ["python:3.10-slim", "postgres:13", "caddy:2"];
const PAGE = "templates/index.html";
const READY_SECONDS = 60;

/** A resource as `pulumi stack export` gives it. */
export interface Resource {
  urn: string;
  custom: boolean;
  inputs: Record<string, unknown>;
  sourcePosition?: string;
  stackTrace?: unknown;
}

export interface State {
  deployment: { resources: Resource[] };
}

/** What a container was created with, as Docker's API takes it. */
export interface ContainerSettings {
  Image: string;
  Env: string[];
  HostConfig: Record<string, unknown>;
}

/** What the stack has in the server's Docker Engine. */
export interface DockerSettings {
  /** Names of images, by the placeholders of their ids. */
  images: Record<string, string>;
  volumes: string[];
  network: { Name: string } & Record<string, unknown>;
  containers: Record<string, ContainerSettings>;
}

/** The resource of that name, which is no component. @throws Error when the state has none */
export function resourceOf({ deployment }: State, name: string): Resource {
  const found = deployment.resources.find(({ urn, custom }) => custom && urn.endsWith(`::${name}`));
  if (found === undefined) throw new Error(`The state has no resource ${name}.`);
  return found;
}

/** Directory in which a file:// backend keeps the history of a stack. */
export function historyOf({ name, env }: Stack): string {
  const backend = (env.PULUMI_BACKEND_URL ?? "").slice("file://".length);
  return join(backend, ".pulumi", "history", "hockey", name);
}

/** Commits two releases of the bot, which differ in the title of their page. */
export async function pushReleases(world: World): Promise<Commits> {
  const release = (title: string) =>
    world.release(PAGE, (page) => page.replace(/<h1>(First |Second )?/, `<h1>${title} `));
  return { earlier: await release("First"), running: await release("Second") };
}

/**
 * Turns a world whose stack was never up into one that an earlier version of the program has left: state, history and
 * configuration on this machine; files, crontab, images, network, volumes, containers and data on the server.
 *
 * Of the world's secrets, the deploy key and the Telegram token stay; the others become the fixture's.
 *
 * @param fixture directory that record.ts has written
 * @returns the release that was live before, and the one that runs
 */
export async function replay(world: World, fixture: string): Promise<Commits> {
  const text = (name: string) => readFile(join(fixture, name), "utf8");
  const json = async <T>(name: string) => JSON.parse(await text(name)) as T;
  const [state, docker] = [await json<State>("state.json"), await json<DockerSettings>("docker.json")];

  await unpackBot(world, join(fixture, "bot.tar.gz"));
  const commits = await pushReleases(world);
  const values: Values = { ...(await machineValues(world, commits)), FILES: await sentFiles(fixture) };
  // The commands that made the files and the images then, as they stand in the state.
  const repeat = (name: string, own: Values = {}, input = "") => {
    const command = substitute(String(resourceOf(state, name).inputs.create), { ...values, ...own });
    return serverExec(world.server, ["bash", "-c", command], { user: USER, input });
  };
  await repeat("server-files", {}, String(values.FILES));
  await providePulledImages(world);
  await repeat("release-image", { RUNNING_COMMIT: commits.earlier });
  await repeat("release-image");
  Object.assign(values, await imageValues(world, substitute(docker.images, values)));

  for (const path of await filesBelow(join(fixture, "home"))) {
    await putFile(world, `${HOME}/${path}`, await readFile(join(fixture, "home", path)));
  }
  const proven = await provenLines(world, docker, values);
  await putFile(world, `${HOME}/hockey/proven`, Buffer.from(`${proven.join("\n")}\n`));
  await serverExec(world.server, ["crontab", "-"], { user: USER, input: await text("crontab") });

  await startContainers(world, state, substitute(docker, values));
  Object.assign(values, await containerValues(world, docker.network.Name));
  values.BOT_CHANGES = digest(JSON.stringify(substitute(await json("bot-changes.json"), values)));
  await importStack(world, fixture, substitute(state, values), values);
  return commits;
}

/** Replaces the sample bot by that of the fixture. */
async function unpackBot({ repository }: World, archive: string): Promise<void> {
  for (const entry of await readdir(repository.directory)) {
    if (entry !== ".git") await rm(join(repository.directory, entry), { recursive: true });
  }
  await run("tar", ["-xzf", archive, "-C", repository.directory]);
}

/** What the program sent to the server: the script that unpacks the files, then the files in an archive. */
async function sentFiles(fixture: string): Promise<string> {
  const archive = join(fixture, "files.tar.gz");
  const script = await run("tar", ["-xzOf", archive, "bin/prepare-server.sh"], { stripFinalNewline: false });
  const payload = gunzipSync(await readFile(archive));
  return `${script}\n${payload.toString("base64")}`;
}

/** A server of today may have been given other images. */
async function providePulledImages(world: World): Promise<void> {
  const there = await world.onServer("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}");
  const missing = NEEDED_IMAGES.filter((image) => !there.split("\n").includes(image));
  if (missing.length > 0) await loadImages(world.server, missing);
}

/** Creates what Docker has, and starts the containers in the order in which they got their addresses. */
async function startContainers(world: World, state: State, docker: DockerSettings): Promise<void> {
  const api = (path: string, body: unknown) =>
    runScript(world, "docker-api.sh", { METHOD: "POST", API_PATH: path }, JSON.stringify(body));
  await api("/networks/create", docker.network);
  for (const volume of docker.volumes) await world.onServer("docker", "volume", "create", volume);
  for (const [name, settings] of Object.entries(docker.containers)) {
    const body = { ...settings, Env: inProvidersOrder(settings.Env) };
    await api(`/containers/create?name=${name}`, body);
  }
  const { uploads } = resourceOf(state, "bot-container").inputs as {
    uploads: { file: string; content: string }[];
  };
  for (const { file, content } of uploads) {
    await putFile(world, "/tmp/upload", Buffer.from(content), { mode: "744", user: "root" });
    await world.onServer("docker", "cp", "/tmp/upload", `${CONTAINERS.BOT}:${file}`);
  }

  await world.onServer("docker", "start", CONTAINERS.DB);
  const [backup = ""] = (await world.onServer("find", `${HOME}/backups`, "-name", "*.sql.gz")).split("\n");
  await runScript(world, "load-data.sh", {
    ...DATABASE,
    BACKUP: backup,
    SECONDS_TO_WAIT: String(READY_SECONDS),
  });
  await world.onServer("docker", "start", CONTAINERS.PROXY);
  await world.onServer("docker", "start", CONTAINERS.BOT);
  for (const name of [CONTAINERS.DB, CONTAINERS.BOT]) {
    const health = () => world.onServer("docker", "inspect", "--format", "{{.State.Health.Status}}", name);
    await eventually(async () => (await health()) === "healthy", `${name} healthy`, READY_SECONDS);
  }
}

/** The stack's file, its history and its state. */
async function importStack(world: World, fixture: string, state: State, values: Values): Promise<void> {
  const { stack } = world;
  const text = (name: string) => readFile(join(fixture, name), "utf8");
  await writeFile(stack.env.PULUMI_CONFIG_PASSPHRASE_FILE ?? "", await text("passphrase"));
  const file = `Pulumi.${stack.name}.yaml`;
  await writeFile(join(stack.project, file), substitute(await text(file), values));
  for (const [key, name] of [
    ["sshPrivateKey", "SSH_PRIVATE_KEY"],
    ["telegramToken", "TELEGRAM_TOKEN"],
  ] as const) {
    await pulumiOk(stack, ["config", "set", "--secret", key], { input: String(values[name]) });
  }
  await mkdir(historyOf(stack), { recursive: true });
  for (const entry of await readdir(join(fixture, "history"))) {
    const update = JSON.parse(await text(join("history", entry))) as unknown;
    await writeFile(join(historyOf(stack), entry), JSON.stringify(substitute(update, values), null, 4));
  }
  await pulumiOk(stack, ["stack", "import"], { input: JSON.stringify(state) });
}

/**
 * What the server has noted of the two releases, which have passed the health gate: fingerprints of image, environment
 * and command.
 */
export async function provenLines(world: World, docker: DockerSettings, values: Values): Promise<string[]> {
  const { Env: template = [] } = docker.containers[CONTAINERS.BOT] ?? {};
  const lines: string[] = [];
  for (const which of ["EARLIER", "RUNNING"]) {
    const id = String(values[`${which}_IMAGE`]);
    const own = substitute(template, { ...values, RUNNING_COMMIT: values[`${which}_COMMIT`] ?? "" });
    const { Config } = await inspect<{ Config: { Env: string[]; Cmd: string[] } }>(world, "image", id);
    const environment = JSON.stringify([...inProvidersOrder(own), ...Config.Env]);
    lines.push(digest(`${id} ${environment} ${JSON.stringify(Config.Cmd)}\n`));
  }
  return lines;
}

/** Environment variables as the Docker provider orders them: it keeps them as a set of Terraform's. */
function inProvidersOrder(variables: string[]): string[] {
  const key = (variable: string) => String(crc32(variable));
  return [...variables].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** All files of a directory and of those in it, by their paths from it. */
async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1)).sort();
}

/** Writes a file on the server; closed to others unless told otherwise. */
async function putFile(
  world: World,
  path: string,
  content: Buffer,
  { mode = "600", user = USER }: { mode?: string; user?: string } = {},
): Promise<void> {
  await runScript(world, "put-file.sh", { FILE: path, MODE: mode }, content.toString("base64"), user);
}

/** Runs one of the scripts in this directory on the server and gives its standard output. */
async function runScript(
  { server }: World,
  script: string,
  args: Record<string, string>,
  input = "",
  user = USER,
): Promise<string> {
  const source = await readFile(join(import.meta.dirname, script), "utf8");
  const named = Object.entries(args).map(([name, value]) => `${name}=${value}`);
  return serverExec(server, ["env", ...named, "bash", "-c", source], { user, input });
}
