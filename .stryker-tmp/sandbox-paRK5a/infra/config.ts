// @ts-nocheck
import * as pulumi from "@pulumi/pulumi";
import { configError, ConfigError, describe } from "./model/config-errors.ts";
import { Config, OBJECT_KEYS, type Plain, type Secret, SECRET_KEYS } from "./model/schema.ts";

/**
 * The only reader of the stack's configuration. Everything else gets typed, complete, checked settings.
 *
 * Every key is described in infra/model/config-errors.ts and in Pulumi.yaml. All faults of a configuration are reported
 * at once, before anything on the server is touched.
 */

/** Without these secrets the workflows reach neither the state nor the secrets in it. */
const NEEDED_BY_WORKFLOWS = ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"];

/**
 * A whole configuration. Secrets are secret Outputs, which Pulumi never stores or shows in clear, with two exceptions:
 * ssh needs `sshPrivateKey` before any resource exists, and the names in `githubSecrets` make resources. Callers must
 * wrap these two with pulumi.secret.
 */
export type Settings = Plain &
  Pick<Secret, "sshPrivateKey" | "githubSecrets"> & {
    [Key in Exclude<keyof Secret, "sshPrivateKey" | "githubSecrets">]: pulumi.Output<Secret[Key]>;
  };

/** The missing keys that the workflows need. */
function missingForGitHub(config: Partial<Plain & Secret> = {}): string[] {
  const { github, githubSecrets = {}, sshPrivateKey } = config;
  if (!github?.manage) return [];
  return [
    ...(sshPrivateKey === undefined ? ["sshPrivateKey"] : []),
    ...NEEDED_BY_WORKFLOWS.filter((name) => !(name in githubSecrets)).map((name) => `githubSecrets.${name}`),
  ];
}

/**
 * Checks a raw configuration: keys without the project's prefix, objects already parsed.
 *
 * @param isSecret whether a key is stored encrypted
 * @throws ConfigError with every fault at once
 */
export function parseConfig(raw: Record<string, unknown>, isSecret: (key: string) => boolean): Settings {
  const result = Config.safeParse(raw, { reportInput: true });
  const faults = (result.error?.issues ?? []).flatMap(describe);
  for (const key of SECRET_KEYS) {
    if (raw[key] !== undefined && !isSecret(key)) {
      faults.push(`${key}: is stored in clear; set it again with \`pulumi config set --secret ${key}\``);
    }
  }
  for (const key of missingForGitHub(result.data)) {
    faults.push(`${key}: is missing; with \`github.manage\` it is passed on to the workflows`);
  }
  if (!result.success || faults.length > 0) throw configError(faults);
  const { postgresPassword, telegramToken, secretKey, sshPrivateKey, githubSecrets, environment, ...plain } =
    result.data;
  return {
    ...plain,
    postgresPassword: pulumi.secret(postgresPassword),
    telegramToken: pulumi.secret(telegramToken),
    secretKey: pulumi.secret(secretKey),
    sshPrivateKey,
    githubSecrets,
    environment: pulumi.secret(environment),
  };
}

/**
 * The configuration of the stack that is being previewed or updated.
 *
 * @throws pulumi.RunError with every fault at once
 */
export function loadConfig(): Settings {
  const prefix = `${pulumi.getProject()}:`;
  const all = pulumi.runtime.allConfig();
  // The SDK's type declarations leave this function out.
  const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret: (key: string) => boolean };
  const raw = Object.fromEntries(
    Object.entries(all)
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), parseValue(key.slice(prefix.length), value)]),
  );
  try {
    return parseConfig(raw, (key) => isConfigSecret(prefix + key));
  } catch (error) {
    // Pulumi shows a RunError without a stack trace.
    throw error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
  }
}

/** Pulumi gives every value as text: objects as JSON, all else as it is. */
function parseValue(key: string, value: string): unknown {
  if (!OBJECT_KEYS.includes(key)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
