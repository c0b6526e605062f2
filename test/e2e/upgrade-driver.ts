import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadImages } from "../../sandbox/server.ts";
import { BotDriver, CONTAINERS } from "./bot-driver.ts";
import { createWorld, up } from "./world.ts";

export const OLD = "training_bot_db_data";
export const NEW = "training_bot_db_data_15";
export const BACKUPS = "/home/deploy/backups";
const SETTINGS = "/home/deploy/hockey/backups/settings";
export const UPGRADE = `/home/deploy/hockey/bin/upgrade-db.sh ${SETTINGS}`;
/** The part of an upgrade on the server, in words of the shell. */
export const move = (major: number, image = "postgres:15", volume = NEW) =>
  `MAJOR=${major} IMAGE=${image} VOLUME=${volume} ${UPGRADE} move`;
export const RESTORE = `/home/deploy/hockey/bin/restore-db.sh ${SETTINGS} restore`;

const SAMPLE = `CREATE TABLE notes (id serial PRIMARY KEY, note text NOT NULL);
  CREATE INDEX ON notes (note);
  CREATE VIEW short AS SELECT * FROM notes WHERE length(note) < 10;
  INSERT INTO notes (note) SELECT E'tab\\t line\\n \\\\.' || i FROM generate_series(1, 20000) i;`;
/** An operator that PostgreSQL 14 has lost. */
export const NOT_IN_15 = "CREATE VIEW factorial AS SELECT 5 ! AS result";
/** The bot's first statement is refused, but only by the new version. */
export const BOT_FAILS_ON_15 = `CREATE FUNCTION only_13() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('server_version_num')::int >= 150000 THEN RAISE 'broken on purpose'; END IF; END $$;
  CREATE EVENT TRIGGER only_13 ON ddl_command_start EXECUTE FUNCTION only_13();`;
/** Between the two versions a row is lost, and only when the bot stands still already: after the trial. */
export const LOSSY_DOCKER = `#!/bin/bash
if [[ "$*" == *pg_dump* && "$*" != *--snapshot* ]]; then
  set -o pipefail
  /usr/bin/docker "$@" | grep -vP "^500\\t"
else
  exec /usr/bin/docker "$@"
fi`;

/** A bot with PostgreSQL 13, and what it takes to bring it to 15 and back. */
export class UpgradeDriver extends BotDriver {
  /** What is in the tests' own table. */
  notes = "";
  /** The stack's file, and what it says before any upgrade. */
  readonly file = join(this.world.stack.project, "Pulumi.test.yaml");
  first = "";

  /** @param name of the world, whose stack is up then */
  static async create(name: string): Promise<UpgradeDriver> {
    const world = await createWorld(name);
    await loadImages(world.server, ["postgres:15"]);
    const driver = new UpgradeDriver(world);
    await up(world);
    await driver.sql(SAMPLE);
    driver.notes = await driver.digest();
    driver.first = await readFile(driver.file, "utf8");
    return driver;
  }

  digest(): Promise<string> {
    return this.sql("SELECT count(*), md5(string_agg(note, ',' ORDER BY id)) FROM notes");
  }

  /** What an operator types, whatever its end. */
  upgrade(...args: string[]): ReturnType<BotDriver["operate"]> {
    return this.operate("database upgrade", ...args);
  }

  /** Whether the data has moved and the new container is on its way. */
  async isSwitching(): Promise<boolean> {
    return (await this.sh(`grep -sx stage=switching ${BACKUPS}/.upgrade || true`)) !== "";
  }

  /** The major version that runs. */
  async major(): Promise<string> {
    return (await this.sql("SHOW server_version")).split(".")[0] ?? "";
  }

  /** Back to the old data, by hand, as docs/DEPLOYMENT.md says. */
  async leave(): Promise<void> {
    await this.sh("docker stop training_bot training_bot_db; docker rm training_bot_db");
    await writeFile(this.file, this.first);
    await this.ok("deploy");
  }

  /** Makes sure that PostgreSQL 13 runs and that there is no other data. */
  async start13(): Promise<void> {
    if ((await this.major()) !== "13") await this.leave();
    await this.sh(`docker volume rm --force ${NEW}`);
  }

  /** Makes sure that PostgreSQL 15 runs. */
  async start15(): Promise<void> {
    if ((await this.major()) === "15") return;
    await this.start13();
    const { exitCode, output } = await this.upgrade("15");
    assert.equal(exitCode, 0, output);
  }

  /** The old version runs on its own volume with all its data, the bot answers, and nothing is left over. */
  async runsAsBefore(): Promise<void> {
    assert.match(await this.sql("SHOW server_version"), /^13\./);
    assert.equal(await this.digest(), this.notes);
    assert.equal((await fetch(this.world.url)).status, 200);
    assert.equal((await this.health()).status, "ok");
    assert.deepEqual(await this.containers(), CONTAINERS);
    // Pulumi, cut off, may still make the new volume: an empty one does no harm.
    const left = `if docker volume inspect ${NEW} >/dev/null; then docker run --rm -v ${NEW}:/v --entrypoint ls postgres:13 -A /v; fi`;
    assert.equal(await this.sh(`(${left}; ls ${BACKUPS}/.upgrade) 2>/dev/null || true`), "");
    assert.equal(await this.sh(`docker volume ls -q | grep -cx ${OLD}`), "1");
    assert.equal(await readFile(this.file, "utf8"), this.first);
    // The bot's own container is what comes back; an image of it would keep its environment.
    const environments = await this.sh(
      "docker image inspect --format '{{range .Config.Env}}{{println .}}{{end}}' $(docker images --all --quiet)",
    );
    assert.match(environments, /^PG_MAJOR=13$/m);
    assert.ok(!environments.includes(this.world.secrets.postgresPassword ?? assert.fail()));
  }

  /** The new version runs with all the data, and a preview finds nothing to do. */
  async runsNewly(): Promise<void> {
    assert.match(await this.sql("SHOW server_version"), /^15\./);
    assert.equal(await this.digest(), this.notes);
    assert.equal(await this.sh("docker volume ls -q | grep training_bot_db | sort | xargs"), `${OLD} ${NEW}`);
    assert.deepEqual(await this.containers(), CONTAINERS);
    assert.equal(await this.sh("docker images --quiet --filter label=delivery.spare"), "");
    assert.match(
      await readFile(this.file, "utf8"),
      /image: postgres:15\n.*volume: training_bot_db_data_15\n/,
    );
    const { exitCode, output } = await this.preview("--expect-no-changes", "--refresh", "--diff");
    assert.equal(exitCode, 0, output);
    assert.doesNotMatch(output, /security fixes/);
  }

  /** An upgrade, killed on the server at a stage, is undone by what is left there. */
  async isKilled(stage: string): Promise<void> {
    const output = await this.sh(`{ echo go; while sleep 1; do echo alive; done } | ${move(15)} 2>&1 & pid=$!
      until grep -qs stage=${stage} ${BACKUPS}/.upgrade || ! kill -0 $pid; do :; done
      kill -KILL $pid; wait $pid
      until [[ ! -e ${BACKUPS}/.upgrade ]] || ((SECONDS > 60)); do sleep 0.1; done; flock ${BACKUPS}/.lock true`);
    assert.doesNotMatch(output, /^done$/m);
    assert.match(await this.sh(`tail -n 1 ${BACKUPS}/upgrade.log`), /what was there is back/);
    await this.runsAsBefore();
  }
}
