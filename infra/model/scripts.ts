import { readFileSync } from "node:fs";
import { join } from "node:path";
import { INSTALLED, serverPaths } from "./paths.ts";
import { type FactName, factsByName, type StackSettings } from "./server-settings.ts";
import { shellCommand } from "./ssh.ts";

/**
 * How the scripts of scripts/server/ are called: with arguments by name, through the environment.
 *
 * A script is *installed* if its caller outlives this program: cron, a boot, a watcher, or a resource of Pulumi's, whose
 * deletion must work without this program's files, and which must not run again for a changed comment. All other scripts
 * are *uploaded* with each call, so that script and caller always have the same version.
 */

/** What one script takes. */
interface Script {
  /** Facts of the stack: an installed script reads them from the settings file, an uploaded one is given them. */
  facts: readonly FactName[];
  /** What only the caller knows. */
  own?: readonly string[];
  /** What only the caller knows, and may leave out. */
  optional?: readonly string[];
  installed?: true;
}

const GATE = ["PROXY", "GATE", "HOLD_SECONDS", "DRAIN_SECONDS"] as const;
const HEALTH = ["BOT", "PROXY", "PAGE", "GATE", "START_SECONDS", "CONTAINER_PIDS", "SECRET_TEXTS"] as const;
const STANDSTILL = ["RESTORE_JOURNAL", "UPGRADE_JOURNAL", "STANDSTILL_STAGES"] as const;

