// @ts-nocheck
import * as pulumi from "@pulumi/pulumi";
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

/**
 * The schedule of the backups.
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
    server.run(
      `${name}-schedule`,
      {
        script: "install-backup-cron.sh",
        names: { SCHEDULE: settings.schedule },
        words: ["install", deployPath],
        remove: ["remove", deployPath],
      },
      { parent: this, dependsOn: [database.ready] },
    );
    this.registerOutputs();
  }
}
