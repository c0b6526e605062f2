import { readFileSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import { bundle, uploadedCall } from "../../infra/model/scripts.ts";
import { shellCommand } from "../../infra/model/ssh.ts";
import { docker, run } from "../../sandbox/docker.ts";
import { serverExec } from "../../sandbox/server.ts";
import { createWorld, type World } from "../e2e/world.ts";
import type { Command } from "./flow.ts";
import { must } from "./perform.ts";
import type { BotName } from "./results.ts";

const PROJECT = join(import.meta.dirname, "..", "..");
/** File on the server with the secrets of the flows that have no stack. */
export const ENV_FILE = "/home/deploy/bench.env";

/** How a file of the bot is changed. */
export type Edits = Record<string, (text: string) => string>;

/** A commit and the title of its page, which shows the commit that answers. */
export interface Commit {
  commit: string;
  title: string;
}

/** A throwaway server. Every flow has its own containers there; all publish the same port, one flow at a time. */
export interface Bench extends World {
  /** The server's first process, as this machine sees it. */
  pid: number;
  /** A command over SSH, and one of this project's shell scripts, which travels on standard input. */
  remote: (words: string[], input?: string) => Command;
  script: (path: string, args: string[]) => Command;
  /** Builds the bot's image of a commit on the server, as a stack of that name does. */
  build(image: string, directory: string, commit: string): Promise<void>;
  /** Commits and pushes another title of the page, and further edits. */
  commit(title: string, edits?: Edits): Promise<Commit>;
}

export async function createBench(bot: BotName): Promise<Bench> {
  return equip(await createWorld("bench", { port: 5000 }), bot);
}

/** Makes a world fit for every flow, and its bot the one that is wanted. */
export async function equip(world: World, bot: BotName): Promise<Bench> {
  const { server, repository } = world;
  const known = join(repository.directory, ".git", "known_hosts");
  const options = ["BatchMode=yes", "IdentitiesOnly=yes", `UserKnownHostsFile=${known}`];
  const to = ["-i", server.privateKeyFile, "-p", String(server.port), "-l", server.user, server.host];
  const remote = (words: string[], input = ""): Command => ({
    file: "ssh",
    args: [...options.flatMap((option) => ["-o", option]), ...to, shellCommand(words)],
    options: { input },
  });
  const bench: Bench = {
    ...world,
    pid: Number(await docker(["inspect", "--format", "{{.State.Pid}}", `throwaway-${server.name}`])),
    remote,
    script: (path, args) => remote(["bash", "-s", "--", ...args], readFileSync(join(PROJECT, path), "utf8")),
    async build(image, directory, commit) {
      const { host, port, user, hostKey } = server;
      const stack = parsePlainConfig({
        name: image,
        server: { host, port, user, hostKey, deployPath: `/home/deploy/${directory}` },
        app: { repository: repository.pathOnServer },
      });
      const words = uploadedCall("build-image.sh", stack, { IMAGE: image, COMMIT: commit });
      await must(remote(words, bundle("build-image.sh")));
    },
    async commit(title, edits = {}) {
      const retitle = (page: string) => page.replace(/<h1>.*<\/h1>/, `<h1>${title}</h1>`);
      for (const [file, edit] of Object.entries({ ...edits, "templates/index.html": retitle })) {
        const path = join(repository.directory, file);
        await writeFile(path, edit(await readFile(path, "utf8")));
      }
      return { title, commit: await repository.push(title) };
    },
  };
  const prepare = await readFile(join(import.meta.dirname, "prepare-server.sh"), "utf8");
  await serverExec(server, ["bash", "-s"], { input: prepare });
  await installCompose(bench);
  await writeSecrets(bench);
  await cp(join(import.meta.dirname, "docker-compose.yml"), join(repository.directory, "docker-compose.yml"));
  if (bot === "heavy") await makeHeavy(repository.directory);
  await repository.push(`The ${bot} bot, with a file for Docker Compose`);
  return bench;
}

/** Docker Compose v2, where the server's Docker looks for its plugins. */
async function installCompose({ remote }: Bench): Promise<void> {
  const program = await run(join(import.meta.dirname, "build-compose.sh"), []);
  const { file, args } = remote([
    "bash",
    "-c",
    "mkdir -p ~/.docker/cli-plugins; cat >~/.docker/cli-plugins/docker-compose; chmod 755 ~/.docker/cli-plugins/docker-compose",
  ]);
  await run(file, args, { inputFile: program });
}

async function writeSecrets({ server, secrets, telegram }: Bench): Promise<void> {
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
}

/** Gives the sample bot the packages of a grown one: its first import is theirs, as in a program that uses them. */
async function makeHeavy(directory: string): Promise<void> {
  const own = (file: string) => join(import.meta.dirname, "heavy", file);
  await cp(own("heavy.py"), join(directory, "heavy.py"));
  const requirements = join(directory, "requirements.txt");
  await writeFile(
    requirements,
    `${await readFile(requirements, "utf8")}${await readFile(own("requirements.txt"), "utf8")}`,
  );
  const main = join(directory, "main.py");
  const text = await readFile(main, "utf8");
  await writeFile(
    main,
    text.replace("    import config\n", "    import heavy  # noqa: F401\n    import config\n"),
  );
}
