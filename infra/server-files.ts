import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { gzipSync } from "fflate";
import * as tar from "tar-stream";
import { digest } from "./model/digest.ts";
import { INSTALLED } from "./model/paths.ts";
import { installedAs, installedScripts, SERVER_SCRIPTS } from "./model/scripts.ts";

/** The files that the stack puts on the server, and how they travel. */

/** Permissions of a file that only the deploy user may read. */
export const SECRET_MODE = 0o600;

/** A file that the stack puts on the server. */
export interface ServerFile {
  /** Path below `server.deployPath`. */
  path: string;
  /** Permissions; `SECRET_MODE` for secrets. */
  mode: number;
  content: pulumi.Input<string>;
}

/** The same, its content known. */
export type KnownFile = ServerFile & { content: string };

/** Files whose contents are known when the Output is, which is secret as soon as one of them is. */
export function withContents(files: ServerFile[]): pulumi.Output<KnownFile[]> {
  return pulumi
    .all(files.map(({ mode, content }) => (mode === SECRET_MODE ? pulumi.secret(content) : content)))
    .apply((contents) => files.map((file, index) => ({ ...file, content: contents[index] ?? "" })));
}

/** A file for the server that this project has in scripts/server/. */
export function fileFrom(source: string, path: string, mode: number): KnownFile {
  return { path, mode, content: contentOf(source) };
}

/** The content of a file in scripts/server/. */
export function contentOf(source: string): string {
  return readFileSync(join(SERVER_SCRIPTS, source), "utf8");
}

/** The installed scripts and what they source. */
export function scriptFiles(): ServerFile[] {
  const libs = readdirSync(join(SERVER_SCRIPTS, "lib")).map((file) => `lib/${file}`);
  return [...installedScripts(), ...libs]
    .sort()
    .map((file) => fileFrom(file, installedAs(file), file.startsWith("lib/") ? 0o644 : 0o755));
}

/**
 * A packed tar archive in base64 with the files and their manifest; the same files give the same text on every machine,
 * which zlib does not promise. Packed, because Pulumi handles the whole text many times in each update.
 */
export async function archive(files: KnownFile[]): Promise<string> {
  const pack = tar.pack();
  const mtime = new Date(0);
  for (const name of directories(files.map(({ path }) => path))) {
    const isSecret = files.some(({ path, mode }) => dirname(path) === name && mode === SECRET_MODE);
    pack.entry({ name, type: "directory", mode: isSecret ? 0o700 : 0o755, mtime });
  }
  for (const { path, mode, content } of files) pack.entry({ name: path, mode, mtime }, content);
  pack.entry({ name: INSTALLED.manifest, mode: SECRET_MODE, mtime }, manifest(files));
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return Buffer.from(gzipSync(Buffer.concat(chunks), { mtime: 0 })).toString("base64");
}

/** The checksums of the files, as `sha256sum --check` takes them. */
export function manifest(files: KnownFile[]): string {
  return files.map(({ path, content }) => `${digest(content)}  ${path}\n`).join("");
}

/** Every directory that the paths go through, parents first. */
function directories(paths: string[]): string[] {
  const parents = (path: string): string[] => {
    const parent = dirname(path);
    return parent === "." ? [] : [...parents(parent), parent];
  };
  return [...new Set(paths.flatMap(parents))];
}
