import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import { bundle, uploadedCall } from "../../infra/model/scripts.ts";
import { shellCommand } from "../../infra/model/ssh.ts";
import { run } from "../../sandbox/docker.ts";
import { serverExec } from "../../sandbox/server.ts";
import { createWorld, type World } from "../e2e/world.ts";

/** File on the server with the secrets of the flows that have no stack. */
export const ENV_FILE = "/home/deploy/bench.env";

/** A throwaway server. Every flow has its own containers there; all publish the same port, one flow at a time. */
export interface Bench extends World {
  /** Runs one of this project's shell scripts on the server over SSH. */
  ssh(script: string, args: string[]): Promise<string>;
  /** Builds the sample bot's image of a commit on the server, as a stack does. */
  build(image: string, commit: string): Promise<void>;
}

/** @param script path from the project's directory */
const read = (script: string) => readFile(join(import.meta.dirname, "..", "..", script), "utf8");

export async function createBench(): Promise<Bench> {
  const world = await createWorld("bench");
  const { server, repository, secrets, telegram } = world;
  const known = join(repository.directory, ".git", "known_hosts");
  const options = ["BatchMode=yes", "IdentitiesOnly=yes", `UserKnownHostsFile=${known}`];
  const to = ["-i", server.privateKeyFile, "-p", String(server.port), "-l", server.user, server.host];
  const onServer = (words: string[], input: string) =>
    run("ssh", [...options.flatMap((option) => ["-o", option]), ...to, shellCommand(words)], { input });
  const bench: Bench = {
    ...world,
    async ssh(script, args) {
      return onServer(["bash", "-s", "--", ...args], await read(script));
    },
    async build(image, commit) {
      const { host, port, user, hostKey } = server;
      const stack = parsePlainConfig({
        name: image,
        server: { host, port, user, hostKey, deployPath: `/home/deploy/${image}` },
        app: { repository: repository.pathOnServer },
      });
      const words = uploadedCall("build-image.sh", stack, { IMAGE: image, COMMIT: commit });
      await onServer(words, bundle("build-image.sh"));
    },
  };
  await serverExec(server, ["bash", "-s"], { input: await read("test/bench/prepare-server.sh") });
  const environment = {
    POSTGRES_USER: "hockey",
    POSTGRES_DB: "hockey_db",
    POSTGRES_PASSWORD: secrets.postgresPassword,
    TELEGRAM_TOKEN: secrets.telegramToken,
    TELEGRAM_API_URL: telegram.url,
    SECRET_KEY: secrets.secretKey,
  };
  const input = Object.entries(environment).map(([key, value]) => `${key}=${value ?? ""}\n`);
  await serverExec(server, ["install", "-m", "600", "/dev/stdin", ENV_FILE], {
    user: server.user,
    input: input.join(""),
  });
  await cp(join(import.meta.dirname, "docker-compose.yml"), join(repository.directory, "docker-compose.yml"));
  await repository.push("A file for docker-compose");
  return bench;
}
