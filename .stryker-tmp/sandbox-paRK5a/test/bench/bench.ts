// @ts-nocheck
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
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
}

/** @param script path from the project's directory */
const read = (script: string) => readFile(join(import.meta.dirname, "..", "..", script), "utf8");

export async function createBench(): Promise<Bench> {
  const world = await createWorld("bench");
  const { server, repository, secrets, telegram } = world;
  const known = join(repository.directory, ".git", "known_hosts");
  const options = ["BatchMode=yes", "IdentitiesOnly=yes", `UserKnownHostsFile=${known}`];
  const to = ["-i", server.privateKeyFile, "-p", String(server.port), "-l", server.user, server.host];
  const bench: Bench = {
    ...world,
    async ssh(script, args) {
      const command = shellCommand(["bash", "-s", "--", ...args]);
      const input = await read(script);
      return run("ssh", [...options.flatMap((option) => ["-o", option]), ...to, command], { input });
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
