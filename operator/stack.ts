import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, YAMLParseError } from "yaml";
import { checkStored, parseValue } from "../infra/model/config-check.ts";
import { ConfigError } from "../infra/model/config-errors.ts";
import { digest } from "../infra/model/digest.ts";
import { ENCRYPTED, type PlainSettings } from "../infra/model/schema.ts";
import { OperatorError } from "./command.ts";

/** The project's directory. Commands run in it: infra/model/ssh.ts and Pulumi use paths relative to it. */
export const PROJECT = join(import.meta.dirname, "..");

/** A stack as its configuration file describes it, without Pulumi's state or the passphrase. */
export interface Stack {
  name: string;
  /** The configuration file in the project's directory. */
  file: string;
  settings: PlainSettings;
  /** The digest of the encrypted deploy key. Undefined where the configuration has none, and ssh-agent is asked. */
  deployKey?: string;
}

/** Changes to the project's directory and reads the stack's file. @throws OperatorError when the stack is ambiguous or its file is wrong */
export function openStack(wanted: string | undefined): Stack {
  process.chdir(PROJECT);
  const name = wanted ?? process.env.PULUMI_STACK ?? onlyStack();
  const file = `Pulumi.${name}.yaml`;
  if (!existsSync(file)) {
    throw new OperatorError(`There is no ${file}; name a stack with --stack (here: ${stacks().join(", ")}).`);
  }
  return parseStack(name, file, readFileSync(file, "utf8"));
}

/** A stack by the text of a configuration file. @throws OperatorError when that is wrong */
export function parseStack(name: string, file: string, text: string): Stack {
  const stored = readStored(file, text);
  const config = Object.fromEntries(
    Object.entries(stored).map(([key, value]) => [key, parseValue(key, withoutSecrets(value))]),
  );
  try {
    const settings = checkStored(config, (key) => hasSecret(stored[key]));
    const { sshPrivateKey: key } = stored;
    return { name, file, settings, deployKey: key === undefined ? key : digest(JSON.stringify(key)) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [only = "", another] = error.faults;
    throw new OperatorError(`${file}: ${another === undefined ? only : error.message}`);
  }
}

/** The project's name, the prefix of every configuration key. */
export function projectName(): string {
  return String((parse(readFileSync(join(PROJECT, "Pulumi.yaml"), "utf8")) as { name: unknown }).name);
}

/** The program's keys in a stack's file, with their values as they stand there. */
function readStored(file: string, text: string): Record<string, unknown> {
  const prefix = `${projectName()}:`;
  const content = parseYaml(file, text) as { config?: Record<string, unknown> } | null;
  // A key without a project is this project's.
  const named = Object.entries(content?.config ?? {}).map(
    ([key, value]) => [key.includes(":") ? key : `${prefix}${key}`, value] as const,
  );
  const own = named.filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]));
}

/** @throws OperatorError with what is wrong in a line, and which */
function parseYaml(file: string, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    const [what = ""] = error.message.split("\n");
    throw new OperatorError(`${file} is not valid YAML: ${what.replace(/:$/, "")}.`);
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** Pulumi writes an encrypted value as `{ secure: … }`. */
const isEncrypted = (value: Record<string, unknown>) => typeof value.secure === "string";

/** Whether a value is encrypted, or a part of it: then Pulumi takes all of it for secret. */
export function hasSecret(value: unknown): boolean {
  return isMap(value) && (isEncrypted(value) || Object.values(value).some(hasSecret));
}

/** Replaces encrypted values. */
function withoutSecrets(value: unknown): unknown {
  if (!isMap(value)) return value;
  if (isEncrypted(value)) return ENCRYPTED;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner)]));
}

const stacks = () => readdirSync(".").flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);

function onlyStack(): string {
  const [only, another] = stacks();
  if (only === undefined) throw new OperatorError("There is no stack here; make one with: pulumi stack init");
  if (another === undefined) return only;
  throw new OperatorError(`There are several stacks here (${stacks().join(", ")}); name one with --stack.`);
}
