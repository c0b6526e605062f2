import type { z } from "zod";
import { dockerNames, FIRST_BOT } from "./names.ts";

/** The messages about a configuration that cannot be used. */

/** What each key of the schema needs, for its error message: the words and an example to copy. */
export const EXPECTED: Record<string, { needs: string; example: string }> = {
  commit: {
    needs: "the full 40-digit hash of the commit to run",
    example: "3f786850e387550fdab836ed7e6dc881de23001b",
  },
  name: { needs: "lower-case letters, digits, _ and -, starting with a letter", example: FIRST_BOT },
  server: { needs: "the server's address and host key", example: "{ host: bot.example.org, hostKey: … }" },
  "server.host": { needs: "a host name or an IP address", example: "bot.example.org" },
  "server.port": { needs: "sshd's port, 1 to 65535", example: "22" },
  "server.user": { needs: "the login of the deploy user", example: "deploy" },
  "server.hostKey": {
    // Of several kinds of keys this one works with every client: Go's asks for it first.
    needs: "one line of the server's /etc/ssh/ssh_host_ecdsa_key.pub",
    example:
      "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAxhFywCIBdFg939XLsPLyiuegvRbYQZ0mdmfWpIHLsFjS2G9bENAQX7w5LJQepe+oz62TBbAstTiq+gCvg6+m0=",
  },
  "server.deployPath": { needs: "an absolute directory on the server", example: "/home/deploy/hockey" },
  "server.backupPath": { needs: "an absolute directory on the server", example: "/home/deploy/backups" },
  app: { needs: "the bot's repository", example: "{ repository: https://github.com/you/hockey.git }" },
  "app.repository": {
    needs:
      "a git URL (https, ssh, git@host:path) or an absolute path on the server, without a password in it",
    example: "https://github.com/you/hockey.git",
  },
  "app.branch": { needs: "a branch of the repository", example: "main" },
  "app.port": { needs: "the port the bot listens on, 1 to 65535", example: "5000" },
  "app.healthPath": { needs: "a path that starts with /", example: "/health" },
  "app.startSeconds": {
    needs: "seconds that the bot may take until its first good answer, 5 to 300",
    example: "30",
  },
  "app.environment": {
    needs: "names of environment variables with plain values",
    example: "{ LOG_LEVEL: info }",
  },
  database: { needs: "the database's image, role and name", example: "{ image: postgres:13 }" },
  "database.image": { needs: "an image of PostgreSQL with a version", example: "postgres:13" },
  "database.volume": {
    needs: "a volume's name: lower-case letters, digits, _, . and -",
    example: dockerNames(FIRST_BOT).data,
  },
  "database.user": { needs: "lower-case letters, digits and _", example: "hockey" },
  "database.name": { needs: "lower-case letters, digits and _", example: "hockey_db" },
  "database.extensions": { needs: "names of extensions of PostgreSQL", example: "[pg_trgm, unaccent]" },
  proxy: { needs: "the page's domain, or its port", example: "{ domain: bot.example.org }" },
  "proxy.domain": { needs: "a domain that points to the server", example: "bot.example.org" },
  "proxy.port": { needs: "the public port where there is no domain, 1 to 65535", example: "5000" },
  "proxy.image": { needs: "an image of Caddy 2.8 or newer with a version", example: "caddy:2" },
  backups: { needs: "when backups are made and how many are kept", example: "{ retentionDays: 30 }" },
  "backups.schedule": {
    needs: "five cron fields of numbers, *, lists, ranges and steps, in the server's time zone",
    example: '"0 6 * * *"',
  },
  "backups.retentionDays": { needs: "days, 1 to 3650", example: "30" },
  "backups.keepAtLeast": { needs: "a number of verified backups, 1 to 1000", example: "7" },
  "backups.query": {
    needs: "a SELECT on one line whose answer is the same in a restored copy",
    example: '"SELECT max(id) FROM games"',
  },
  "backups.remote": { needs: "a target of rclone, REMOTE:PATH or a directory", example: "offsite:hockey" },
  "backups.recipient": { needs: "a public key of age", example: "age1…" },
  "backups.pingUrl": { needs: "an http(s) address", example: "https://hc-ping.com/…" },
  "backups.beforeRelease": { needs: "true or false", example: "false" },
  alerts: { needs: "where faults are reported to", example: '{ telegramChat: "-1001234567890" }' },
  "alerts.telegramChat": { needs: "the number of a Telegram chat, or @channel", example: '"-1001234567890"' },
  "alerts.telegramApiUrl": { needs: "the http(s) address of a Bot API", example: "https://api.telegram.org" },
  "alerts.webhook": { needs: "an http(s) address that takes JSON", example: "https://hooks.example.org/bot" },
  "alerts.pingUrl": { needs: "an http(s) address", example: "https://hc-ping.com/…" },
  "alerts.warningHours": { needs: "hours, 1 to 720", example: "24" },
  github: {
    needs: "the bot's repository on GitHub",
    example: "{ owner: you, repository: hockey, manage: true }",
  },
  "github.owner": { needs: "the user or organization that owns the repository", example: "you" },
  "github.repository": { needs: "the repository's name without its owner", example: "hockey" },
  "github.branch": { needs: "the branch whose pushes are deployed", example: "main" },
  "github.manage": { needs: "true or false", example: "true" },
  "github.reviewers": {
    needs: "at most 6 numeric ids of users; https://api.github.com/users/LOGIN shows one",
    example: "[583231]",
  },
  "github.previewReviewers": {
    needs: "at most 6 numeric ids of users; https://api.github.com/users/LOGIN shows one",
    example: "[583231]",
  },
  "github.infraRepository": {
    needs: "the repository of this program as OWNER/NAME, where it is not the bot's",
    example: "you/hockey-delivery",
  },
  githubSecrets: {
    needs: "names and values of further secrets for the workflows",
    example: "--path githubSecrets.PULUMI_BACKEND_URL s3://…",
  },
  postgresPassword: { needs: "8 to 200 characters on one line", example: "$(openssl rand -hex 24)" },
  telegramToken: { needs: "the bot's token from @BotFather", example: "123456789:AAF…" },
  secretKey: { needs: "at least 16 characters on one line", example: "$(openssl rand -hex 32)" },
  sshPrivateKey: {
    needs: "the deploy key as OpenSSH writes it, without a passphrase; leave it out to use ssh-agent",
    example: "< ~/.ssh/hockey_deploy",
  },
  environment: {
    needs: "secret names and values for the bot",
    example: '--path environment.WEATHER_KEY "…"',
  },
};

