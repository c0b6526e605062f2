import { rawConfig } from "./fixtures.ts";

/** The complete configuration with one thing changed: sets a value at a dotted path; `undefined` removes it. */
export function withValue(path: string, value: unknown): Record<string, unknown> {
  const raw = structuredClone(rawConfig());
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let at = raw;
  for (const key of keys) at = (at[key] ??= {}) as Record<string, unknown>;
  if (value === undefined) Reflect.deleteProperty(at, last);
  else at[last] = value;
  return raw;
}

/** What is broken, the value, and what the message must say. */
export const BROKEN: [path: string, value: unknown, message: RegExp][] = [
  ["commit", undefined, /commit: is missing; it needs the full 40-digit hash .*e\.g\. [0-9a-f]{40}/],
  ["commit", "HEAD", /commit: is not valid; it needs the full 40-digit hash/],
  ["commit", "3f78685", /commit: is not valid; it needs the full 40-digit hash/],
  ["commit", "3F786850E387550FDAB836ED7E6DC881DE23001B", /commit: is not valid/],
  ["name", "Training Bot", /name: is not valid; it needs lower-case letters/],
  ["name", "$(reboot)", /name: is not valid/],
  ["server", undefined, /server: is missing; it needs the server's address and host key/],
  ["server", "bot.example.org", /server: is not valid; it needs the server's address/],
  ["server.host", undefined, /server\.host: is missing; it needs a host name or an IP address/],
  ["server.host", "-oProxyCommand=reboot", /server\.host: is not valid/],
  ["server.host", "ssh://bot.example.org", /server\.host: is not valid/],
  ["server.port", 0, /server\.port: is not valid; it needs sshd's port/],
  ["server.port", 65536, /server\.port: is not valid/],
  ["server.port", "ssh", /server\.port: is not valid/],
  ["server.user", "deploy; reboot", /server\.user: is not valid; it needs the login/],
  [
    "server.hostKey",
    undefined,
    /server\.hostKey: is missing; it needs one line of .*e\.g\. ecdsa-sha2-nistp256 AAAA/,
  ],
  ["server.hostKey", "SHA256:abcdef", /server\.hostKey: is not valid/],
  ["server.hostKey", "ssh-ed25519 AAAA", /server\.hostKey: is not valid/],
  ["server.deployPath", "hockey", /server\.deployPath: is not valid; it needs an absolute directory/],
  ["server.deployPath", "/", /server\.deployPath: is not valid/],
  ["server.backupPath", "/home/deploy/my backups", /server\.backupPath: is not valid/],
  ["server.hostkey", "x", /server\.hostkey: is not a key of this program.*known here: .*hostKey/],
  ["app", undefined, /app: is missing; it needs the bot's repository/],
  ["app.repository", "hockey", /app\.repository: is not valid; it needs a git URL/],
  [
    "app.repository",
    "https://me:secret@github.com/x/y.git",
    /app\.repository: has a user name, a password or a query in it, .* `github\.manage`/,
  ],
  ["app.repository", "https://gitlab.com/x/y.git?private_token=secret", /app\.repository: has a user name/],
  ["app.branch", "--upload-pack=reboot", /app\.branch: is not valid; it needs a branch/],
  ["app.port", "5000/tcp", /app\.port: is not valid; it needs the port the bot listens on/],
  ["app.healthPath", "health", /app\.healthPath: is not valid; it needs a path that starts with \//],
  ["app.startSeconds", 4, /app\.startSeconds: is not valid; it needs seconds that the bot may take until/],
  ["app.startSeconds", "soon", /app\.startSeconds: is not valid/],
  ["app.environment", { "LOG LEVEL": "info" }, /app\.environment\.LOG LEVEL: is not the name of an env/],
  ["app.environment", { DATABASE_URL: "x" }, /app\.environment\.DATABASE_URL: is set by the stack itself/],
  ["app.environment", { NESTED: { a: 1 } }, /app\.environment\.NESTED: is not valid/],
  [
    "database.image",
    "postgres:latest",
    /database\.image: is not valid; .* with a version, e\.g\. postgres:13/,
  ],
  ["database.image", "postgres", /database\.image: is not valid/],
  [
    "database.volume",
    "/var/lib/data",
    /database\.volume: is not valid; it needs a volume's name: .*e\.g\. training/,
  ],
  ["database.volume", "", /database\.volume: is not valid/],
  ["database.user", "hockey-user", /database\.user: is not valid; it needs lower-case letters/],
  ["database.name", "hockey_db'; drop", /database\.name: is not valid/],
  [
    "database.extensions",
    "pg_trgm",
    /database\.extensions: is not valid; it needs names of ext.*\[pg_trgm, unaccent\]/,
  ],
  ["database.extensions", ["pg_trgm; --"], /database\.extensions.*: is not valid; it needs names of ext/],
  ["database.port", 5432, /database\.port: is not a key of this program/],
  ["proxy.domain", "https://bot.example.org", /proxy\.domain: is not valid; it needs a domain/],
  ["proxy.port", -1, /proxy\.port: is not valid; it needs the public port/],
  ["proxy.image", "caddy", /proxy\.image: is not valid; .*with a version, e\.g\. caddy:2/],
  ["postgresPassword", undefined, /postgresPassword: is missing; it needs 8 to 200 characters/],
  ["postgresPassword", "short", /postgresPassword: is not valid/],
  ["postgresPassword", "two\nlines of it", /postgresPassword: is not valid/],
  ["backups.schedule", "@daily", /backups\.schedule: is not valid; it needs five cron fields/],
  ["backups.schedule", "0 24 * * *", /backups\.schedule: is not valid/],
  ["backups.schedule", "0 6 * *", /backups\.schedule: is not valid/],
  ["backups.schedule", "0 6 * * *\n* * * * *", /backups\.schedule: is not valid/],
  ["backups.schedule", "*/0 * * * *", /backups\.schedule: is not valid/],
  ["backups.schedule", "30-10 * * * *", /backups\.schedule: is not valid/],
  ["backups.retentionDays", 0, /backups\.retentionDays: is not valid; it needs days/],
  ["backups.keepAtLeast", 0, /backups\.keepAtLeast: is not valid/],
  ["backups.query", "DROP TABLE games", /backups\.query: is not valid; it needs a SELECT on one line/],
  ["backups.remote", "--config=/etc/passwd", /backups\.remote: is not valid; it needs a target of rclone/],
  ["backups.recipient", "AGE-SECRET-KEY-1QQQ", /backups\.recipient: is not valid; it needs a public key/],
  ["backups.pingUrl", "hc-ping.com/1", /backups\.pingUrl: is not valid/],
  ["backups.beforeRelease", "maybe", /backups\.beforeRelease: is not valid; it needs true or false/],
  ["telegramToken", "token", /telegramToken: is not valid; it needs the bot's token from @BotFather/],
  ["secretKey", "tooshort", /secretKey: is not valid; it needs at least 16 characters/],
  ["sshPrivateKey", "~/.ssh/id_ed25519", /sshPrivateKey: is not valid; it needs the deploy key as OpenSSH/],
  ["environment", { "1ST": "x" }, /environment\.1ST: is not the name of an environment variable/],
  ["github", { owner: "me/", repository: "hockey" }, /github\.owner: is not valid; it needs the user or org/],
  [
    "github",
    { owner: "me", repository: ".." },
    /github\.repository: is not valid; it needs the repository's n/,
  ],
  [
    "github",
    { owner: "me", repository: "b", manage: "y" },
    /github\.manage: is not valid; it needs true or f/,
  ],
  ["github", { owner: "me", repository: "b", reviewers: ["bob"] }, /github\.reviewers.*: is not valid/],
  [
    "github",
    { owner: "me", repository: "b", previewReviewers: [0] },
    /github\.previewReviewers.*: is not valid; it needs at most 6 numeric ids/,
  ],
  ["github", { owner: "me", repository: "b", infraRepository: "x" }, /infraRepository: .* as OWNER\/NAME/],
  [
    "github",
    { owner: "me", repository: "b", manage: true },
    /sshPrivateKey: is missing; with `github\.manage`/,
  ],
  [
    "github",
    { owner: "me", repository: "b", manage: true },
    /githubSecrets\.PULUMI_BACKEND_URL: is missing; /,
  ],
  ["githubSecrets", { GITHUB_X: "x" }, /githubSecrets\.GITHUB_X: is not the name of a secret of GitHub's/],
  ["commmit", "3f78", /commmit: is not a key of this program; .*known here: commit, /],
  [
    "alerts.telegramChat",
    "our team",
    /alerts\.telegramChat: is not valid; it needs the number of a Telegram chat/,
  ],
  ["alerts.webhook", "hooks.example.org", /alerts\.webhook: is not valid; it needs an http\(s\) address/],
  ["alerts.pingUrl", "hc-ping.com/1", /alerts\.pingUrl: is not valid; it needs an http\(s\) address/],
  [
    "alerts.telegramApiUrl",
    "https://me:secret@api.example.org",
    /alerts\.telegramApiUrl: has a user name or a password in it, .*; use an address without them/,
  ],
  ["alerts.warningHours", 0, /alerts\.warningHours: is not valid; it needs hours, 1 to 720/],
  ["alerts.warningHours", 721, /alerts\.warningHours: is not valid/],
  ["alerts.mail", "a@example.org", /alerts\.mail: is not a key of this program/],
];
