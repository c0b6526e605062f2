import type { z } from "zod";
import { configError, describe, missingForWorkflows, storedInClear, storedSecret } from "./config-errors.ts";
import {
  Config,
  ENCRYPTED,
  MAY_BE_SECRET,
  OBJECT_KEYS,
  parsePlainConfig,
  PLAIN_KEYS,
  type Plain,
  type PlainSettings,
  type Secret,
  SECRET_KEYS,
} from "./schema.ts";

/**
 * The faults of a configuration. The program checks all of it; commands check what stands in the stack's file, before
 * they ask the server or Pulumi for anything, and say the same.
 */

/** Before the first deploy there is no commit, and each deploy brings its own. */
const Stored = Config.partial({ commit: true });

/** Without these secrets the workflows reach neither the state nor the secrets in it. */
const NEEDED_BY_WORKFLOWS = ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"];

type Raw = Record<string, unknown>;

/**
 * Checks a raw configuration: keys without the project's prefix, objects already parsed.
 *
 * @param isSecret whether a key is stored encrypted
 * @throws ConfigError with every fault at once
 */
export function checkConfig(raw: Raw, isSecret: (key: string) => boolean): Plain & Secret {
  const result = Config.safeParse(raw, { reportInput: true });
  const faults = faultsOf(result.error?.issues ?? [], raw, isSecret);
  if (!result.success || faults.length > 0) throw configError(faults);
  return result.data;
}

/**
 * Checks the configuration of a run as Pulumi hands it over: the keys of all projects, and values as text.
 *
 * @param project whose keys count
 * @param isSecret whether a key, with its project, is stored encrypted
 * @throws ConfigError with every fault at once
 */
export function checkGiven(
  given: Record<string, string>,
  project: string,
  isSecret: (key: string) => boolean,
): Plain & Secret {
  const prefix = `${project}:`;
  const own = Object.entries(given)
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [key.slice(prefix.length), value] as const);
  const raw = Object.fromEntries(own.map(([key, value]) => [key, parseValue(key, value)]));
  return checkConfig(raw, (key) => isSecret(prefix + key));
}

/**
 * Checks what stands in a stack's file, and gives its plain part. Of a secret, that is whether it is there and encrypted.
 *
 * @param raw as for `checkConfig`, with `ENCRYPTED` in the place of encrypted values
 * @throws ConfigError with every fault at once
 */
export function checkStored(raw: Raw, isSecret: (key: string) => boolean): PlainSettings {
  const { error } = Stored.safeParse(raw, { reportInput: true });
  // Of a value that is encrypted nothing is known.
  const encrypted = Object.entries(raw).flatMap(([key, value]) => encryptedPaths(key, value));
  const issues = (error?.issues ?? []).filter(({ path }) => !encrypted.includes(path.join(".")));
  const faults = faultsOf(issues, raw, isSecret);
  if (faults.length > 0) throw configError(faults);
  return parsePlainConfig(raw);
}

function faultsOf(issues: z.core.$ZodIssue[], raw: Raw, isSecret: (key: string) => boolean): string[] {
  const inClear = SECRET_KEYS.filter((key) => raw[key] !== undefined && !isSecret(key));
  const sealed = PLAIN_KEYS.filter((key) => key in raw && isSecret(key)).flatMap((key) =>
    sealedIn(key, raw[key]),
  );
  // What is no valid object has no keys to look for.
  const missing = issues.length + sealed.length > 0 ? [] : missingKeys(raw);
  return [
    ...issues.flatMap(describe),
    ...sealed.map(storedSecret),
    ...inClear.map(storedInClear),
    ...missing.map(missingForWorkflows),
  ];
}

/**
 * What is encrypted of a plain key and must not be: the paths of the values, or the key itself where the values are
 * decrypted, so that nothing tells which of them was encrypted.
 */
function sealedIn(key: string, value: unknown): string[] {
  const paths = encryptedPaths(key, value);
  if (paths.length > 0) return paths.filter((path) => !MAY_BE_SECRET.includes(path));
  return MAY_BE_SECRET.some((path) => path.startsWith(`${key}.`)) ? [] : [key];
}

function encryptedPaths(path: string, value: unknown): string[] {
  if (value === ENCRYPTED) return [path];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => encryptedPaths(`${path}.${key}`, inner));
}

/** The missing keys that the workflows need. */
function missingKeys({ github, githubSecrets = {}, sshPrivateKey }: Raw): string[] {
  if (!(github as Plain["github"])?.manage) return [];
  const names = githubSecrets === ENCRYPTED ? NEEDED_BY_WORKFLOWS : Object.keys(githubSecrets as object);
  return [
    ...(sshPrivateKey === undefined ? ["sshPrivateKey"] : []),
    ...NEEDED_BY_WORKFLOWS.filter((name) => !names.includes(name)).map((name) => `githubSecrets.${name}`),
  ];
}

/** A value as it is stored: objects may be JSON, all else is as it is. */
export function parseValue(key: string, value: unknown): unknown {
  if (!OBJECT_KEYS.includes(key) || typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
