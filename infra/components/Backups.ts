import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../config.ts";
import type { BackupSettings } from "../model/schema.ts";
import { SECRET_MODE, type Server, type ServerFile } from "./Server.ts";
import type { Database } from "./Database.ts";

/** What scripts/backup-db.sh and restore-db.sh go by, as the file on the server that every call of them names. */
export function backupFile({ name, server, app, database, backups }: Settings): ServerFile {
  const { query = "", remote = "", recipient = "", pingUrl = "" } = backups;
  const lines = {
    directory: server.backupPath,
    container: `${name}_db`,
    user: database.user,
    database: database.name,
    retentionDays: backups.retentionDays,
    keepAtLeast: backups.keepAtLeast,
    ...{ query, remote, recipient, pingUrl },
    bot: name,
    proxy: `${name}_proxy`,
    page: `${app.port}${app.healthPath}`,
  };
  const content = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`);
  return { path: "backups/settings", mode: SECRET_MODE, content: content.join("") };
}

/**
 * The schedule of the backups.
 *
 * On the server: a marked block in the deploy user's crontab, another for each stack there. A change rewrites the
 * block and interrupts nothing. Deleting it takes the block away; the backups stay.
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
        args: ["install", settings.schedule, server.settings.deployPath],
        remove: ["remove", server.settings.deployPath],
      },
      { parent: this, dependsOn: [database.ready] },
    );
    this.registerOutputs();
  }
}
