import * as pulumi from "@pulumi/pulumi";
import { checkConfig, checkGiven } from "./model/config-check.ts";
import { ConfigError } from "./model/config-errors.ts";
import type { Plain, Secret } from "./model/schema.ts";

/**
 * The only reader of the stack's configuration. Everything else gets typed, complete, checked settings.
 *
 * Every key is described in infra/model/config-errors.ts and in Pulumi.yaml. All faults of a configuration are reported
 * at once, before anything on the server is touched.
 */

/**
 * A whole configuration. Secrets are secret Outputs, which Pulumi never stores or shows in clear, with two exceptions:
 * ssh needs `sshPrivateKey` before any resource exists, and the names in `githubSecrets` make resources. Callers must
 * wrap these two with pulumi.secret.
 */
export type Settings = Plain &
  Pick<Secret, "sshPrivateKey" | "githubSecrets"> & {
    [Key in Exclude<keyof Secret, "sshPrivateKey" | "githubSecrets">]: pulumi.Output<Secret[Key]>;
  };

/**
 * Checks a raw configuration: keys without the project's prefix, objects already parsed.
 *
 * @param isSecret whether a key is stored encrypted
 * @throws ConfigError with every fault at once
 */
export function parseConfig(raw: Record<string, unknown>, isSecret: (key: string) => boolean): Settings {
  return withOutputs(checkConfig(raw, isSecret));
}

/**
 * The configuration of the stack that is being previewed or updated.
 *
 * @throws pulumi.RunError with every fault at once
 */
export function loadConfig(): Settings {
  // The SDK's type declarations leave the second function out.
  const { allConfig, isConfigSecret } = pulumi.runtime as unknown as {
    allConfig: () => Record<string, string>;
    isConfigSecret: (key: string) => boolean;
  };
  try {
    return withOutputs(checkGiven(allConfig(), pulumi.getProject(), isConfigSecret));
  } catch (error) {
    // Pulumi shows a RunError without a stack trace.
    throw error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
  }
}

function withOutputs(checked: Plain & Secret): Settings {
  const { postgresPassword, telegramToken, secretKey, environment, ...plain } = checked;
  return {
    ...plain,
    postgresPassword: pulumi.secret(postgresPassword),
    telegramToken: pulumi.secret(telegramToken),
    secretKey: pulumi.secret(secretKey),
    environment: pulumi.secret(environment),
  };
}
