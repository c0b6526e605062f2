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
  /** The bare copy of the bot's repository. */
  mirror: string;
  /** The private half of the key with which the server reads the repository; PostgreSQL's container does not see it. */
  repositoryKey: string;
  manifest: string;
  /** When installed files last differed from the manifest. */
  drifted: string;
  /** What the last drift check found. */
  drift: string;
  /** What the last health check found and reported. */
  health: string;
  /** Where the guard of a swap keeps how far it is. */
  swapDirectory: string;
  /** How the last swap ended, until the next one begins. */
  swapVerdict: string;
  /** Fingerprints of images with an environment that have run here and stayed up. */
  healthyFingerprints: string;
  buildLog: string;
  /** Locked by every build. */
  buildLock: string;
  backupLog: string;
  /** A line of JSON for every backup. */
  backupManifest: string;
  /** Locked by every backup, restore and upgrade. */
  backupLock: string;
  /** How far a restore or an upgrade is, while one runs. */
  restoreJournal: string;
  upgradeJournal: string;
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
    mirror: `${deployPath}/repository.git`,
    repositoryKey: `${deployPath}/repository_key`,
    manifest: `${deployPath}/${INSTALLED.manifest}`,
    drifted: `${deployPath}/damaged`,
    drift: `${deployPath}/drift.json`,
    health: `${deployPath}/health.json`,
    swapDirectory: `${deployPath}/swap`,
    swapVerdict: `${deployPath}/swap/verdict`,
    healthyFingerprints: `${deployPath}/proven`,
    buildLog: `${deployPath}/build.log`,
    buildLock: `${deployPath}/.build-lock`,
    backupLog: `${deployPath}/backup.log`,
    backupManifest: `${backupPath}/manifest.jsonl`,
    backupLock: `${backupPath}/.lock`,
    restoreJournal: `${backupPath}/.restore`,
    upgradeJournal: `${backupPath}/.upgrade`,
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
