import { createWriteStream, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { OperatorError, define } from "../command.ts";
import { READER_LEFT, run } from "../run.ts";
import { Server } from "../server.ts";
import { openStack, PROJECT, type Stack } from "../stack.ts";

const SYFT = join(PROJECT, ".tools", "bin", "syft");

export default define({
  details:
    "Fetches the release's image from the server and has syft look into it on this machine: into the system's packages and those of Python, Node.js and other languages. Needs SSH alone, no Pulumi, and once: scripts/bootstrap --sbom",
  positionals: {
    commit: {
      type: "string",
      describe: "The release's commit, at least seven digits of it; else the one that runs",
    },
  },
  options: {
    output: { type: "string", describe: "The file to write; else standard output" },
  },
  examples: {
    "sbom --output sbom.spdx.json": "list the packages of the release that runs, in a file",
    "sbom 3f78685": "list those of that release",
  },
  exits: { 1: "failed" },
  async run({ stack: name, commit, output }) {
    if (commit !== undefined && !/^[0-9a-f]{7,40}$/.test(commit)) {
      throw new OperatorError(`${commit} is not a commit; name at least seven digits of its hash.`);
    }
    if (!existsSync(SYFT)) {
      throw new OperatorError("There is no syft on this machine; install it with: scripts/bootstrap --sbom");
    }
    // Before openStack, which changes the directory.
    const file = output === undefined ? "" : `=${resolve(output)}`;
    const stack = openStack(name);
    const directory = mkdtempSync(join(tmpdir(), "sbom-"));
    try {
      const archive = join(directory, "image.tar");
      await fetchImage(stack, commit, archive);
      await listPackages(stack, archive, `spdx-json${file}`);
    } finally {
      rmSync(directory, { recursive: true });
    }
    return undefined;
  },
});

async function fetchImage(stack: Stack, commit: string | undefined, archive: string): Promise<void> {
  const { stdout, ended } = await new Server(stack).stream("save-image.sh", { COMMIT: commit });
  const written = pipeline(stdout, createGunzip(), createWriteStream(archive, { mode: 0o600 }));
  const [status] = await Promise.all([ended, written.catch(() => undefined)]);
  if (status !== 0) throw new OperatorError("The image could not be fetched; the line above says why.");
  await written;
}

/** @param output of syft: a format, and a file after an equals sign */
async function listPackages({ settings }: Stack, archive: string, output: string): Promise<void> {
  const source = ["--source-name", settings.name, "--source-version", await commitOf(archive)];
  const { status, stderr } = await run(
    SYFT,
    ["scan", `docker-archive:${archive}`, ...source, "--output", output],
    // It would ask its maker for a newer version.
    { show: ["stdout"], env: { SYFT_CHECK_FOR_APP_UPDATE: "false" } },
  );
  if (status !== 0 && status !== READER_LEFT)
    throw new OperatorError(`syft could not read the image: ${stderr}`);
}

/** The commit of a saved image, which is its tag. */
async function commitOf(archive: string): Promise<string> {
  const { stdout } = await run("tar", ["--extract", "--to-stdout", "--file", archive, "manifest.json"]);
  const [image] = JSON.parse(stdout) as [{ RepoTags: [string] }];
  return image.RepoTags[0].replace(/^.*:/, "");
}