/** Every script, with the names that it takes. */
export const SCRIPTS = {
  /** Says why there is no certificate for the domain. */
  "await-certificate.sh": {
    facts: [
      ...(["PROXY", "CADDYFILE", "CERTIFICATES", "DOMAIN", "CERTIFICATE_SECONDS", "UNCERTIFIED"] as const),
      ...(["BOT", "SECRET_TEXTS"] as const),
    ],
    installed: true,
  },
  /** Waits until the bot (`bot`) or PostgreSQL (`database`) is healthy. */
  "await-healthy.sh": {
    facts: [...HEALTH, "DATABASE_CONTAINER", "ROLE", "DATABASE", "READY_SECONDS"],
    installed: true,
  },
  "backup-db.sh": { facts: [], optional: ["STACK", "STACK_ID"], installed: true },
  "build-image.sh": {
    facts: [
      ...(["REPOSITORY", "GIT_SSH", "MIRROR", "BUILD_LOG", "BUILD_LOCK", "REVISION_LABEL"] as const),
      ...(["BUILD_FREE_MB", "KEPT_IMAGES", "CLAIM", "BOT", "SECRET_TEXTS"] as const),
      ...(["DEPLOY_PATH", "SETTINGS_FILE"] as const),
      ...(["BASE_PULLS", "BASE_PULL_HOURS", "BASE_PULL_SECONDS", "BASES_LABEL"] as const),
    ],
    own: ["IMAGE", "COMMIT"],
    optional: ["STACK", "STACK_ID"],
    installed: true,
  },
  /** `look`, `tell` or `cron`; on standard input come the caller's own verdicts. */
  "check-health.sh": {
    facts: [
      ...(["BOT", "DATABASE_CONTAINER", "PROXY", "GATE", "CERTIFICATES", "REVISION_LABEL", "HOST"] as const),
      ...(["PORT", "HEALTH_PATH", "PUBLIC_PORT", "DOMAIN", "ROLE", "DATABASE", "DATABASE_PORT"] as const),
      ...(["BOT_API_URL", "BACKUP_MANIFEST", "BACKUP_LOG", "BACKUP_GAP_SECONDS", "REMOTE"] as const),
      ...(["BUILD_FREE_MB", "HOLD_SECONDS", "UPGRADE_HOLD_SECONDS", "RESTORE_JOURNAL"] as const),
      ...(["UPGRADE_JOURNAL", "SWAP_LOCK", "DRIFT", "IMAGE_UPDATES", "HEALTH"] as const),
      ...(["HEALTH_DIRECTORY", "HEALTH_MINUTES", "WARNING_HOURS", "DEPLOY_PATH", "SETTINGS_FILE"] as const),
      ...(["SECRET_TEXTS", "CERTIFICATE_DAYS"] as const),
    ],
    /** The caller's time in seconds since 1970; `yes` for the facts as JSON, too. */
    optional: ["CALLER_TIME", "REPORT"],
    installed: true,
  },
  "check-files.sh": { facts: ["DEPLOY_PATH", "MANIFEST", "REPOSITORY_KEY", "SETTINGS_FILE", "CLAIM"] },
  "check-images.sh": {
    facts: [
      ...(["BOT", "DATABASE_CONTAINER", "PROXY", "DATABASE_IMAGE", "PROXY_IMAGE", "BASES_LABEL"] as const),
      ...(["IMAGE_UPDATES", "REGISTRY_SECONDS"] as const),
    ],
    installed: true,
  },
  "check-server.sh": {
    facts: [
      ...(["DEPLOY_PATH", "BACKUP_PATH", "SETTINGS_FILE", "MANIFEST", "DRIFTED", "UNCERTIFIED"] as const),
      ...(["BOT", "DATABASE_CONTAINER", "PROXY", "REVISION_LABEL", "VOLUME", "BIN"] as const),
      ...(["RESTORE_JOURNAL", "UPGRADE_JOURNAL", "SWAP_LOCK", "HOLD_SECONDS", "SWITCHING_STAGE"] as const),
      ...(["DATABASE_IMAGE", "EXTENSIONS"] as const),
      ...(["REPOSITORY", "MIRROR", "GIT_SSH", "GIT_SECONDS"] as const),
      ...(["CLAIM", "BACKUP_CLAIM", "NETWORK", "ROLE", "DATABASE"] as const),
    ],
    own: ["STACK", "COMMIT", "KEY"],
    optional: ["MAJOR"],
  },
  /** `claim` or `release`. */
  "claim-directories.sh": {
    facts: ["DEPLOY_PATH", "BACKUP_PATH", "CLAIM", "BACKUP_CLAIM"],
    own: ["STACK", "STACK_ID"],
  },
  "find-commit.sh": {
    facts: ["REPOSITORY", "BRANCH", "MIRROR", "GIT_SSH", "GIT_SECONDS"],
    optional: ["COMMIT"],
  },
  "hold-requests.sh": { facts: GATE, installed: true },
  /** `install` or `remove`, then the deploy path: a removal needs nothing else. */
  "install-backup-cron.sh": {
    facts: ["BIN", "BACKUP_LOG", "HEALTH_DIRECTORY"],
    optional: ["SCHEDULE", "HEALTH_MINUTES"],
    installed: true,
  },
  /** `install` or `remove`; the archive comes after the script. */
  "install-files.sh": {
    facts: [
      ...(["DEPLOY_PATH", "BACKUP_PATH", "MANIFEST"] as const),
      ...(["HEALTHY_FINGERPRINTS", "HEALTH_DIRECTORY", "HEALTH", "DRIFT", "DRIFTED", "UNCERTIFIED"] as const),
      ...(["BASE_PULLS", "IMAGE_UPDATES"] as const),
    ],
  },
  /** `make` or `remove`, then the file. */
  "make-repository-key.sh": { facts: [], installed: true },
  /** The settings file, then `own` or `recover`. */
  "own-database.sh": { facts: [], installed: true },
  "reload-proxy.sh": { facts: ["PROXY", "CADDYFILE"], installed: true },
  "restart-bot.sh": {
    facts: [...GATE, ...HEALTH, ...STANDSTILL, "SWAP_LOCK", "PROBATION_SECONDS"],
  },
  "restore-db.sh": { facts: [], optional: ["BACKUP"], installed: true },
  "save-image.sh": { facts: ["BOT", "REVISION_LABEL"], optional: ["COMMIT"] },
  "set-password.sh": { facts: ["DATABASE_CONTAINER", "ROLE"], installed: true },
  "show-logs.sh": { facts: ["BOT", "SECRET_TEXTS"], own: ["CONTAINER", "LOG_LINES"], optional: ["FOLLOW"] },
  /** `begin`, `abandon`, `verdict`, `recover` or `remove`. */
  "swap-bot.sh": {
    facts: [
      ...GATE,
      ...HEALTH,
      ...STANDSTILL,
      ...(["MAKE_SECONDS", "PROBATION_SECONDS", "BOT_STOP_SECONDS", "SWITCHING_STAGE"] as const),
      ...(["DATABASE_CONTAINER", "ROLE", "PASSWORD_SOURCE"] as const),
      ...(["SWAP_DIRECTORY", "SWAP_LOCK", "SWAP_JOURNAL", "SWAP_VERDICT", "HEALTHY_FINGERPRINTS"] as const),
    ],
    optional: ["CONTAINER_ID"],
    installed: true,
  },
  "upgrade-db.sh": { facts: [], optional: ["MAJOR", "IMAGE", "VOLUME"], installed: true },
} as const satisfies Record<string, Script>;

