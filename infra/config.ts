import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/**
 * The only reader of the stack's configuration. Everything else gets typed, complete, checked settings.
 *
 * Every key is described here and in Pulumi.yaml; what is wrong with a configuration is reported all at
 * once, before anything on the server is touched.
 */

/** What one key must look like, told to whoever got it wrong: the words and an example to copy. */
const EXPECTED: Record<string, { needs: string; example: string }> = {
  commit: {
    needs: "the full 40-digit hash of the commit to run",
    example: "3f786850e387550fdab836ed7e6dc881de23001b",
  },
  name: { needs: "lower-case letters, digits, _ and -, starting with a letter", example: "training_bot" },
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
  "app.environment": {
    needs: "names of environment variables with plain values",
    example: "{ LOG_LEVEL: info }",
  },
  "database.image": { needs: "an image of PostgreSQL with a version", example: "postgres:13" },
  "database.volume": {
    needs: "a volume's name: lower-case letters, digits, _, . and -",
    example: "training_bot_db_data",
  },
  "database.user": { needs: "lower-case letters, digits and _", example: "hockey" },
  "database.name": { needs: "lower-case letters, digits and _", example: "hockey_db" },
  "proxy.domain": { needs: "a domain that points to the server", example: "bot.example.org" },
  "proxy.port": { needs: "the public port where there is no domain, 1 to 65535", example: "5000" },
  "proxy.image": { needs: "an image of Caddy 2.8 or newer with a version", example: "caddy:2" },
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
  "alerts.telegramChat": { needs: "the number of a Telegram chat, or @channel", example: '"-1001234567890"' },
  "alerts.telegramApiUrl": { needs: "the http(s) address of a Bot API", example: "https://api.telegram.org" },
  "alerts.webhook": { needs: "an http(s) address that takes JSON", example: "https://hooks.example.org/bot" },
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

const port = z.coerce.number().int().min(1).max(65535);
const directory = z.string().regex(/^(\/[A-Za-z0-9._-]+){2,}$/);
const identifier = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/);
const secretLine = (least: number, most: number) =>
  z
    .string()
    .min(least)
    .max(most)
    .regex(/^[^\r\n\0]*$/);

/** An image with a version: `latest`, said or unsaid, means another program on every server. */
const image = z
  .string()
  .regex(/^[a-z0-9][a-z0-9./_-]*(:[0-9]+\/[a-z0-9./_-]+)?(:(?!latest$)[\w][\w.-]*|@sha256:[0-9a-f]{64})$/);

/** What the stack itself puts into the bot's environment; nobody may set these by hand. */
const RESERVED = [
  "DATABASE_URL",
  "POSTGRES_HOST",
  "POSTGRES_PORT",
  "POSTGRES_DB",
  "POSTGRES_USER",
  "POSTGRES_PASSWORD",
  "TELEGRAM_TOKEN",
  "SECRET_KEY",
  "PORT",
  "COMMIT_SHA",
];
const environment = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not the name of an environment variable")
    .refine((name) => !RESERVED.includes(name), "is set by the stack itself; remove it"),
  z.union([z.string(), z.number(), z.boolean()]).transform(String),
);

const Server = z.strictObject({
  host: z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9a-fA-F:]*:[0-9a-fA-F:]+$/),
  port: port.default(22),
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/)
    .default("deploy"),
  hostKey: z
    .string()
    .trim()
    .regex(/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) AAAA[0-9A-Za-z+/]{40,}={0,2}( [^\r\n]*)?$/)
    .transform((line) => line.split(" ").slice(0, 2).join(" ")),
  deployPath: directory.default("/home/deploy/hockey"),
  backupPath: directory.default("/home/deploy/backups"),
});

const App = z.strictObject({
  repository: z
    .string()
    .regex(/^(https:\/\/(?![^/]*:[^/]*@)\S+|ssh:\/\/\S+|[\w.-]+@[\w.-]+:\S+|(\/[\w.-]+)+)$/),
  branch: z
    .string()
    .regex(/^[A-Za-z0-9][\w./-]*$/)
    .default("main"),
  port: port.default(5000),
  healthPath: z
    .string()
    .regex(/^\/[\w./~%-]*$/)
    .default("/health"),
  environment: environment.default({}),
});

const Database = z.strictObject({
  image: image.default("postgres:13"),
  volume: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_.-]{0,99}$/)
    .optional(),
  user: identifier.default("hockey"),
  name: identifier.default("hockey_db"),
});

const Proxy = z.strictObject({
  domain: z
    .string()
    .regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/i)
    .optional(),
  port: port.default(5000),
  image: image.default("caddy:2"),
});

