import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { docker, dockerSucceeds, run } from "./docker.ts";

/** How to build an image if no image registry answers. */
interface StandIn {
  directory: string;
  base?: string;
  buildArgs?: Record<string, string>;
}

const STAND_INS: Record<string, StandIn> = {
  "debian:bookworm-slim": { directory: "debian" },
  "python:3.10-slim": { directory: "python", base: "debian:bookworm-slim" },
  "postgres:13": { directory: "postgres", base: "debian:bookworm-slim", buildArgs: { MAJOR: "13" } },
  "postgres:15": { directory: "postgres", base: "debian:bookworm-slim", buildArgs: { MAJOR: "15" } },
  "caddy:2": { directory: "caddy", base: "debian:bookworm-slim" },
  "registry:3": { directory: "registry", base: "debian:bookworm-slim" },
};

/** The images that a bot's stack pulls; every full throwaway server starts with them. */
export const STACK_IMAGES = ["python:3.10-slim", "postgres:13", "caddy:2"];

/** The stages of images/server/Dockerfile. */
export const STAGES = ["bare", "prepared", "full"] as const;
export type ServerStage = (typeof STAGES)[number];

const STAND_IN_LABEL = "throwaway-server.stand-in";
const recipes = join(import.meta.dirname, "images");
const say = (line: string) => process.stderr.write(`sandbox: ${line}\n`);

/**
 * Provides these images in the local Docker Engine under their real names: those that exist already, else the real ones from
 * their registry, else stand-ins from Debian packages and Caddy's Go module. A stand-in is rebuilt when its recipe has
 * changed; a real image is never replaced.
 */
export async function ensureImages(names: string[] = Object.keys(STAND_INS)): Promise<void> {
  const missing: string[] = [];
  for (const name of names) if (!(await isUpToDate(name))) missing.push(name);
  if (missing.length === 0) return;
  if (await registryAnswers()) {
    for (const name of missing) await docker(["pull", "--quiet", name]);
  } else {
    for (const name of missing) await buildStandIn(name);
  }
}

/** Provides the image of the server itself and returns its tag, which changes with its recipe. */
export async function ensureServerImage(stage: ServerStage): Promise<string> {
  await ensureImages(["debian:bookworm-slim"]);
  const base = await docker(["image", "inspect", "--format", "{{.Id}}", "debian:bookworm-slim"]);
  const tag = `throwaway-server:${stage}-${await hash(join(recipes, "server"), base)}`;
  if (!(await dockerSucceeds(["image", "inspect", tag]))) {
    say(`building the server's image (${stage}), once`);
    await docker(["build", "--tag", tag, "--target", stage, join(recipes, "server")]);
  }
  return tag;
}

/** Provides the image of the ACME server (acme.ts) and returns its tag, which changes with its recipe. */
export async function ensureAcmeImage(): Promise<string> {
  const base = "caddy:2";
  await ensureImages([base]);
  const id = await docker(["image", "inspect", "--format", "{{.Id}}", base]);
  const tag = `throwaway-acme:${await hash(join(recipes, "acme"), id)}`;
  if (!(await dockerSucceeds(["image", "inspect", tag]))) {
    say("building the ACME server's image, once");
    await buildPrepared("acme", ["--tag", tag]);
  }
  return tag;
}

async function isUpToDate(name: string): Promise<boolean> {
  const format = `{{index .Config.Labels "${STAND_IN_LABEL}"}}`;
  const label = await docker(["image", "inspect", "--format", format, name]).catch(() => undefined);
  if (label === undefined) return false;
  return label === "" || label === (await standInHash(name));
}

/** Asks the Docker Engine, not the network: the engine may have its own mirror or proxy. */
async function registryAnswers(): Promise<boolean> {
  return dockerSucceeds(["pull", "--quiet", "hello-world"], { timeout: 15_000 });
}

async function buildStandIn(name: string): Promise<void> {
  const { directory, base, buildArgs = {} } = standIn(name);
  if (base !== undefined && !(await isUpToDate(base))) await buildStandIn(base);
  say(`no image registry answers: building a stand-in for ${name}, once`);
  const args = Object.entries(buildArgs).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
  const label = `${STAND_IN_LABEL}=${await standInHash(name)}`;
  await buildPrepared(directory, ["--tag", name, "--label", label, ...args]);
  // The stand-in that it replaces, if any, has lost its name.
  await docker(["image", "prune", "--force", "--filter", `label=${STAND_IN_LABEL}`]);
  if (directory === "python") {
    const version = await docker(["run", "--rm", name, "python", "--version"]);
    if (!version.startsWith("Python 3.10.")) {
      say(`NOTE: no Python 3.10 was found on this machine, so the stand-in for ${name} is ${version}`);
    }
  }
}

/** Builds an image from a directory of recipes, after that has made what it needs from this machine. */
async function buildPrepared(directory: string, args: string[]): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), "image-"));
  try {
    await cp(join(recipes, directory), context, { recursive: true });
    if ((await readdir(context)).includes("prepare.sh")) await run(join(context, "prepare.sh"), [context]);
    await docker(["build", ...args, context]);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function standInHash(name: string): Promise<string> {
  const { directory, base, buildArgs } = standIn(name);
  const parent = base === undefined ? "" : await standInHash(base);
  return hash(join(recipes, directory), JSON.stringify(buildArgs ?? {}) + parent);
}

function standIn(name: string): StandIn {
  const found = STAND_INS[name];
  if (found === undefined) throw new Error(`there is no stand-in for the image ${name}`);
  return found;
}

async function hash(directory: string, more: string): Promise<string> {
  const sum = createHash("sha256").update(more);
  for (const file of (await readdir(directory)).sort()) {
    sum.update(`\0${file}\0`).update(await readFile(join(directory, file)));
  }
  return sum.digest("hex").slice(0, 12);
}
