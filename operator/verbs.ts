import type { Verb } from "./command.ts";

/** Every verb, and where its code is: nothing is loaded that the verb at hand does not need. */
export const VERBS: Record<string, () => Promise<{ default: Verb }>> = {
  deploy: () => import("./commands/deploy.ts"),
  rollback: () => import("./commands/rollback.ts"),
  restart: () => import("./commands/restart.ts"),
  history: () => import("./commands/history.ts"),
  status: () => import("./commands/status.ts"),
  health: () => import("./commands/health.ts"),
  drift: () => import("./commands/drift.ts"),
  logs: () => import("./commands/logs.ts"),
  backup: () => import("./commands/backup.ts"),
  backups: () => import("./commands/backups.ts"),
  restore: () => import("./commands/restore.ts"),
  "database upgrade": () => import("./commands/database-upgrade.ts"),
};
