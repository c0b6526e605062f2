import type { ServerSettings } from "./schema.ts";

/** Where everything is on the server. Cron, running containers and older releases rely on these paths. */

/** What the stack installs, below `deployPath`. */
export const INSTALLED = {
  /** Scripts that outlive a connection: what cron, a boot, a watcher or a resource of Pulumi's calls. */
  bin: "bin",
  /** The facts of the stack, for these scripts (server-settings.ts). */
  settings: "backups/settings",
  caddyfile: "proxy/Caddyfile",
  password: "secrets/postgres_password",
  /** The texts that no log may show (secret-texts.ts); in a directory that no container sees. */
  secretTexts: "redaction/texts",
  /** The checksum of every installed file. */
  manifest: "manifest.sha256",
} as const;

/** Every path of a stack on its server. */
export interface ServerPaths {
  bin: string;
  settings: string;
  proxyDirectory: string;
  secretsDirectory: string;
  /** The database's password, as the stack has put it there. */
  passwordSource: string;
  /** What the scripts replace in all that they show. */
  secretTexts: string;
  /** The bare copy of the bot's repository. */
  mirror: string;
  /** The private half of the key with which the server reads the repository; PostgreSQL's container does not see it. */
  repositoryKey: string;
  manifest: string;
  /** Which stack has claimed the deploy directory, and with which id; and the same for that of the backups. */
  claim: string;
  backupClaim: string;
  /** When installed files last differed from the manifest. */
  drifted: string;
  /** What the last drift check found. */
  drift: string;
  /** When an update last found the proxy without a certificate for its domain. */
  uncertified: string;
  /** What health checks have told so far, since when they know of it, and the log of those that cron makes. */
  healthDirectory: string;
  /** The same, as earlier versions kept it. */
  health: string;
  /** Where the guard of a swap keeps how far it is. */
  swapDirectory: string;
  /** Locked while the bot is swapped or restarted, and by a restore or an upgrade on its way to the bot's standstill. */
  swapLock: string;
  /** There while a swap is under way. */
  swapJournal: string;
  /** How the last swap ended, until the next one begins. */
  swapVerdict: string;
  /** Fingerprints of images with an environment that have run here and stayed up. */
  healthyFingerprints: string;
  /** When each base image of the bot was last asked for at its registry: lines IMAGE EPOCH. */
  basePulls: string;
  /** Since when images that run have had a newer one under their tag: lines IMAGE EPOCH. */
  imageUpdates: string;
  buildLog: string;
  /** Locked by every build. */
  buildLock: string;
  backupLog: string;
  /** A line of JSON for every backup. */
  backupManifest: string;
  /** Locked by every backup, restore and upgrade. */
  backupLock: string;
  /** Locked while backups are copied elsewhere. */
  copyLock: string;
  /** How far a restore or an upgrade is, while one runs. */
  restoreJournal: string;
  upgradeJournal: string;
  /** How far the exchange of a role that is PostgreSQL's superuser is, while it is under way. */
  demotionJournal: string;
}

export function serverPaths({
  deployPath,
  backupPath,
}: Pick<ServerSettings, "deployPath" | "backupPath">): ServerPaths {
  return {
    bin: `${deployPath}/${INSTALLED.bin}`,
    settings: `${deployPath}/${INSTALLED.settings}`,
    proxyDirectory: `${deployPath}/${directoryOf(INSTALLED.caddyfile)}`,
    secretsDirectory: `${deployPath}/${directoryOf(INSTALLED.password)}`,
    passwordSource: `${deployPath}/${INSTALLED.password}`,
    secretTexts: `${deployPath}/${INSTALLED.secretTexts}`,
    mirror: `${deployPath}/repository.git`,
    repositoryKey: `${deployPath}/repository_key`,
    manifest: `${deployPath}/${INSTALLED.manifest}`,
    claim: `${deployPath}/stack`,
    backupClaim: `${backupPath}/.stack`,
    drifted: `${deployPath}/damaged`,
    drift: `${deployPath}/drift.json`,
    uncertified: `${deployPath}/uncertified`,
    healthDirectory: `${deployPath}/health`,
    health: `${deployPath}/health.json`,
    swapDirectory: `${deployPath}/swap`,
    swapLock: `${deployPath}/swap/lock`,
    swapJournal: `${deployPath}/swap/journal`,
    swapVerdict: `${deployPath}/swap/verdict`,
    healthyFingerprints: `${deployPath}/proven`,
    basePulls: `${deployPath}/base-pulls`,
    imageUpdates: `${deployPath}/image-updates`,
    buildLog: `${deployPath}/build.log`,
    buildLock: `${deployPath}/.build-lock`,
    backupLog: `${deployPath}/backup.log`,
    backupManifest: `${backupPath}/manifest.jsonl`,
    backupLock: `${backupPath}/.lock`,
    copyLock: `${backupPath}/.copy-lock`,
    restoreJournal: `${backupPath}/.restore`,
    upgradeJournal: `${backupPath}/.upgrade`,
    demotionJournal: `${backupPath}/.demotion`,
  };
}

const directoryOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

/** Paths inside the containers. */
export const IN_CONTAINER = {
  /** In memory: a restart of the proxy opens the gate. */
  gateDirectory: "/gate",
  /** While this file is there, the proxy holds requests. */
  gate: "/gate/closed",
  caddyDirectory: "/etc/caddy",
  caddyfile: "/etc/caddy/Caddyfile",
  certificates: "/data",
  secrets: "/run/secrets",
  password: "/run/secrets/postgres_password",
} as const;
