import * as pulumi from "@pulumi/pulumi";
import { HEALTH_MINUTES } from "../model/limits.ts";
import { COMPONENTS } from "../model/names.ts";
import { INSTALLED } from "../model/paths.ts";
import type { BackupSettings } from "../model/schema.ts";
import { settingsFile, type StackSettings } from "../model/server-settings.ts";
import { SECRET_MODE, type ServerFile } from "../server-files.ts";
import type { Database } from "./Database.ts";
import type { Server } from "./Server.ts";

/** The facts of the stack, as the file on the server that every installed script reads. */
export function settingsOnServer(settings: StackSettings): ServerFile {
  return { path: INSTALLED.settings, mode: SECRET_MODE, content: settingsFile(settings) };
}

/** What a stack without copies elsewhere is told. */
const ONE_DISK =
  "Every backup is on the database's own disk and is lost with it; have copies made elsewhere with: pulumi config set --path backups.remote REMOTE:PATH";

/**
 * The schedule of the backups, and of the server's own health checks.
 *
 * On the server: a marked block in the deploy user's crontab, one for each stack there. A change rewrites the block and
 * interrupts nothing. Deleting it removes the block; the backups stay.
 */
export class Backups extends pulumi.ComponentResource {
  constructor(
    name: string,
    args: { server: Server; database: Database; settings: BackupSettings },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super(COMPONENTS.backups, name, {}, opts);
    const { server, database, settings } = args;
    const { deployPath } = server.settings;
    if (settings.remote === undefined) void pulumi.log.warn(ONE_DISK, this);
    server.run(
      `${name}-schedule`,
      {
        script: "install-backup-cron.sh",
        names: { SCHEDULE: settings.schedule, HEALTH_MINUTES: String(HEALTH_MINUTES) },
        words: ["install", deployPath],
        remove: ["remove", deployPath],
      },
      { parent: this, dependsOn: [database.ready] },
    );
    this.registerOutputs();
  }
}
