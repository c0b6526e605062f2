import assert from "node:assert/strict";
import { settingsOnServer } from "../../infra/components/Backups.ts";
import { serverExec } from "../../sandbox/server.ts";
import { rawConfig, settings } from "../unit/fixtures.ts";
import { BotDriver } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";

export const HOME = "/home/deploy/hockey";
export const BACKUPS = "/home/deploy/backups";
export const SETTINGS = `${HOME}/backups/settings`;
export const BACKUP = `${HOME}/bin/backup-db.sh ${SETTINGS}`;
export const RESTORE_DB = `${HOME}/bin/restore-db.sh ${SETTINGS}`;
/** A restore of a backup, by its name or latest; options follow. */
export const restore = (name: string) => `BACKUP=${name} ${RESTORE_DB} restore`;
/** The schedule's script for one of the stacks on the server. */
export const cron = (action: string, schedule = "", deployPath = HOME) =>
  `SETTINGS=${deployPath}/backups/settings SCHEDULE='${schedule}' ${HOME}/bin/install-backup-cron.sh ${action} ${deployPath}`;

/** Tables of the tests' own beside those of the bot, with what a dump could get wrong. */
const SAMPLE = `DROP TABLE IF EXISTS games, players CASCADE;
  CREATE TABLE players (id serial PRIMARY KEY, name text NOT NULL);
  CREATE TABLE games (id serial PRIMARY KEY, player int REFERENCES players, note text);
  CREATE VIEW winners AS SELECT * FROM players;
  CREATE INDEX ON players (name);
  INSERT INTO players (name) SELECT 'player ' || i FROM generate_series(1, 1000) i;
  INSERT INTO games (player, note) SELECT i, E'tab\\t line\\n \\\\.' FROM generate_series(1, 500) i;`;

/** A line of the backups' manifest. */
export interface Line {
  file: string;
  bytes: number;
  sha256: string;
  verified: boolean;
  seconds: number;
  contents: { rows: Record<string, number>; objects: Record<string, number> };
}

/** A bot with the sample tables, and its backups. */
export class BackupDriver extends BotDriver {
  /** Makes the sample tables anew. */
  async fill(): Promise<void> {
    await this.sql(SAMPLE);
  }

  /** Every player in one number. */
  players(): Promise<string> {
    return this.sql("SELECT md5(string_agg(name, ',' ORDER BY id)) FROM players");
  }

  /** Makes a backup, which must be verified. */
  async backup(): Promise<Line> {
    return JSON.parse(await this.sh(`${BACKUP} --json`)) as Line;
  }

  /** Names of the dumps on the server. */
  async files(): Promise<string[]> {
    return (await this.sh(`ls ${BACKUPS}`)).split("\n").filter((name) => name.endsWith(".sql.gz"));
  }

  /** Removes every backup. */
  async clear(): Promise<void> {
    await this.sh(`rm -rf ${BACKUPS}/* ${BACKUPS}/.partial*`);
  }

  /** How many databases an unfinished or finished restore has left beside the bot's. */
  besides(): Promise<string> {
    return this.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'hockey_db_%'", "postgres");
  }

  /** Waits until another process has made a verified backup. */
  async untilVerified(seconds: number): Promise<void> {
    const manifest = () => this.sh(`cat ${BACKUPS}/manifest.jsonl ${HOME}/backup.log`);
    await eventually(
      async () => (await manifest()).includes('"verified":true') || assert.fail(await manifest()),
      "a verified backup",
      seconds,
    );
  }

  /** Writes the settings of the backups on the server, as the stack does. */
  async settle(backups: Record<string, unknown> = {}, backupPath = BACKUPS): Promise<void> {
    const { server } = rawConfig() as Record<string, object>;
    const file = settingsOnServer(settings({ backups, server: { ...server, backupPath } }));
    await this.put(SETTINGS, file.content as string, "600");
  }

  /** Writes a file on the server. */
  async put(path: string, input: string, mode: string): Promise<void> {
    const store = `mkdir -p "$(dirname ${path})"; cat >${path}; chmod ${mode} ${path}`;
    await serverExec(this.world.server, ["bash", "-c", store], { user: "deploy", input });
  }
}