/** What is wrong with a value where that is worth saying; all other values are just not valid. */
export const FAULTS = {
  credentials:
    "has a user name, a password or a query in it, which would be stored and shown in clear; leave that out, and let the server in another way: by a key of its own with `github.manage` and the SSH address, or by a key or credentials that you give its user there",
  login:
    "has a user name or a password in it, which would be stored and shown in clear; use an address without them",
};

/** A configuration that cannot be used; `message` lists every fault, a line each. */
export class ConfigError extends Error {
  readonly faults: string[];

  constructor(message: string, faults: string[]) {
    super(message);
    this.faults = faults;
  }
}

/** One line for a reader: the key, what is wrong with it, an example. Never the value: it may be secret. */
export function describe(issue: z.core.$ZodIssue): string[] {
  const key = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((unknown) => {
      const full = key ? `${key}.${unknown}` : unknown;
      return `${full}: is not a key of this program; remove it or correct its spelling (known here: ${siblings(key).join(", ")})`;
    });
  }
  if (issue.code === "invalid_key") {
    return [`${key}: ${issue.issues[0]?.message ?? issue.message}, e.g. LOG_LEVEL`];
  }
  if (Object.values(FAULTS).includes(issue.message)) return [`${key}: ${issue.message}`];
  const expected = EXPECTED[key] ?? EXPECTED[key.slice(0, key.lastIndexOf("."))];
  const missing = issue.input === undefined;
  const problem = missing ? "is missing; it needs" : "is not valid; it needs";
  return [`${key}: ${problem} ${expected?.needs ?? issue.message}, e.g. ${expected?.example ?? "…"}`];
}

function siblings(parent: string): string[] {
  const prefix = parent ? `${parent}.` : "";
  return Object.keys(EXPECTED)
    .filter((key) => key.startsWith(prefix) && !key.slice(prefix.length).includes("."))
    .map((key) => key.slice(prefix.length));
}

/** @param key of a secret */
export const storedInClear = (key: string) =>
  `${key}: is stored in clear; set it again with \`pulumi config set --secret ${key}\``;

/** @param path of an encrypted value, or a key with one somewhere in it, that must be plain */
export function storedSecret(path: string): string {
  const [, variable] = /^app\.environment\.(.+)$/.exec(path) ?? [];
  const remedy = `set it again in clear with \`pulumi config set --path ${path}\``;
  const instead = `remove it with \`pulumi config rm --path ${path}\`, and use \`pulumi config set --path --secret environment.${variable ?? ""}\``;
  return `${path}: is encrypted, but has to be read without the passphrase; ${variable === undefined ? remedy : instead}`;
}

/** @param key that nothing else needs */
export const missingForWorkflows = (key: string) =>
  `${key}: is missing; with \`github.manage\` it is passed on to the workflows`;

export function configError(faults: string[]): ConfigError {
  const count = faults.length === 1 ? "one fault" : `${faults.length} faults`;
  return new ConfigError(
    `The configuration has ${count}; nothing was changed.\n${faults.map((fault) => `  ${fault}`).join("\n")}`,
    faults,
  );
}
