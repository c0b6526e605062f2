import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../config.ts";
import * as limits from "../model/limits.ts";
import { dockerNames } from "../model/names.ts";
import { INSTALLED } from "../model/paths.ts";
import { type BackupSettings, databaseVolume } from "../model/schema.ts";
import { SECRET_MODE, type Server, type ServerFile } from "./Server.ts";
import type { Database } from "./Database.ts";

/** What the installed scripts go by, as the file on the server that every call of them names. Times are in seconds. */
export function backupFile(settings: Settings): ServerFile {
  const { name, server, app, database, backups } = settings;
  const { query = "", remote = "", recipient = "", pingUrl = "" } = backups;
  const names = dockerNames(name);
  const lines = {
    directory: server.backupPath,
    container: names.database,
    user: database.user,
    database: database.name,
    retentionDays: backups.retentionDays,
    keepAtLeast: backups.keepAtLeast,
    ...{ query, remote, recipient, pingUrl },
    bot: names.bot,
    proxy: names.proxy,
    page: `${app.port}${app.healthPath}`,
    network: names.network,
    volume: databaseVolume(settings),
    holdSeconds: limits.HOLD_SECONDS,
    upgradeHoldSeconds: limits.UPGRADE_HOLD_SECONDS,
    healthySeconds: limits.HEALTHY_SECONDS,
    steadySeconds: limits.STEADY_SECONDS,
    drainSeconds: limits.DRAIN_SECONDS,
    botStopSeconds: limits.BOT_STOP_SECONDS,
    databaseStopSeconds: limits.DATABASE_STOP_SECONDS,
    readySeconds: limits.READY_SECONDS,
    backupFreeMb: limits.BACKUP_FREE_MB,
    databaseMemory: limits.DATABASE_MEMORY,
    firstVersionedPostgres: limits.FIRST_VERSIONED_POSTGRES,
  };
  const content = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`);
  return { path: INSTALLED.settings, mode: SECRET_MODE, content: content.join("") };
}

/**
 * The schedule of the backups.
 *
 * On the server: a marked block in the deploy user's crontab, another for each stack there. A change rewrites the
 * block and interrupts nothing. Deleting it removes the block; the backups stay.
 */
export class Backups extends pulumi.ComponentResource {
  constructor(
    name: string,
    args: { server: Server; database: Database; settings: BackupSettings },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("hockey:index:Backups", name, {}, opts);
    const { server, database, settings } = args;
    server.run(
      `${name}-schedule`,
      {
        script: "install-backup-cron.sh",
        env: { DEPLOY_PATH: server.settings.deployPath, SCHEDULE: settings.schedule },
        args: ["install"],
        remove: ["remove"],
      },
      { parent: this, dependsOn: [database.ready] },
    );
    this.registerOutputs();
  }
}
