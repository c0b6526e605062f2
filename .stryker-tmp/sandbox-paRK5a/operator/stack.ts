// @ts-nocheck
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ConfigError } from "../infra/model/config-errors.ts";
import { type PlainSettings, parsePlainConfig } from "../infra/model/schema.ts";
import { OperatorError } from "./command.ts";

/** The project's directory. Commands run in it: infra/model/ssh.ts and Pulumi use paths relative to it. */
export const PROJECT = join(import.meta.dirname, "..");

/** A stack as its configuration file describes it, without Pulumi's state or the passphrase. */
export interface Stack {
  name: string;
  /** The configuration file in the project's directory. */
  file: string;
  settings: PlainSettings;
  /** Whether the deploy key is in the configuration; else ssh-agent is asked. */
  hasKey: boolean;
}

/** Changes to the project's directory and reads the stack's file. @throws OperatorError when the stack is ambiguous or its file is wrong */
export function openStack(wanted: string | undefined): Stack {
  process.chdir(PROJECT);
  const name = wanted ?? process.env.PULUMI_STACK ?? onlyStack();
  const file = `Pulumi.${name}.yaml`;
  if (!existsSync(file)) {
    throw new OperatorError(`There is no ${file}; name a stack with --stack (here: ${stacks().join(", ")}).`);
  }
  const config = readConfig(file);
  try {
    return { name, file, settings: parsePlainConfig(config), hasKey: "sshPrivateKey" in config };
  } catch (error) {
    if (error instanceof ConfigError) throw new OperatorError(`${file}: ${error.message}`);
    throw error;
  }
}

/** The project's name, the prefix of every configuration key. */
export function projectName(): string {
  return String((parse(readFileSync(join(PROJECT, "Pulumi.yaml"), "utf8")) as { name: unknown }).name);
}

function readConfig(file: string): Record<string, unknown> {
  const prefix = `${projectName()}:`;
  const { config } = parse(readFileSync(file, "utf8")) as { config?: Record<string, unknown> };
  const own = Object.entries(config ?? {}).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), withoutSecrets(value)]));
}

/** Replaces encrypted values, which Pulumi writes as `{ secure: … }`: reading them takes the passphrase. */
function withoutSecrets(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if ("secure" in value) return "[secret]";
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner)]));
}

const stacks = () => readdirSync(".").flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);

function onlyStack(): string {
  const [only, another] = stacks();
  if (only === undefined) throw new OperatorError("There is no stack here; make one with: pulumi stack init");
  if (another === undefined) return only;
  throw new OperatorError(`There are several stacks here (${stacks().join(", ")}); name one with --stack.`);
}
