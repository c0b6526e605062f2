/** The facts of a server where all is well, and what one case changes in them. */

const MINUTE = 60;
export const [HOUR, DAY] = [3600, 86_400];
export const NOW = Date.parse("2026-06-10T12:00:00Z") / 1000;
export const GIB = 1024 ** 3;

export type Values = Record<string, string | number>;

const container = (name: string): Values =>
  Object.fromEntries(
    Object.entries({
      ...{ id: `id-${name}`, status: "running", health: "healthy", restarts: 0, killed: "false" },
      ...{ started: "2026-06-01T00:00:00Z", created: "2026-06-01T00:00:00Z" },
    }).map(([key, value]) => [`${name}.${key}`, value]),
  );

export const backup = (kind: string, age: number, more: Values = {}): Values =>
  Object.fromEntries(
    Object.entries({ file: `${kind}.sql.gz`, bytes: 2048, verified: "true", time: NOW - age, ...more }).map(
      ([key, value]) => [`${kind}.${key}`, value],
    ),
  );
export const gone = (kind: string): Values => ({ [`${kind}.file`]: "" });

/** Everything is as it should be; a backup was made and copied six hours ago. */
export const WELL: Values = {
  ...{ docker: "/var/lib/docker", gate: "", work: "", database: "yes", pending: "0", oom: "4" },
  ...container("bot"),
  ...container("bot_db"),
  ...container("bot_proxy"),
  ...{ "health.status": 200, "health.milliseconds": 9, "page.status": 200, "poller.seconds": 3 },
  ...backup("newest", 6 * HOUR),
  ...backup("verified", 6 * HOUR),
  ...backup("due", 6 * HOUR, { copied: NOW - 5 * HOUR }),
  ...backup("copied", 6 * HOUR),
  ...{ "disk.size": 100 * GIB, "disk.free": 50 * GIB, cron: 9 * DAY - 5 * MINUTE, uptime: 9 * DAY },
  ...{ synchronised: "NTP=yes\nNTPSynchronized=yes", images: "", "images.known": "yes" },
  ...{ drift: "false", "drift.time": NOW - HOUR },
};

export const SETTINGS = {
  ...{ BOT: "bot", DATABASE_CONTAINER: "bot_db", PROXY: "bot_proxy", HEALTH_PATH: "/health" },
  ...{ DOMAIN: "", REMOTE: "offsite:x", BACKUP_GAP_SECONDS: String(DAY), BACKUP_LOG: "/x/backup.log" },
  ...{ BUILD_FREE_MB: "1024", HOLD_SECONDS: "71", UPGRADE_HOLD_SECONDS: "900", HEALTH_MINUTES: "30" },
  CERTIFICATE_DAYS: "14",
  ...{ CALLER_TIME: String(NOW) },
};

/** What is changed, the check that must notice, how bad it is, and what it says. */
export interface Case {
  change?: Values;
  known?: Values;
  settings?: Record<string, string>;
  check: string;
  level: "ok" | "warning" | "critical";
  text: RegExp;
}

export const release = { gate: NOW - 5, work: "a release" };
