import { z } from "zod";
import { hasCredentials, hasLogin, isHttpUrl, parseRepository } from "./addresses.ts";
import { configError, describe, FAULTS } from "./config-errors.ts";
import { START_SECONDS } from "./limits.ts";
import { BOT_VARIABLES, dockerNames, FIRST_BOT } from "./names.ts";

/**
 * The shape of a stack's configuration, its defaults and its checks. Commands, which need no secret, read it here and do
 * not load Pulumi's SDK.
 */

/** Stands for a value that is stored encrypted: reading it takes the passphrase. */
export const ENCRYPTED = "[secret]";

/** Keys among plain ones whose values may be encrypted all the same: these addresses are of use to all who know them. */
export const MAY_BE_SECRET = ["alerts.pingUrl", "alerts.webhook", "backups.pingUrl"];

const port = z.coerce.number().int().min(1).max(65535);
const directory = z.string().regex(/^(\/[A-Za-z0-9._-]+){2,}$/);
const identifier = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/);
const secretLine = (least: number, most: number) =>
  z
    .string()
    .min(least)
    .max(most)
    .regex(/^[^\r\n\0]*$/);

/**
 * An image with a version: `latest`, explicit or implied, means another program on every server. A digest beside the tag
 * fixes the image; the tag then says which version it is.
 */
const image = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9./_-]*(:[0-9]+\/[a-z0-9./_-]+)?(?=[:@])(:(?!latest(@|$))[\w][\w.-]*)?(@sha256:[0-9a-f]{64})?$/,
  );

const environment = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not the name of an environment variable")
    .refine(
      (name) => !(BOT_VARIABLES as readonly string[]).includes(name),
      "is set by the stack itself; remove it",
    ),
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
    .refine((text) => !hasCredentials(text), { error: FAULTS.credentials, abort: true })
    .refine((text) => parseRepository(text) !== undefined),
  branch: z
    .string()
    .regex(/^[A-Za-z0-9][\w./-]*$/)
    .default("main"),
  port: port.default(5000),
  healthPath: z
    .string()
    .regex(/^\/[\w./~%-]*$/)
    .default("/health"),
  startSeconds: z.coerce.number().int().min(5).max(300).default(START_SECONDS),
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
  extensions: z
    .array(z.string().regex(/^[a-z_][a-z0-9_-]{0,62}$/))
    .max(50)
    .default([]),
});

const Proxy = z.strictObject({
  domain: z
    .string()
    .regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/i)
    .optional(),
  port: port.default(5000),
  image: image.default("caddy:2"),
});

/** @param instead what may stand for an address, too */
const httpUrl = (instead?: string) =>
  z
    .string()
    .refine((text) => !hasLogin(text), { error: FAULTS.login, abort: true })
    .refine((text) => text === instead || isHttpUrl(text));
const withoutLastSlash = (url: string) => url.replace(/\/+$/, "");

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
  pingUrl: httpUrl(ENCRYPTED).optional(),
  beforeRelease: z.boolean().default(true),
});

const Alerts = z.strictObject({
  telegramChat: z.coerce
    .string()
    .regex(/^(-?[1-9][0-9]*|@[A-Za-z]\w{3,})$/)
    .optional(),
  telegramApiUrl: httpUrl().transform(withoutLastSlash).default("https://api.telegram.org"),
  webhook: httpUrl(ENCRYPTED).transform(withoutLastSlash).optional(),
  pingUrl: httpUrl(ENCRYPTED).optional(),
  warningHours: z.coerce.number().int().min(1).max(720).default(24),
});

/** Ids of users; GitHub takes no more of them for one environment. */
const reviewers = z.array(z.coerce.number().int().positive()).max(6).default([]);

const GitHub = z.strictObject({
  owner: z.string().regex(/^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}$/),
  repository: z.string().regex(/^(?!\.{1,2}$)[\w.-]{1,100}$/),
  branch: z
    .string()
    .regex(/^[A-Za-z0-9][\w./-]*$/)
    .default("main"),
  manage: z.boolean().default(false),
  reviewers,
  previewReviewers: reviewers,
  infraRepository: z
    .string()
    .regex(/^[A-Za-z0-9-]+\/[\w.-]+$/)
    .optional(),
});

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
    .default(FIRST_BOT),
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

/** Everything. */
export const Config = z.strictObject({ ...Plain.shape, ...Secret.shape });

/** The keys whose values are objects. */
export const OBJECT_KEYS = Object.entries(Config.shape)
  .filter(([, type]) => isObject(type))
  .map(([key]) => key);

function isObject({ _zod: { def } }: z.core.$ZodType): boolean {
  return "innerType" in def
    ? isObject(def.innerType as z.core.$ZodType)
    : ["object", "record"].includes(def.type);
}

/** The part that is stored in clear. */
export type Plain = z.infer<typeof Plain>;
/** The part that is encrypted. */
export type Secret = z.infer<typeof Secret>;
/** The server's address and directories. `hostKey` is the pinned public host key, `<type> <base64>`. */
export type ServerSettings = Plain["server"];
/** Where the bot comes from and how it is reached inside its network. */
export type AppSettings = Plain["app"];
/** The database's image, role, name and extensions, and the volume with its data where that is not the usual one. */
export type DatabaseSettings = Plain["database"];
/** The public side: either a domain with TLS on 80 and 443, or plain HTTP on `port`. */
export type ProxySettings = Plain["proxy"];
/** When backups are made, how many are kept, and where else they go. `schedule` is in the server's time zone. */
export type BackupSettings = Plain["backups"];
/** Where health checks report to, and after how many hours a warning is reported. */
export type AlertSettings = Plain["alerts"];
/** The bot's repository on GitHub, and whether the stack manages its secrets, environments and workflow files. */
export type GitHubSettings = NonNullable<Plain["github"]>;
/** The keys that hold secrets. */
export const SECRET_KEYS = Object.keys(Secret.shape) as (keyof Secret)[];
/** The keys of the plain part. */
export const PLAIN_KEYS = Object.keys(Plain.shape);

/** The plain keys, which commands read; before the first deploy `commit` is missing. */
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
  return database.volume ?? dockerNames(name).data;
}
