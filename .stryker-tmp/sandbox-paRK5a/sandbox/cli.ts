// @ts-nocheck
import { spawn } from "node:child_process";
import { mkdirSync, openSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";

import { SandboxError } from "./docker.ts";
import { prepare } from "./preload.ts";
import { findServer, removeServer, startServer, type ThrowawayServer } from "./server.ts";
import { DEFAULT_TOKEN, startTelegram } from "./telegram.ts";

/** The running fake Telegram of a server. */
interface TelegramState {
  pid: number;
  url: string;
  token: string;
}

const directoryOf = (name: string) => join(import.meta.dirname, "..", ".sandbox", name);
const telegramStateFile = (name: string) => join(directoryOf(name), "telegram.json");

/** Prints one fact on each line, as YAML, for people and scripts. */
const print = (facts: Record<string, string | number>) => {
  for (const [key, value] of Object.entries(facts)) console.log(`${key}: ${value}`);
};

function printServer(server: ThrowawayServer): void {
  const { name, host, port, user, hostKey, privateKeyFile, gateway } = server;
  print({ name, host, port, user, hostKey, privateKeyFile, gateway });
  for (const [inside, outside] of Object.entries(server.publicPorts)) print({ [`port ${inside}`]: outside });
  print({ "log in with": `ssh -i ${privateKeyFile} -p ${port} ${user}@${host}` });
}

async function up(
  name: string,
  options: { bare: boolean; docker: boolean; publish: number[] },
): Promise<void> {
  const { publish, ...rest } = options;
  printServer(await startServer({ name, directory: directoryOf(name), ports: publish, ...rest }));
}

async function down(name: string): Promise<void> {
  const telegram = await runningTelegram(name);
  if (telegram !== undefined) process.kill(telegram.pid);
  await removeServer(name);
  await rm(directoryOf(name), { recursive: true, force: true });
  console.log(`${name} is removed`);
}

async function status(name: string): Promise<void> {
  const server = await findServer(name, directoryOf(name));
  if (server === undefined) console.log(`${name} is not running`);
  else printServer(server);
  const telegram = await runningTelegram(name);
  if (telegram !== undefined) print({ telegram: telegram.url, token: telegram.token });
}

/** Starts the fake Telegram in its own process, which `down` ends. */
async function telegram(name: string, token: string, port: number): Promise<void> {
  let state = await runningTelegram(name);
  if (state === undefined) {
    const server = await findServer(name, directoryOf(name));
    if (server === undefined) throw new SandboxError(`the server ${name} is not running: start it with up`);
    mkdirSync(directoryOf(name), { recursive: true });
    await rm(telegramStateFile(name), { force: true });
    const log = openSync(join(directoryOf(name), "telegram.log"), "w");
    const args = [
      "serve-telegram",
      "--name",
      name,
      "--host",
      server.gateway,
      "--port",
      `${port}`,
      "--token",
      token,
    ];
    const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, ...args], {
      detached: true,
      stdio: ["ignore", log, log],
    });
    child.unref();
    for (let tries = 0; tries < 100 && state === undefined && child.exitCode === null; tries++) {
      await sleep(100);
      state = await runningTelegram(name);
    }
  }
  if (state === undefined) {
    throw new SandboxError(`the fake Telegram did not start: see ${join(directoryOf(name), "telegram.log")}`);
  }
  print({ telegram: state.url, token: state.token });
}

async function serveTelegram(name: string, host: string, port: number, token: string): Promise<void> {
  const { url } = await startTelegram({ host, port, tokens: [token] });
  const state: TelegramState = { pid: process.pid, url, token };
  await writeFile(telegramStateFile(name), JSON.stringify(state));
}

/** Trusts the file only if the fake answers with its process id: another process may have that id by now. */
async function runningTelegram(name: string): Promise<TelegramState | undefined> {
  try {
    const state = JSON.parse(await readFile(telegramStateFile(name), "utf8")) as TelegramState;
    const answer = (await (await fetch(`${state.url}/_control/process`)).json()) as { pid: number };
    return answer.pid === state.pid ? state : undefined;
  } catch {
    return undefined;
  }
}

void yargs(hideBin(process.argv))
  .scriptName("npm run sandbox --")
  .option("name", { type: "string", default: "sandbox", describe: "Name of the server" })
  .command(
    "up",
    "Start a throwaway server, or describe the running one",
    (args) =>
      args
        .option("publish", {
          type: "number",
          array: true,
          default: [5000],
          describe: "Ports to publish on 127.0.0.1",
        })
        .option("bare", { type: "boolean", default: false, describe: "Only systemd, sshd and root's key" })
        .option("docker", {
          type: "boolean",
          default: true,
          describe: "--no-docker: without a Docker Engine",
        }),
    ({ name, bare, docker, publish }) => up(name, { bare, docker, publish }),
  )
  .command(
    "down",
    "Remove the server, its data, its key and its fake Telegram",
    (args) => args,
    ({ name }) => down(name),
  )
  .command(
    "status",
    "Show what is running",
    (args) => args,
    ({ name }) => status(name),
  )
  .command(
    "prepare",
    "Build the images of the servers, as the first `up` would",
    (args) => args,
    () => prepare(),
  )
  .command(
    "telegram",
    "Start a fake Telegram Bot API that the server's containers can reach",
    (args) =>
      args
        .option("token", { type: "string", default: DEFAULT_TOKEN, describe: "Token of the bot" })
        .option("port", { type: "number", default: 0, describe: "Port to listen on; 0 chooses a free one" }),
    ({ name, token, port }) => telegram(name, token, port),
  )
  .command(
    "serve-telegram",
    false,
    (args) =>
      args
        .option("host", { type: "string", demandOption: true })
        .option("port", { type: "number", demandOption: true })
        .option("token", { type: "string", demandOption: true }),
    ({ name, host, port, token }) => serveTelegram(name, host, port, token),
  )
  .demandCommand(1, 1, "Name a command: up, down, status, prepare or telegram")
  .strict()
  .fail((message: string | undefined, error: Error | undefined) => {
    console.error(`sandbox: ${error?.message ?? message ?? "failed"}`);
    process.exit(1);
  })
  .parse();
