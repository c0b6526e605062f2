import assert from "node:assert/strict";
import { settingsOnServer } from "../../infra/components/Backups.ts";
import { serverExec } from "../../sandbox/server.ts";
import { rawConfig, settings } from "../unit/fixtures.ts";
import { BotDriver, HOME, SETTINGS } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { createWorld, up, type World } from "./world.ts";

export const BACKUPS = "/home/deploy/backups";
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

/** Tables of every kind, and values whose text depends on the session that reads them. */
const ODD = `CREATE SCHEMA "Ünï ""q"" x";
  CREATE TABLE "Ünï ""q"" x"."r""r" ("Säule ""1""" text, m money, f float4, b bytea, j json, x xml, p point, i interval,
    t timestamptz, a int[], c regclass);
  INSERT INTO "Ünï ""q"" x"."r""r" SELECT E'tab\\t "line"\\n ü', g::text::money, g / 3.0, '\\x00ff', '{"a" : 1}', '<a>1</a>',
    point(g, 1 / 3.0), (g || ' seconds')::interval, '2026-01-01 00:00:00+03'::timestamptz + (g || ' min')::interval,
    ARRAY[g, NULL], 'pg_class' FROM generate_series(1, 200) g;
  CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
  CREATE TABLE parent (id int, gone text, z text); CREATE TABLE child (z text, more int, id int, gone text);
  ALTER TABLE child INHERIT parent; INSERT INTO parent VALUES (1, 'a', 'b'); INSERT INTO child VALUES ('c', 2, 3, 'd');
  ALTER TABLE parent DROP COLUMN gone;
  CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
  CREATE TABLE parts_26 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  INSERT INTO parts VALUES (1, '2026-05-01');
  CREATE TABLE made (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c bigint GENERATED ALWAYS AS IDENTITY);
  INSERT INTO made (a) SELECT generate_series(1, 10);
  CREATE UNLOGGED TABLE cache (k text); INSERT INTO cache VALUES ('a'), ('a'), (NULL);
  CREATE MATERIALIZED VIEW mat AS SELECT * FROM made;
  SELECT lo_put(lo_create(4242), 5000, '\\x0102');
  ALTER DATABASE hockey_db SET datestyle = 'German'; ALTER DATABASE hockey_db SET timezone = 'Asia/Tokyo';
  ALTER DATABASE hockey_db SET bytea_output = escape; ALTER DATABASE hockey_db SET extra_float_digits = -5;`;
const NO_ODD = `DROP SCHEMA "Ünï ""q"" x" CASCADE; DROP TABLE nothing, parent, child, parts, made, cache CASCADE;
  SELECT lo_unlink(4242); ALTER DATABASE hockey_db RESET ALL;`;

/** A line of the backups' manifest. */
export interface Line {
  file: string;
  bytes: number;
  sha256: string;
  verified: boolean;
  seconds: number;
  for?: string;
  copy?: string;
  copied?: string;
  shrunk?: string;
  contents: Record<"rows" | "objects", Record<string, number>> &
    Record<"digests" | "sequences" | "largeObjects", Record<string, string>>;
}

/** A bot with the sample tables, and its backups. */
export class BackupDriver extends BotDriver {
  /** Makes the sample tables anew. */
  async fill(): Promise<void> {
    await this.sql(SAMPLE);
  }

  /** Makes, or removes, tables with what a digest could get wrong. */
  async fillOdd(isThere = true): Promise<void> {
    await this.sql(isThere ? ODD : NO_ODD);
  }

  /** Every player in one number. */
  players(): Promise<string> {
    return this.sql("SELECT md5(string_agg(name, ',' ORDER BY id)) FROM players");
  }

  /** Makes a backup, which must be verified. */
  async backup(): Promise<Line> {
    return JSON.parse(await this.sh(`${BACKUP} --json`)) as Line;
  }

  /** The newest lines of the manifest, of each backup one. */
  async lines(): Promise<Line[]> {
    const text = await this.sh(`cat ${BACKUPS}/manifest.jsonl`);
    const lines = text.split("\n").map((line) => JSON.parse(line) as Line);
    return [...new Map(lines.map((line) => [line.file, line])).values()];
  }

  /** Puts a program on the server that stands before Docker's own in the PATH that this gives. */
  async wrapDocker(body: string): Promise<string> {
    const whole = `#!/bin/bash\nset -o pipefail\n${body}\nexec /usr/bin/docker "$@"`;
    await this.put("/tmp/wrapped/docker", whole, "755");
    return "PATH=/tmp/wrapped:$PATH";
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

/** The world of the suite that runs, and its bot. */
export let world: World;
export let bot: BackupDriver;

/** Gives a suite a bot with the sample tables and its backups, on a server of this name. */
export function withBackups(suite: Mocha.Suite, name: string): void {
  suite.timeout(300_000);
  suite.beforeAll(async () => {
    world = await createWorld(name);
    bot = new BackupDriver(world);
    await up(world);
    await bot.fill();
  });
  suite.afterAll(() => world.close());
}

/** Has each test of such a suite begin with the stack's settings and without a backup, and leave nothing in /tmp. */
export function withCleanTests(suite: Mocha.Suite): void {
  suite.beforeEach(async () => {
    await bot.clear();
    await bot.settle();
  });
  suite.afterEach("leaves nothing in /tmp, however a script has ended", async () => {
    await eventually(
      async () => (await bot.sh("ls -d /tmp/tmp.* 2>/dev/null || true")) === "",
      "an empty /tmp",
    );
  });
}
