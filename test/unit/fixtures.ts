import { join } from "node:path";
import { parseConfig, type Settings } from "../../infra/config.ts";
import { SECRET_KEYS } from "../../infra/model/schema.ts";

/** A complete configuration as Pulumi would hand it over; tests change one thing in it. */
export function rawConfig(): Record<string, unknown> {
  return {
    commit: "3f786850e387550fdab836ed7e6dc881de23001b",
    server: {
      host: "bot.example.org",
      hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJfkoV0uQWzPSmUVp5iNFAyqnJzp8fZpBdYm3dlbgqE root@bot",
    },
    app: { repository: "https://github.com/example/hockey.git" },
    postgresPassword: "correct horse / battery@staple",
    telegramToken: "123456789:AAFakeTokenForTestsOnly-0123456789ab",
    secretKey: "0123456789abcdef0123456789abcdef",
  };
}

/** A configuration as Pulumi hands it to the program: the keys with their project, values as text, and the secret keys. */
export function given(raw: Record<string, unknown>): {
  config: Record<string, string>;
  secretKeys: string[];
} {
  const named = Object.entries(raw).map(([key, value]) => [
    `hockey:${key}`,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return {
    config: Object.fromEntries(named) as Record<string, string>,
    secretKeys: SECRET_KEYS.map((key) => `hockey:${key}`),
  };
}

/** What a configuration looks like to `parseConfig` when every secret is stored as one. */
export function isSecret(key: string): boolean {
  return (SECRET_KEYS as string[]).includes(key);
}

/** The settings of `rawConfig`, with changes at its top level. */
export function settings(changes: Record<string, unknown> = {}): Settings {
  return parseConfig({ ...rawConfig(), ...changes }, isSecret);
}

/** The same with its directories on the server below one of this machine. */
export function settingsIn(
  directory: string,
  changes: Record<string, unknown> = {},
  [deploy, backup]: [string, string] = ["hockey", "backups"],
): Settings {
  const { server } = rawConfig() as { server: object };
  const [deployPath, backupPath] = [join(directory, deploy), join(directory, backup)];
  return settings({ server: { ...server, deployPath, backupPath }, ...changes });
}

/** The parsed key `github` of a stack that manages its repository. */
export const MANAGED = {
  ...{ owner: "me", repository: "hockey", branch: "main", manage: true },
  ...{ reviewers: [], previewReviewers: [] },
};
