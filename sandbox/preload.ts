import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { createContainer, waitUntilBooted } from "./container.ts";
import { docker, dockerSucceeds, pipe } from "./docker.ts";
import { ensureImages, ensureServerImage, STACK_IMAGES, STAGES } from "./images.ts";

const LABEL = "throwaway-server.images";

/**
 * Fills `volume` as a /var/lib/docker that already has the stack's images. They are loaded once, into a template; each server
 * gets a copy of the template, which is much faster than loading.
 */
export async function preload(volume: string): Promise<void> {
  await ensureImages(STACK_IMAGES);
  const image = await ensureServerImage("full");
  const ids = await docker(["image", "inspect", "--format", "{{.Id}}", ...STACK_IMAGES]);
  const key = createHash("sha256").update(`${image}\n${ids}`).digest("hex").slice(0, 12);
  const template = `throwaway-server-images-${key}`;
  await waitForOtherRun(template);
  const isThere = await dockerSucceeds(["volume", "inspect", template]);
  // SYS_ADMIN: overlayfs stores its metadata in extended attributes named trusted.*.
  const copy = [
    ...[
      "run",
      "--rm",
      "--cap-add",
      "SYS_ADMIN",
      "--volume",
      `${template}:/from`,
      "--volume",
      `${volume}:/to`,
    ],
    ...[image, "sh", "-c", "test -e /from/complete && cp -a /from/. /to/"],
  ];
  if (isThere && (await dockerSucceeds(copy))) return;
  await fill(template, image);
  await docker(copy);
  await removeOlder(template);
}

/** Builds everything that servers consist of, so that several can start at once without waiting for each other. */
export async function prepare(): Promise<void> {
  await ensureImages();
  for (const stage of STAGES) await ensureServerImage(stage);
  const volume = "throwaway-server-prepare";
  try {
    await preload(volume);
  } finally {
    await docker(["volume", "rm", "--force", volume]);
  }
}

/** Copies images from this machine's Docker Engine to the engine of a server. */
export async function load(container: string, images: string[]): Promise<void> {
  await pipe(["docker", "save", ...images], ["docker", "exec", "--interactive", container, "docker", "load"]);
}

async function fill(template: string, image: string): Promise<void> {
  process.stderr.write("sandbox: loading the images into a template for the servers, once\n");
  // Discards what an interrupted run has left unfinished.
  await docker(["rm", "--force", template]);
  await docker(["volume", "rm", "--force", template]);
  await docker(["volume", "create", "--label", LABEL, template]);
  await createContainer({ name: template, hostname: "template", image, dockerVolume: template });
  try {
    await waitUntilBooted(template);
    await load(template, STACK_IMAGES);
    await docker(["exec", template, "touch", "/var/lib/docker/complete"]);
    await docker(["stop", "--time", "30", template]);
  } finally {
    await docker(["rm", "--force", template]);
  }
}

/** If two runs start together on a fresh machine, the second waits while the first fills the template. */
async function waitForOtherRun(template: string): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline && (await dockerSucceeds(["container", "inspect", template])))
    await sleep(1000);
}

async function removeOlder(template: string): Promise<void> {
  const names = await docker(["volume", "ls", "--quiet", "--filter", `label=${LABEL}`]);
  for (const name of names.split("\n").filter((name) => name !== template)) {
    // A template that another run is copying stays until the next time.
    await dockerSucceeds(["volume", "rm", name]);
  }
}
