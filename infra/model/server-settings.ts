import { gitSsh, hasRepositoryKey } from "./git.ts";
import {
  DEMOTION_STAGES,
  RESTORE_STAGES,
  STANDSTILL_STAGES,
  SWITCHING_STAGE,
  UPGRADE_STAGES,
} from "./journal.ts";
import * as limits from "./limits.ts";
import { BASES_LABEL, dockerNames, REVISION_LABEL } from "./names.ts";
import { IN_CONTAINER, INSTALLED, serverPaths } from "./paths.ts";
import { DATA_DIRECTORY, DATABASE_PORT, VERSIONED_DATA_DIRECTORY } from "./postgres.ts";
import { longestGap } from "./schedule.ts";
import { databaseVolume, type PlainSettings } from "./schema.ts";

/** The part of a configuration that the facts of a stack follow from. */
export type StackSettings = Omit<PlainSettings, "commit">;

/**
 * The facts of a stack for the scripts on the server: every name, path and limit that one of them needs. An installed
 * script reads them from the settings file; an uploaded script gets by name those that it needs (scripts.ts). Secrets do
 * not belong here: names are in the process list. The exceptions are the addresses of alerts, which no uploaded script
 * may take.
 */
export function stackFacts(settings: StackSettings) {
  const { name, server, app, database, proxy, backups, alerts } = settings;
  const docker = dockerNames(name);
  const { repositoryKey, ...paths } = serverPaths(server);
  return {
    deployPath: server.deployPath,
    backupPath: server.backupPath,
    ...paths,
    // No key of the stack's where the server reads the repository without one.
    repositoryKey: hasRepositoryKey(settings) ? repositoryKey : "",
    settingsFile: INSTALLED.settings,
    host: server.host,
    gate: IN_CONTAINER.gate,
    caddyfile: IN_CONTAINER.caddyfile,
    certificates: IN_CONTAINER.certificates,

    bot: docker.bot,
    databaseContainer: docker.database,
    proxy: docker.proxy,
    network: docker.network,
    volume: databaseVolume(settings),
    databaseImage: database.image,
    proxyImage: proxy.image,
    revisionLabel: REVISION_LABEL,
    basesLabel: BASES_LABEL,
    repository: app.repository,
    branch: app.branch,
    gitSsh: gitSsh(settings),
    port: app.port,
    healthPath: app.healthPath,
    page: `${app.port}${app.healthPath}`,
    // Where the proxy serves on the server itself: with a domain, port 80 sends to the page.
    publicPort: proxy.domain === undefined ? proxy.port : 80,
    // As Caddy names the files of its certificate.
    domain: (proxy.domain ?? "").toLowerCase(),
    role: database.user,
    database: database.name,
    extensions: database.extensions.join(" "),
    databasePort: DATABASE_PORT,

    retentionDays: backups.retentionDays,
    keepAtLeast: backups.keepAtLeast,
    query: backups.query ?? "",
    remote: backups.remote ?? "",
    recipient: backups.recipient ?? "",
    pingUrl: backups.pingUrl ?? "",
    backupGapSeconds: longestGap(backups.schedule),

    telegramChat: alerts.telegramChat ?? "",
    telegramApiUrl: alerts.telegramApiUrl,
    webhook: alerts.webhook ?? "",
    alertPingUrl: alerts.pingUrl ?? "",
    warningHours: alerts.warningHours,
    // The bot's own, since its own updates are counted.
    botApiUrl: app.environment.TELEGRAM_API_URL ?? alerts.telegramApiUrl,

    secretsMount: IN_CONTAINER.secrets,
    passwordFile: IN_CONTAINER.password,
    dataDirectory: DATA_DIRECTORY,
    versionedDataDirectory: VERSIONED_DATA_DIRECTORY,

    restoreStages: RESTORE_STAGES.join(" "),
    upgradeStages: UPGRADE_STAGES.join(" "),
    demotionStages: DEMOTION_STAGES.join(" "),
    standstillStages: STANDSTILL_STAGES.join("|"),
    switchingStage: SWITCHING_STAGE,

    drainSeconds: limits.DRAIN_SECONDS,
    botStopSeconds: limits.BOT_STOP_SECONDS,
    makeSeconds: limits.MAKE_SECONDS,
    startSeconds: app.startSeconds,
    probationSeconds: limits.PROBATION_SECONDS,
    holdSeconds: limits.holdSeconds(app.startSeconds),
    upgradeHoldSeconds: limits.UPGRADE_HOLD_SECONDS,
    demotionSeconds: limits.DEMOTION_SECONDS,
    certificateSeconds: limits.CERTIFICATE_SECONDS,
    certificateDays: limits.CERTIFICATE_DAYS,
    databaseStopSeconds: limits.DATABASE_STOP_SECONDS,
    readySeconds: limits.READY_SECONDS,
    gitSeconds: limits.GIT_SECONDS,
    healthMinutes: limits.HEALTH_MINUTES,
    databaseMemory: limits.DATABASE_MEMORY,
    containerPids: limits.CONTAINER_PIDS,
    buildFreeMb: limits.BUILD_FREE_MB,
    backupFreeMb: limits.BACKUP_FREE_MB,
    releaseBackups: limits.RELEASE_BACKUPS,
    releaseBackupDays: limits.RELEASE_BACKUP_DAYS,
    leastRows: limits.SHRUNK_LEAST_ROWS,
    keptImages: limits.KEPT_IMAGES,
    basePullHours: limits.BASE_PULL_HOURS,
    basePullSeconds: limits.BASE_PULL_SECONDS,
    registrySeconds: limits.REGISTRY_SECONDS,
    firstVersionedPostgres: limits.FIRST_VERSIONED_POSTGRES,
  };
}

type Fact = keyof ReturnType<typeof stackFacts>;

/** A fact's name for a script: DATABASE_CONTAINER for `databaseContainer`. */
export type FactName = SnakeCase<Fact>;

type SnakeCase<Text extends string> = Text extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? Uppercase<First> : `_${First}`}${SnakeCase<Rest>}`
  : "";

/** The facts by the names that scripts know them by. */
export function factsByName(settings: StackSettings): Record<FactName, string> {
  const named = Object.entries(stackFacts(settings)).map(([key, value]) => [nameOf(key), String(value)]);
  return Object.fromEntries(named) as Record<FactName, string>;
}

const nameOf = (key: string) => key.replace(/[A-Z]/g, "_$&").toUpperCase();

/** The settings file: a line KEY=VALUE for each fact. */
export function settingsFile(settings: StackSettings): string {
  const facts = stackFacts(settings);
  // The first names: a stack of an earlier version beside this one reads them, and so do the database's scripts.
  const first = { directory: facts.backupPath, container: facts.databaseContainer, user: facts.role };
  const lines = Object.entries({ ...first, ...facts }).map(([key, value]) => `${key}=${value}\n`);
  return lines.join("");
}