const httpUrl = z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, ""));

/** Whether a text is five fields that every cron understands, with values that occur. */
function isSchedule(text: string): boolean {
  const bounds = [
    [0, 59],
    [0, 23],
    [1, 31],
    [1, 12],
    [0, 7],
  ] as const;
  const fields = text.split(" ");
  return (
    fields.length === bounds.length &&
    bounds.every(([least, most], index) =>
      (fields[index] ?? "").split(",").every((part) => {
        const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
        if (!match) return false;
        const [, from, to, step] = match;
        const [first, last] = [Number(from ?? least), Number(to ?? from ?? most)];
        return least <= first && first <= last && last <= most && (step === undefined || Number(step) > 0);
      }),
    )
  );
}

const Backups = z.strictObject({
  schedule: z.string().refine(isSchedule).default("0 6 * * *"),
  retentionDays: z.coerce.number().int().min(1).max(3650).default(30),
  keepAtLeast: z.coerce.number().int().min(1).max(1000).default(7),
  query: z
    .string()
    .max(1000)
    .regex(/^select\s[^\r\n\0]+$/i)
    .optional(),
  remote: z
    .string()
    .regex(/^([A-Za-z0-9][\w.+@ -]*:[^\r\n\0]*|(\/[\w.-]+)+)$/)
    .optional(),
  recipient: z
    .string()
    .regex(/^age1[02-9ac-hj-np-z]{58}$/)
    .optional(),
  pingUrl: z
    .string()
    .regex(/^https?:\/\/[^\s"\\]+$/)
    .optional(),
});

const Alerts = z.strictObject({
  telegramChat: z.coerce
    .string()
    .regex(/^(-?[1-9][0-9]*|@[A-Za-z]\w{3,})$/)
    .optional(),
  telegramApiUrl: httpUrl.default("https://api.telegram.org"),
  webhook: httpUrl.optional(),
});

const GitHub = z.strictObject({
  owner: z.string().regex(/^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}$/),
  repository: z.string().regex(/^(?!\.{1,2}$)[\w.-]{1,100}$/),
  branch: z
    .string()
    .regex(/^[A-Za-z0-9][\w./-]*$/)
    .default("main"),
  manage: z.boolean().default(false),
  reviewers: z.array(z.coerce.number().int().positive()).max(6).default([]),
  infraRepository: z
    .string()
    .regex(/^[A-Za-z0-9-]+\/[\w.-]+$/)
    .optional(),
});

/** Without these the workflows reach neither the state nor the secrets in it. */
const NEEDED_BY_WORKFLOWS = ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"];

/** GitHub allows no other names, and keeps them in capitals. */
const githubSecrets = z.record(
  z.string().regex(/^(?!GITHUB_)[A-Z_][A-Z0-9_]*$/, "is not the name of a secret of GitHub's"),
  z.string().min(1),
);

const Plain = z.strictObject({
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  name: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,39}$/)
    .default("training_bot"),
  server: Server,
  app: App,
  database: Database.prefault({}),
  proxy: Proxy.prefault({}),
  backups: Backups.prefault({}),
  alerts: Alerts.prefault({}),
  github: GitHub.optional(),
});

const PlainConfig = Plain.partial({ commit: true });

const Secret = z.strictObject({
  postgresPassword: secretLine(8, 200),
  telegramToken: z.string().regex(/^[0-9]{5,}:[A-Za-z0-9_-]{30,}$/),
  secretKey: secretLine(16, 1000),
  sshPrivateKey: z
    .string()
    .regex(/^-----BEGIN [A-Z ]*PRIVATE KEY-----\n[\s\S]+\n-----END [A-Z ]*PRIVATE KEY-----\s*$/)
    .transform((key) => `${key.trimEnd()}\n`)
    .optional(),
  environment: environment.default({}),
  githubSecrets: githubSecrets.default({}),
});

const Config = z.strictObject({ ...Plain.shape, ...Secret.shape });

/** The keys whose values are objects. */
const OBJECTS = [
  "server",
  "app",
  "database",
  "proxy",
  "backups",
  "alerts",
  "github",
  "githubSecrets",
  "environment",
];

