// @ts-nocheck
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ThrowawayServer } from "../../sandbox/server.ts";

export const PROJECT = join(import.meta.dirname, "..", "..");

/** The commands of a document, block by block, without those that only show output. */
export async function blocks(document: string): Promise<string[]> {
  const text = await readFile(join(PROJECT, document), "utf8");
  return [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = ""]) => block);
}

/** Puts an ssh and an scp into a directory that know these servers and try this key too; nothing else is different. */
export async function readersTools(
  directory: string,
  servers: Pick<ThrowawayServer, "host" | "port" | "hostKey">[],
  privateKeyFile: string,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const knownHosts = join(directory, "known_hosts");
  const lines = servers.map(({ host, port, hostKey }) => `[${host}]:${port} ${hostKey}\n`);
  await writeFile(knownHosts, lines.join(""));
  const options = `-o UserKnownHostsFile=${knownHosts} -o BatchMode=yes -i ${privateKeyFile}`;
  const tools = {
    ssh: `#!/bin/sh\nexec /usr/bin/ssh ${options} "$@"\n`,
    scp: `#!/bin/sh\nexec /usr/bin/scp -S ${join(directory, "ssh")} "$@"\n`,
  };
  for (const [name, text] of Object.entries(tools))
    await writeFile(join(directory, name), text, { mode: 0o755 });
}
