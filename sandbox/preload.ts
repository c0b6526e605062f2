import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { createContainer, waitUntilBooted } from "./container.ts";
import { docker, dockerSucceeds, pipe } from "./docker.ts";
import { ensureAcmeImage, ensureImages, ensureServerImage, STACK_IMAGES, STAGES } from "./images.ts";

const LABEL = "throwaway-server.images";

const EXAMPLE = join(import.meta.dirname, "..", "examples", "hockey");

/**
 * Makes `volume` a /var/lib/docker that holds the stack's images already, and what the sample bot's Dockerfile installs
 * in Docker's build cache. They are loaded once, into a template; every further server gets a copy of the template,
 * which takes a fraction of the time that loading takes.
 */
export async function preload(volume: string): Promise<void> {
  await ensureImages(STACK_IMAGES);
  const image = await ensureServerImage("full");
  const recipe = await installs();
  const ids = await docker(["image", "inspect", "--format", "{{.Id}}", ...STACK_IMAGES]);
  const key = createHash("sha256")
    .update([image, ids, recipe.dockerfile, recipe.requirements].join("\n"))
    .digest("hex")
    .slice(0, 12);
  const template = `throwaway-server-images-${key}`;
  await waitForOtherRun(template);
  const isThere = await dockerSucceeds(["volume", "inspect", template]);
  if (isThere && (await dockerSucceeds(await copy(image, template, volume)))) return;
  await fill(template, image, recipe);
  await docker(await copy(image, template, volume));
  await removeOlder(template);
}

/**
 * The command that copies a template. Layers of images never change, so a server shares them by hard links: for these
 * the two volumes must be seen in one mount. All else in there is written to in place, and is copied.
 */
async function copy(image: string, template: string, volume: string): Promise<string[]> {
  const mountpoint = await docker(["volume", "inspect", "--format", "{{.Mountpoint}}", template]);
  const script = `cd ${template}/_data && test -e complete && cp -a --link overlay2 ../../${volume}/_data/ &&
    find . -mindepth 1 -maxdepth 1 ! -name overlay2 -exec cp -a {} ../../${volume}/_data/ ";"`;
  return [
    // SYS_ADMIN: overlayfs keeps its marks in extended attributes named trusted.*.
    ...["run", "--rm", "--cap-add", "SYS_ADMIN", "--volume", `${dirname(dirname(mountpoint))}:/volumes`],
    ...["--workdir", "/volumes", image, "sh", "-c", script],
  ];
}

/** The sample bot's Dockerfile up to where the bot's own code comes in, and the file that it reads until then. */
async function installs(): Promise<{ dockerfile: string; requirements: string }> {
  const [dockerfile = "", requirements = ""] = await Promise.all(
    ["Dockerfile", "requirements.txt"].map((file) => readFile(join(EXAMPLE, file), "utf8")),
  );
  return { dockerfile: dockerfile.split(/^COPY \. /m)[0] ?? "", requirements };
}

/** Makes everything that servers are made of, so that several can start at once and none has to wait for another. */
export async function prepare(): Promise<void> {
  await ensureImages();
  for (const stage of STAGES) await ensureServerImage(stage);
  await ensureAcmeImage();
  const volume = "throwaway-server-prepare";
  await docker(["volume", "create", volume]);
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

async function fill(
  template: string,
  image: string,
  { dockerfile, requirements }: Awaited<ReturnType<typeof installs>>,
): Promise<void> {
  process.stderr.write("sandbox: loading the images into a template for the servers, once\n");
  // Discards what an interrupted run has left unfinished.
  await docker(["rm", "--force", template]);
  await docker(["volume", "rm", "--force", template]);
  await docker(["volume", "create", "--label", LABEL, template]);
  await createContainer({ name: template, hostname: "template", image, dockerVolume: template });
  try {
    await waitUntilBooted(template);
    await load(template, STACK_IMAGES);
    // In a directory that is gone with the container.
    const inside = (script: string, input = "") =>
      docker(["exec", "--interactive", template, "sh", "-euc", `mkdir -p /tmp/bot; cd /tmp/bot; ${script}`], {
        input,
      });
    await inside("cat >Dockerfile", dockerfile);
    await inside("cat >requirements.txt", requirements);
    await inside("chmod 644 *; DOCKER_BUILDKIT=1 docker build --quiet .");
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
