import type { Verb } from "./command.ts";

interface Entry {
  /** The heading under which `./delivery --help` lists the verb. */
  group: "Releases" | "Observation" | "Database" | "Shell";
  /** One line, at most 60 columns, for the table of contents and the top of the verb's own help. */
  summary: string;
  load: () => Promise<{ default: Verb }>;
}

/**
 * The table of contents: every verb, in the order in which help lists them. Nothing is loaded that the verb at hand does
 * not need; its file holds arguments, options and examples.
 */
export const VERBS: Record<string, Entry> = {
  deploy: {
    group: "Releases",
    summary: "Release a commit; the last good one comes back if it fails",
    load: () => import("./commands/deploy.ts"),
  },
  rollback: {
    group: "Releases",
    summary: "Go back to an earlier release, with its configuration",
    load: () => import("./commands/rollback.ts"),
  },
  restart: {
    group: "Releases",
    summary: "Restart the bot while the proxy holds its requests",
    load: () => import("./commands/restart.ts"),
  },
  history: {
    group: "Releases",
    summary: "List the releases: when, what, by whom, and the outcome",
    load: () => import("./commands/history.ts"),
  },
  status: {
    group: "Observation",
    summary: "Show checks, containers and last releases on one screen",
    load: () => import("./commands/status.ts"),
  },
  health: {
    group: "Observation",
    summary: "Run every check, set the exit status and send alerts",
    load: () => import("./commands/health.ts"),
  },
  drift: {
    group: "Observation",
    summary: "Compare the server with what the stack put there",
    load: () => import("./commands/drift.ts"),
  },
  logs: {
    group: "Observation",
    summary: "Show the last log lines; -f follows them",
    load: () => import("./commands/logs.ts"),
  },
  images: {
    group: "Observation",
    summary: "List the images that run, and which have newer ones",
    load: () => import("./commands/images.ts"),
  },
  sbom: {
    group: "Observation",
    summary: "List every package in a release's image, as SPDX JSON",
    load: () => import("./commands/sbom.ts"),
  },
  backup: {
    group: "Database",
    summary: "Back up the database now; a trial restore verifies it",
    load: () => import("./commands/backup.ts"),
  },
  backups: {
    group: "Database",
    summary: "List the backups, with age and verification",
    load: () => import("./commands/backups.ts"),
  },
  restore: {
    group: "Database",
    summary: "Replace the database by a backup",
    load: () => import("./commands/restore.ts"),
  },
  "database upgrade": {
    group: "Database",
    summary: "Move the data to a newer major version of PostgreSQL",
    load: () => import("./commands/database-upgrade.ts"),
  },
  completion: {
    group: "Shell",
    summary: "Print the script that completes verbs and options",
    load: () => import("./commands/completion.ts"),
  },
};

/** The verb that these words begin with, and the words after it; undefined where they begin with none. */
export function findVerb(words: string[]): { name: string; entry: Entry; args: string[] } | undefined {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const entry = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
    if (entry !== undefined) return { name, entry, args: words.slice(length) };
  }
  return undefined;
}

/** The verbs of several words that begin with this one: `database` gives `database upgrade`. */
export function verbsUnder(word: string): string[] {
  return Object.keys(VERBS).filter((name) => name.startsWith(`${word} `));
}