export type ScriptName = keyof typeof SCRIPTS;

type Own<S extends ScriptName> = (typeof SCRIPTS)[S] extends { own: readonly (infer N extends string)[] }
  ? N
  : never;
type Optional<S extends ScriptName> = (typeof SCRIPTS)[S] extends {
  optional: readonly (infer N extends string)[];
}
  ? N
  : never;

/** What the caller of a script gives it by name; with `Value` a Pulumi input on the side of the program. */
export type Arguments<S extends ScriptName, Value = string> = Record<Own<S>, Value> &
  Partial<Record<Optional<S>, Value>>;

/** The words `env NAME=value … HOW`. A name without a value is left out. */
export function byName(names: Partial<Record<string, string>>, how: string[]): string[] {
  const given = Object.entries(names).filter(([, value]) => value !== undefined);
  return given.length === 0
    ? how
    : ["env", ...given.map(([name, value]) => `${name}=${value ?? ""}`), ...how];
}

/** A call of an installed script. `words` are its positional arguments, at most two. */
export function installedCall<S extends ScriptName>(
  script: S,
  at: Parameters<typeof serverPaths>[0],
  names: Arguments<S>,
  words: string[] = [],
): string[] {
  const { bin, settings } = serverPaths(at);
  const facts = SCRIPTS[script].facts.length > 0 ? { SETTINGS: settings } : {};
  return byName({ ...facts, ...names }, [`${bin}/${script}`, ...words]);
}

/** A call of a script that goes along on standard input (`bundle`). */
export function uploadedCall<S extends ScriptName>(
  script: S,
  settings: StackSettings,
  names: Arguments<S>,
  words: string[] = [],
): string[] {
  const all = factsByName(settings);
  const facts = Object.fromEntries(SCRIPTS[script].facts.map((name) => [name, all[name]]));
  return byName({ ...facts, ...names }, ["bash", "-s", ...(words.length > 0 ? ["--", ...words] : [])]);
}

/** Where all that is put or run on the server is in this project. */
export const SERVER_SCRIPTS = join(import.meta.dirname, "..", "..", "scripts", "server");

/** Names of the installed scripts. */
export function installedScripts(): ScriptName[] {
  return (Object.keys(SCRIPTS) as ScriptName[]).filter((script) => "installed" in SCRIPTS[script]);
}

/** A script that needs no file beside it: those of scripts/server/lib/ that it takes are in its text. */
export function bundle(script: ScriptName): string {
  return inline(readFileSync(join(SERVER_SCRIPTS, script), "utf8"), (lib) =>
    readFileSync(join(SERVER_SCRIPTS, "lib", lib), "utf8"),
  );
}

/**
 * Replaces each line `source "${BASH_SOURCE[0]%/*}/lib/NAME.sh"` by what `read` gives for NAME.sh, and in that each line
 * `VARIABLE=$(<"${BASH_SOURCE[0]%/*}/FILE")` by one that has the text of FILE.
 */
export function inline(text: string, read: (lib: string) => string): string {
  return text
    .replace(/^source "\$\{BASH_SOURCE\[0\]%\/\*\}\/lib\/([\w-]+\.sh)"$/gm, (_, lib: string) =>
      read(lib).trimEnd(),
    )
    .replace(
      /^(\w+)=\$\(<"\$\{BASH_SOURCE\[0\]%\/\*\}\/([\w.-]+)"\)$/gm,
      (_, variable: string, file: string) => `${variable}=${shellCommand([read(file).trimEnd()])}`,
    );
}

/** Where an installed script is on the server, below the deploy path. */
export const installedAs = (script: string) => `${INSTALLED.bin}/${script}`;
