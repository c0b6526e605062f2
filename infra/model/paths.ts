import type { ServerSettings } from "./schema.ts";

/** Where everything is on the server. Cron, running containers and older releases rely on these paths. */

/** Files that the stack installs, below `deployPath`. */
export const INSTALLED = {
  /** Scripts that outlive a connection: what cron, a boot, a watcher or a resource of Pulumi's calls. */
  bin: "bin",
  /** What these scripts go by. */
  settings: "backups/settings",
  caddyfile: "proxy/Caddyfile",
  password: "secrets/postgres_password",
} as const;

/** Every path of a stack on its server. */
export interface ServerPaths {
  bin: string;
  settings: string;
  proxyDirectory: string;
  secretsDirectory: string;
  /** The bare copy of the bot's repository. */
  mirror: string;
  /** The private half of the key with which the server reads the repository. */
  repositoryKey: string;
  /** The checksum of every installed file. */
  manifest: string;
  /** When installed files last differed from the manifest. */
  drifted: string;
  /** What the last drift check found. */
  drift: string;
  /** What the last health check found and reported. */
  health: string;
  /** Fingerprints of images with an environment that have run here and stayed up. */
  proven: string;
  buildLog: string;
  backupLog: string;
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
    proxyDirectory: `${deployPath}/proxy`,
    secretsDirectory: `${deployPath}/secrets`,
    mirror: `${deployPath}/repository.git`,
    repositoryKey: `${deployPath}/repository_key`,
    manifest: `${deployPath}/manifest.sha256`,
    drifted: `${deployPath}/damaged`,
    drift: `${deployPath}/drift.json`,
    health: `${deployPath}/health.json`,
    proven: `${deployPath}/proven`,
    buildLog: `${deployPath}/build.log`,
    backupLog: `${deployPath}/backup.log`,
    backupLock: `${backupPath}/.lock`,
    restoreJournal: `${backupPath}/.restore`,
    upgradeJournal: `${backupPath}/.upgrade`,
  };
}

/** Paths inside the containers. */
export const IN_CONTAINER = {
  /** While this file is there, the proxy holds requests. */
  gate: "/gate/closed",
  caddyDirectory: "/etc/caddy",
  certificates: "/data",
  secrets: "/run/secrets",
  password: "/run/secrets/postgres_password",
  healthCheck: "/usr/local/bin/delivery-health-check",
} as const;
