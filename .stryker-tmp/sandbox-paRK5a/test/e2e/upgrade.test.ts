// @ts-nocheck
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cutConnections, loadImages, serverExec } from "../../sandbox/server.ts";
import { type Outcome, pulumi } from "../../sandbox/stack.ts";
import { assertUnnoticed, BotDriver, CONTAINERS } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { createWorld, unchanged, up, type World } from "./world.ts";

const OLD = "training_bot_db_data";
const NEW = "training_bot_db_data_15";
const BACKUPS = "/home/deploy/backups";
const SETTINGS = "/home/deploy/hockey/backups/settings";
const UPGRADE = `/home/deploy/hockey/bin/upgrade-db.sh ${SETTINGS}`;
/** The part of an upgrade on the server, in words of the shell. */
const move = (major: number, image = "postgres:15", volume = NEW) =>
  `MAJOR=${major} IMAGE=${image} VOLUME=${volume} ${UPGRADE} move`;
const RESTORE = `/home/deploy/hockey/bin/restore-db.sh ${SETTINGS} restore`;

const SAMPLE = `CREATE TABLE notes (id serial PRIMARY KEY, note text NOT NULL);
  CREATE INDEX ON notes (note);
  CREATE VIEW short AS SELECT * FROM notes WHERE length(note) < 10;
  INSERT INTO notes (note) SELECT E'tab\\t line\\n \\\\.' || i FROM generate_series(1, 20000) i;`;
/** An operator that PostgreSQL 14 has lost. */
const NOT_IN_15 = "CREATE VIEW factorial AS SELECT 5 ! AS result";
/** The bot's first statement is refused, but only by the new version. */
const BOT_FAILS_ON_15 = `CREATE FUNCTION only_13() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('server_version_num')::int >= 150000 THEN RAISE 'broken on purpose'; END IF; END $$;
  CREATE EVENT TRIGGER only_13 ON ddl_command_start EXECUTE FUNCTION only_13();`;
/** Between the two versions a row is lost, and only when the bot stands still already: after the trial. */
const LOSSY_DOCKER = `#!/bin/bash
if [[ "$*" == *pg_dump* && "$*" != *--snapshot* ]]; then
  set -o pipefail
  /usr/bin/docker "$@" | grep -vP "^500\\t"
else
  exec /usr/bin/docker "$@"
fi`;

