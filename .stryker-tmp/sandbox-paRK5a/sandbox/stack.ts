// @ts-nocheck
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import type { BotRepository } from "./repository.ts";
import { run } from "./docker.ts";
import type { ThrowawayServer } from "./server.ts";

/** A stack of the project, controlled through the real command line. */
export interface Stack {
  name: string;
  /** Directory with Pulumi.yaml. */
  project: string;
  /** Environment of the command line, including PATH. */
  env: Record<string, string>;
}

/** Result of a command: both streams as they appear on a terminal, and standard output alone. */
export interface Outcome {
  exitCode: number;
  output: string;
  stdout: string;
}

/** A stack with its state in a directory. */
export function localStack(options: {
  name: string;
  project: string;
  backend: string;
  passphraseFile: string;
}): Stack {
  const { name, project, backend, passphraseFile } = options;
  return {
    name,
    project,
    env: {
      PATH: [join(import.meta.dirname, "..", ".tools", "bin"), process.env.PATH ?? ""].join(delimiter),
      PULUMI_BACKEND_URL: `file://${backend}`,
      PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile,
      PULUMI_SKIP_UPDATE_CHECK: "true",
    },
  };
}

/** Runs `pulumi` in the stack's project and returns its output; with `show`, also prints it as it comes. */
export async function pulumi(
  stack: Stack,
  args: string[],
  {
    input = "",
    show = false,
    env = {},
  }: { input?: string; show?: boolean; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const shown = show ? (["inherit", "pipe"] as const) : "pipe";
  const result = await execa("pulumi", [...args, "--stack", stack.name], {
    cwd: stack.project,
    env: { ...stack.env, ...env },
    input,
    stdout: shown,
    stderr: shown,
    all: true,
    reject: false,
  });
  return { exitCode: result.exitCode ?? 1, output: result.all, stdout: result.stdout };
}

/** Runs `pulumi` and throws unless it succeeds. */
export async function pulumiOk(
  stack: Stack,
  args: string[],
  options: Parameters<typeof pulumi>[2] = {},
): Promise<string> {
  const { exitCode, output, stdout } = await pulumi(stack, args, options);
  if (exitCode !== 0) throw new Error(`pulumi ${args.join(" ")} ended with ${exitCode}:\n${output}`);
  return stdout;
}

/** Configuration of a stack for the sample bot on a throwaway server. */
export interface Target {
  server: ThrowawayServer;
  repository: Pick<BotRepository, "pathOnServer" | "head">;
  /** Base address of the fake Telegram for the server's containers. */
  telegramUrl: string;
  telegramToken: string;
  /** Port of the server on which the proxy listens. */
  proxyPort: number;
}

/** Creates the stack and configures it as a user would: values as arguments, secrets on standard input. */
export async function initStack(stack: Stack, target: Target): Promise<Record<string, string>> {
  const { server, repository } = target;
  await run("pulumi", ["stack", "init", stack.name], { cwd: stack.project, env: stack.env });
  const plain = {
    commit: await repository.head(),
    "server.host": server.host,
    "server.port": server.port,
    "server.user": server.user,
    "server.hostKey": server.hostKey,
    "app.repository": repository.pathOnServer,
    "app.environment.TELEGRAM_API_URL": target.telegramUrl,
    "proxy.port": target.proxyPort,
  };
  const pairs = Object.entries(plain).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
  await pulumiOk(stack, ["config", "set-all", "--path", ...pairs]);
  const secrets = {
    postgresPassword: randomBytes(24).toString("base64"),
    telegramToken: target.telegramToken,
    secretKey: randomBytes(32).toString("hex"),
    sshPrivateKey: await readFile(server.privateKeyFile, "utf8"),
  };
  for (const [key, input] of Object.entries(secrets)) {
    await pulumiOk(stack, ["config", "set", "--secret", key], { input });
  }
  return secrets;
}

/** A random token in Telegram's format, for the fake one. */
export function randomToken(): string {
  return `${100_000_000 + (randomBytes(4).readUInt32BE() % 800_000_000)}:${randomBytes(26).toString("base64url")}`;
}