type Plain = z.infer<typeof Plain>;
type Secret = z.infer<typeof Secret>;
/** The server's address and directories. `hostKey` is the pinned public host key, `<type> <base64>`. */
export type ServerSettings = Plain["server"];
/** Where the bot comes from and how it is reached inside its network. */
export type AppSettings = Plain["app"];
/** The database's image, role and name, and the volume with its data where that is not the usual one. */
export type DatabaseSettings = Plain["database"];
/** The public side: either a domain with TLS on 80 and 443, or plain HTTP on `port`. */
export type ProxySettings = Plain["proxy"];
/** When backups are made, how many are kept, and where else they go. `schedule` is in the server's time zone. */
export type BackupSettings = Plain["backups"];
/** Where `npm run health` reports to; nowhere when neither a chat nor a webhook is set. */
export type AlertSettings = Plain["alerts"];
/** The bot's repository on GitHub, and whether the stack manages its secrets, environments and workflow files. */
export type GitHubSettings = NonNullable<Plain["github"]>;
/**
 * A whole configuration. What is secret is a secret Output, which Pulumi never stores or shows in clear; only
 * `sshPrivateKey` is plain, because ssh needs it before any resource exists, and `githubSecrets`, whose names make
 * resources: whoever hands them on wraps them.
 */
export type Settings = Plain &
  Pick<Secret, "sshPrivateKey" | "githubSecrets"> & {
    [Key in Exclude<keyof Secret, "sshPrivateKey" | "githubSecrets">]: pulumi.Output<Secret[Key]>;
  };

/** The keys that hold secrets, for those who must handle them apart. */
export const SECRET_KEYS = Object.keys(Secret.shape) as (keyof Secret)[];

/** A configuration that cannot be used; `message` lists every fault, a line each. */
export class ConfigError extends pulumi.RunError {}

/** One line for a reader: the key, what is wrong with it, an example. Never the value: it may be secret. */
function describe(issue: z.core.$ZodIssue): string[] {
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
  const expected = EXPECTED[key] ?? EXPECTED[key.slice(0, key.lastIndexOf("."))];
  const missing = issue.input === undefined;
  const problem = missing ? "is missing; it needs" : "is not valid; it needs";
  return [`${key}: ${problem} ${expected?.needs ?? issue.message}, e.g. ${expected?.example ?? "…"}`];
}

/** The keys that the workflows cannot do without. */
function missingForGitHub(config: Partial<z.infer<typeof Config>> = {}): string[] {
  const { github, githubSecrets = {}, sshPrivateKey } = config;
  if (!github?.manage) return [];
  return [
    ...(sshPrivateKey === undefined ? ["sshPrivateKey"] : []),
    ...NEEDED_BY_WORKFLOWS.filter((name) => !(name in githubSecrets)).map((name) => `githubSecrets.${name}`),
  ];
}

function siblings(parent: string): string[] {
  const prefix = parent ? `${parent}.` : "";
  return Object.keys(EXPECTED)
    .filter((key) => key.startsWith(prefix) && !key.slice(prefix.length).includes("."))
    .map((key) => key.slice(prefix.length))
    .concat(prefix ? [] : OBJECTS.filter((key) => !(key in EXPECTED)));
}

/**
 * Checks a raw configuration: keys without the project's prefix, objects already parsed.
 *
 * @param isSecret tells of a key whether it is stored encrypted
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

/** What commands read that need no secret: the plain keys, checked like all others; `commit` may be missing still. */
export type PlainSettings = z.infer<typeof PlainConfig>;

/**
 * Checks the plain part of a raw configuration; secrets in it are left aside.
 *
 * @throws ConfigError with every fault at once
 */
export function parsePlainConfig(raw: Record<string, unknown>): PlainSettings {
  const plain = Object.fromEntries(Object.entries(raw).filter(([key]) => !(key in Secret.shape)));
  const result = PlainConfig.safeParse(plain, { reportInput: true });
  if (!result.success) throw configError(result.error.issues.flatMap(describe));
  return result.data;
}

/** The volume on the server that holds the database's data. */
export function databaseVolume({ name, database }: Pick<PlainSettings, "name" | "database">): string {
  return database.volume ?? `${name}_db_data`;
}

function configError(faults: string[]): ConfigError {
  const count = faults.length === 1 ? "one fault" : `${faults.length} faults`;
  return new ConfigError(
    `The configuration has ${count}; nothing was changed.\n${faults.map((fault) => `  ${fault}`).join("\n")}`,
  );
}

/** The configuration of the stack that is being previewed or updated. */
export function loadConfig(): Settings {
  const prefix = `${pulumi.getProject()}:`;
  const all = pulumi.runtime.allConfig();
  // The SDK has this function, but keeps it out of its type declarations.
  const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret: (key: string) => boolean };
  const raw = Object.fromEntries(
    Object.entries(all)
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), parseValue(key.slice(prefix.length), value)]),
  );
  return parseConfig(raw, (key) => isConfigSecret(prefix + key));
}

/** Pulumi hands every value over as text: objects as JSON, the rest as it is. */
function parseValue(key: string, value: string): unknown {
  if (!OBJECTS.includes(key)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