describe("an upgrade of PostgreSQL", function () {
  this.timeout(300_000);
  let world: World;
  let bot: BotDriver;
  let notes: string;
  let file: string;
  let first: string;

  before(async () => {
    world = await createWorld("upgrade");
    await loadImages(world.server, ["postgres:15"]);
    bot = new BotDriver(world);
    await up(world);
    await bot.sql(SAMPLE);
    notes = await digest();
    file = join(world.stack.project, "Pulumi.test.yaml");
    first = await readFile(file, "utf8");
  });

  after(() => world.close());

  const digest = () => bot.sql("SELECT count(*), md5(string_agg(note, ',' ORDER BY id)) FROM notes");
  const upgrade = (...args: string[]) => bot.operate("database upgrade", ...args);
  const isSwitching = () => bot.sh(`grep -sx stage=switching ${BACKUPS}/.upgrade || true`);

  /** The old version runs on its own volume with all its data, the bot answers, and nothing is left over. */
  async function runsAsBefore(): Promise<void> {
    assert.match(await bot.sql("SHOW server_version"), /^13\./);
    assert.equal(await digest(), notes);
    assert.equal((await fetch(world.url)).status, 200);
    assert.equal((await bot.health()).status, "ok");
    assert.deepEqual(await bot.containers(), CONTAINERS);
    // Pulumi, cut off, may still make the new volume: an empty one is in nobody's way.
    const left = `if docker volume inspect ${NEW} >/dev/null; then docker run --rm -v ${NEW}:/v --entrypoint ls postgres:13 -A /v; fi`;
    assert.equal(await bot.sh(`(${left}; ls ${BACKUPS}/.upgrade) 2>/dev/null || true`), "");
    assert.equal(await bot.sh(`docker volume ls -q | grep -cx ${OLD}`), "1");
    assert.equal(await readFile(file, "utf8"), first);
  }

  async function runsNewly(): Promise<void> {
    assert.match(await bot.sql("SHOW server_version"), /^15\./);
    assert.equal(await digest(), notes);
    assert.equal(await bot.sh("docker volume ls -q | grep training_bot_db | sort | xargs"), `${OLD} ${NEW}`);
    assert.deepEqual(await bot.containers(), CONTAINERS);
    assert.equal(await bot.sh("docker images --quiet --filter label=delivery.spare"), "");
    assert.match(await readFile(file, "utf8"), /image: postgres:15\n.*volume: training_bot_db_data_15\n/);
    const { exitCode, output } = await pulumi(world.stack, [
      "preview",
      "--expect-no-changes",
      "--refresh",
      "--diff",
    ]);
    assert.equal(exitCode, 0, output);
    assert.doesNotMatch(output, /security fixes/);
  }

  const major = async () => (await bot.sql("SHOW server_version")).split(".")[0];

  /** Back to the old data, by hand, as docs/DEPLOYMENT.md says. */
  async function leave(): Promise<Outcome> {
    await bot.sh("docker stop training_bot training_bot_db; docker rm training_bot_db");
    await writeFile(file, first);
    return bot.operate("deploy");
  }

  describe("from 13", () => {
    beforeEach(async () => {
      if ((await major()) === "13") return;
      const { exitCode, output } = await leave();
      assert.equal(exitCode, 0, output);
      await bot.sh(`docker volume rm ${NEW}`);
    });

    it("is asked for at every preview, once, and that is no change", async () => {
      const { exitCode, output } = await bot.preview("--expect-no-changes");
      assert.equal(exitCode, 0, output);
      const warning =
        /PostgreSQL 13 has had no security fixes since 2025-11-13; move the data to a newer one with: \.\/delivery database upgrade 17/g;
      const [, diagnostics = ""] = output.split("Diagnostics:");
      assert.equal(diagnostics.match(warning)?.length, 1, output);
    });

    it("is refused where it makes no sense", async () => {
      for (const [major, sentence] of [
        [
          "13",
          /^error: The database is PostgreSQL 13 already; only a newer major version can be upgraded to\./m,
        ],
        ["12", /^error: PostgreSQL 12 is not known here; there are: 13, 14, 15, 16, 17, 18\./m],
      ] as const) {
        const { exitCode, output } = await upgrade(major);
        assert.equal(exitCode, 1, output);
        assert.match(output, sentence);
      }
      const unknown = await bot.sh(`${move(16, "postgres:16", `${NEW}_16`)} 2>&1 || true`);
      assert.match(
        unknown,
        /^The image postgres:16 cannot be pulled on the server \(.*Nothing was changed\.$/m,
      );
      const wrong = await bot.sh(`${move(14)} 2>&1 || true`);
      assert.match(wrong, /^The image postgres:15 is PostgreSQL 15, not 14\. Nothing was changed\.$/m);
      const { stdout } = await upgrade("--help");
      assert.match(
        stdout,
        /delivery database upgrade <major>[\s\S]*Exit status:\n {2}0 {2}done\n {2}1 {2}failed or refused/,
      );
      await runsAsBefore();
    });

    it("is no edit of the configuration: that is refused at preview", async () => {
      const attempt = async (key: string, value: string) => {
        await bot.configure(key, value);
        const { exitCode, output } = await bot.preview();
        await writeFile(file, first);
        assert.notEqual(exitCode, 0);
        return output.replaceAll(/\s+/g, " ");
      };
      assert.match(
        await attempt("database.image", "postgres:15"),
        /is PostgreSQL 13, whose data an image of 15 cannot read; put `database\.image` back, then move the data with: \.\/delivery database upgrade 15 Nothing was changed/,
      );
      assert.match(
        await attempt("database.volume", "another"),
        /is PostgreSQL 13 in the volume training_bot_db_data, and the configuration says another; .* correct `database\.volume`/,
      );
    });

    it("lets nobody else change the stack meanwhile, and is undone when nobody is at it any more", async () => {
      await bot.sh(`printf 'stage=moving\\nvolume=${NEW}\\n' >${BACKUPS}/.upgrade`);
      const { exitCode, output } = await bot.preview();
      assert.notEqual(exitCode, 0);
      assert.match(
        output.replaceAll(/\s+/g, " "),
        /The database is being upgraded on the server; wait until/,
      );
      const before = await bot.startedAt();
      const restart = await bot.operate("restart");
      assert.equal(restart.exitCode, 1, restart.output);
      assert.match(
        restart.output,
        /^error: The restart failed: The database is being restored or upgraded, /m,
      );
      assert.equal(await bot.startedAt(), before);
      assert.equal(await bot.sh(`${UPGRADE} report`), `13 ${OLD}`);
      await runsAsBefore();
    });

    it("ends before anybody waits when the backup does not restore into the new version", async () => {
      await bot.sql(NOT_IN_15);
      const before = await bot.startedAt();
      const { exitCode, output } = await upgrade("15");
      await bot.sql("DROP VIEW factorial");
      assert.equal(exitCode, 1, output);
      assert.match(
        output,
        /The upgrade failed: The backup \S+ cannot be restored into the new PostgreSQL .* PostgreSQL 13 runs as before\.$/m,
      );
      assert.equal(await bot.startedAt(), before);
      await runsAsBefore();
    });

    it("goes back when what was moved is not what was there", async () => {
      const input = LOSSY_DOCKER;
      await serverExec(
        world.server,
        ["bash", "-c", "mkdir /tmp/lossy; cat >/tmp/lossy/docker; chmod -R 755 /tmp/lossy"],
        { input },
      );
      const output = await bot.sh(
        `{ echo go; while sleep 1; do echo alive; done } | PATH=/tmp/lossy:$PATH ${move(15)} 2>&1 || true`,
      );
      assert.match(
        output,
        /^What was moved differs from what was there: .*"public\.notes" : 20000.*"public\.notes" : 19999/m,
      );
      assert.match(output, /^going back: the upgrade ended while moving\nwhat was there is back$/m);
      await runsAsBefore();
    });

    it("goes back when the bot does not get well on it @slow", async () => {
      await bot.sql(BOT_FAILS_ON_15);
      const { exitCode, output } = await upgrade("15");
      await bot.sql("DROP EVENT TRIGGER only_13; DROP FUNCTION only_13");
      assert.equal(exitCode, 1, output);
      assert.match(output, /broken on purpose/);
      assert.match(
        output,
        /The upgrade failed: The bot does not get healthy on PostgreSQL 15\. PostgreSQL 13 runs as before\.$/m,
      );
      await runsAsBefore();
    });

    const OTHERS = ["trying", "stopping", "switching"].map((stage) => [stage, " @slow"]);
    for (const [stage = "", slow = ""] of [["moving"], ...OTHERS]) {
      it(`goes back by itself when it is killed on the server while ${stage}${slow}`, async () => {
        const output =
          await bot.sh(`{ echo go; while sleep 1; do echo alive; done } | ${move(15)} 2>&1 & pid=$!
        until grep -qs stage=${stage} ${BACKUPS}/.upgrade || ! kill -0 $pid; do :; done
        kill -KILL $pid; wait $pid
        until [[ ! -e ${BACKUPS}/.upgrade ]] || ((SECONDS > 60)); do sleep 0.1; done; flock ${BACKUPS}/.lock true`);
        assert.doesNotMatch(output, /^done$/m);
        assert.match(await bot.sh(`tail -n 1 ${BACKUPS}/upgrade.log`), /what was there is back/);
        await runsAsBefore();
      });
    }

    it("goes back when the connection is cut in the middle of the switch @slow", async () => {
      const outcome = upgrade("15");
      await eventually(isSwitching, "the switch", 60);
      await cutConnections(world.server);
      const { exitCode, output } = await outcome;
      assert.equal(exitCode, 1, output);
      assert.match(output, /PostgreSQL 13 runs as before\.$/m);
      await runsAsBefore();
      assert.ok(await unchanged(world.stack));
    });

    it("goes back by itself when the operator's machine is gone in the middle of the switch, and --recover takes its lock @slow", async () => {
      const child = begin();
      const before = await bot.sh("docker inspect -f '{{.Id}}' training_bot_db");
      await eventually(
        async () =>
          (await bot.sh("docker inspect -f '{{.Id}}' training_bot_db 2>/dev/null || true")) !== before,
        "the end of the old container",
        90,
      );
      assert.ok(await isSwitching());
      process.kill(-(child.pid ?? 0), "SIGKILL");
      await eventually(async () => !(await isSwitching()) && (await fetch(world.url)).ok, "the bot", 60);
      await runsAsBefore();
      const blocked = await upgrade("15");
      assert.equal(blocked.exitCode, 3, blocked.output);
      await bot.ok("deploy", "--recover");
      await runsAsBefore();
    });

    it("succeeds without anybody noticing", async () => {
      const written = async () =>
        Number(await bot.sql("SELECT count(*) FROM trainings WHERE player = 'load'"));
      const before = await written();
      let outcome: Awaited<ReturnType<typeof upgrade>> | undefined;
      const seen = await bot.during("upgrade from 13 to 15", async () => (outcome = await upgrade("15")));
      const { exitCode, output, seconds } = outcome ?? assert.fail("there was no outcome");
      assert.equal(exitCode, 0, output);
      const [held = ""] = /requests were held for [\d.]+ s/.exec(output) ?? [];
      console.log(`      ${seconds.toFixed(1)} s in all, ${held}`);
      assertUnnoticed(seen);
      assert.ok((await written()) - before >= seen.written, "every row that was promised is there");
      assert.match(output, /database upgrade: PostgreSQL 15 runs \(before: 13\), [\d.]+ s in all$/m);
      assert.match(
        output,
        /kept in the volume training_bot_db_data; .* remove it with: ssh .* docker volume rm training_bot_db_data$/m,
      );
      await runsNewly();
    });
  });

  describe("on 15", () => {
    beforeEach(async () => {
      if ((await major()) === "15") return;
      const { exitCode, output } = await upgrade("15");
      assert.equal(exitCode, 0, output);
    });

    it("is backed up as before, and takes a backup of the old version", async () => {
      const backup = await bot.sh(`cd ${BACKUPS}; ls hockey_db_*.sql.gz | tail -n 1`);
      assert.match(
        await bot.sh(`zcat ${BACKUPS}/${backup} | head -n 20`),
        /^-- Dumped from database version 13\./m,
      );
      const { exitCode, output } = await bot.operate("backup");
      assert.equal(exitCode, 0, output);
      assert.match(await bot.sh(`tail -n 1 ${BACKUPS}/manifest.jsonl`), /"server":"15\..*"verified":true/);
      await bot.sql("UPDATE notes SET note = 'ruined'");
      await bot.sh(`BACKUP=${backup} ${RESTORE} --yes --no-safety-dump`);
      const asked = await bot.operate("restore", "--drop-old");
      assert.equal(asked.exitCode, 1, asked.output);
      assert.match(asked.output, /^error: Nothing was removed; answer yes, or pass --yes\.$/m);
      const removed = await bot.operate("restore", "--drop-old", "--yes");
      assert.equal(removed.exitCode, 0, removed.output);
      assert.match(removed.output, /^dropped hockey_db_before_\d{8}_\d{6}$/m);
      const none = await bot.operate("restore", "--drop-old");
      assert.match(none.output, /^There is no replaced database on /m);
      assert.equal(await digest(), notes);
    });

    it("does not go back once somebody may have been served", async () => {
      await bot.sh(`printf 'stage=switching\\nvolume=${NEW}\\n' >${BACKUPS}/.upgrade; ${UPGRADE} recover`);
      await runsNewly();
    });

    it("is finished by a second try when the operator's machine was gone before it could note it @slow", async () => {
      await writeFile(file, first);
      const { output } = await bot.preview();
      assert.match(
        output.replaceAll(/\s+/g, " "),
        /finish an upgrade that was cut off with `\.\/delivery database upgrade 15`/,
      );
      const { exitCode, output: said } = await upgrade("15");
      assert.equal(exitCode, 0, said);
      await runsNewly();
    });

    it("can be left again for the old data, by hand, and then refuses to overwrite the new one @slow", async () => {
      const { exitCode, output } = await leave();
      assert.equal(exitCode, 0, output);
      assert.match(await bot.sql("SHOW server_version"), /^13\./);
      assert.equal(await digest(), notes);
      const refused = await bot.sh(`${move(15)} 2>&1 || true`);
      assert.match(
        refused,
        /There is a volume training_bot_db_data_15 with data already, .* docker volume rm training_bot_db_data_15/,
      );
      assert.ok(await unchanged(world.stack));
    });
  });

  /** The command in a process group of its own, which can be killed as a whole. */
  function begin() {
    const { stack } = world;
    return spawn("./delivery", ["database", "upgrade", "15"], {
      cwd: stack.project,
      env: { ...process.env, ...stack.env, PULUMI_STACK: stack.name },
      stdio: "ignore",
      detached: true,
    });
  }
});
