import assert from "node:assert/strict";
import {
  BACKUP,
  BACKUPS,
  bot,
  type Line,
  restore,
  RESTORE_DB,
  withBackups,
  withCleanTests,
  world,
} from "./backup-driver.ts";
import { HOME } from "./bot-driver.ts";

describe("backups", function () {
  withBackups(this, "backup");
  withCleanTests(this);

  describe("a backup", () => {
    it("is verified while the bot goes on writing, closed to others, and shows no secret", async () => {
      const began = await bot.sh("date -u +%FT%T.%NZ");
      await bot.sh(`nohup bash -c 'while [[ ! -e /tmp/enough ]]; do docker exec training_bot_db psql -qU hockey hockey_db -c \
        "INSERT INTO games (player) SELECT 1 FROM generate_series(1, 50)"; done' >/dev/null 2>&1 &
        nohup bash -c 'while [[ ! -e /tmp/enough ]]; do cat /proc/[0-9]*/cmdline; done 2>/dev/null | tr "\\0" "\\n" | sort -u >/tmp/ps' >/dev/null 2>&1 &`);
      const said = await bot.sh(`${BACKUP} --json --log ${HOME}/backup.log`);
      await bot.sh("touch /tmp/enough");
      assert.equal(said, "", "with --log nothing goes to standard output");
      const manifest = JSON.parse(await bot.sh(`cat ${BACKUPS}/manifest.jsonl`)) as Line;
      assert.equal(manifest.verified, true);
      assert.equal(manifest.contents.rows["public.players"], 1000);
      assert.ok((manifest.contents.rows["public.games"] ?? 0) >= 500);
      assert.ok(
        Number(await bot.sql("SELECT count(*) FROM games")) > (manifest.contents.rows["public.games"] ?? 0),
      );
      assert.equal(manifest.contents.objects.v, 1);
      assert.match(manifest.file, /^hockey_db_\d{4}-\d\d-\d\d_\d{6}\.sql\.gz$/);
      assert.match(await bot.sh(`cd ${BACKUPS} && sha256sum -c *.sha256`), /: OK$/);
      assert.equal(await bot.sh(`find ${BACKUPS} ${HOME}/backup.log -perm /077`), "");
      assert.equal(await bot.sh("docker ps -aq --filter name=_verify"), "");
      const log = await bot.sh(`docker logs --since ${began} training_bot_db 2>&1`);
      assert.doesNotMatch(log, /FATAL|ERROR/);
      const seen = await bot.sh(`until [[ -s /tmp/ps ]]; do sleep 0.1; done; cat /tmp/ps`);
      assert.match(seen, /pg_dump/);
      const everything = `${seen}\n${await bot.sh(`cat ${HOME}/backup.log; zcat ${BACKUPS}/*.gz`)}`;
      assert.ok(!everything.includes(world.secrets.postgresPassword ?? assert.fail()));
    });

    it("holds exactly the rows that are there", async () => {
      await bot.fill();
      const { file, contents } = await bot.backup();
      assert.equal(contents.rows["public.games"], 500);
      assert.equal(contents.rows["public.players"], 1000);
      const text = await bot.sh(`zcat ${BACKUPS}/${file}`);
      assert.equal((text.match(/^\d+\tplayer \d+$/gm) ?? []).length, 1000);
    });

    it("is made one at a time", async () => {
      const second = await bot.attempt(`${BACKUP} & pid=$!
        until [[ -e ${BACKUPS}/.partial ]] || ! kill -0 $pid; do :; done
        ${BACKUP}; echo "second: $?"; wait $pid`);
      assert.equal(second.status, 0, second.output);
      assert.match(second.output, /^Another backup, restore or upgrade is running/m);
      assert.match(second.output, /^second: 75$/m);
    });

    it("is refused where there is nothing to back up", async () => {
      // It would not let go of its database.
      await bot.sh("docker stop training_bot");
      await bot.admin("CREATE DATABASE spare", "postgres");
      await bot.admin("ALTER DATABASE hockey_db RENAME TO kept", "postgres");
      await bot.admin("ALTER DATABASE spare RENAME TO hockey_db", "postgres");
      const { status, output } = await bot.attempt(`${BACKUP} --json`);
      await bot.admin("DROP DATABASE hockey_db", "postgres");
      await bot.admin("ALTER DATABASE kept RENAME TO hockey_db", "postgres");
      await bot.sh("docker start training_bot");
      assert.equal(status, 1);
      assert.match(output, /^The database hockey_db has no tables/m);
      assert.match(output, /^\{"error":"The database hockey_db has no tables/m);
      assert.deepEqual(await bot.files(), []);
    });

    // Between PostgreSQL and the file something is lost or changed: what no check of the file alone can tell.
    for (const [what, filter, reason] of [
      ["a row is missing", 'grep -vP "^500\\t500\\t"', /rows of public\.games: 500, restored 499/],
      [
        "one value differs and all counts agree",
        "sed 's/^500\\tplayer 500$/500\\tplayer X/'",
        /differs: digests of public\.players: -?\d+, restored -?\d+\./,
      ],
      [
        "a sequence is behind",
        `sed "s/players_id_seq', 1000,/players_id_seq', 999,/"`,
        /differs: sequences of public\.players_id_seq: 1000 t, restored 999 t\./,
      ],
    ] as const) {
      it(`is not called verified when ${what}`, async () => {
        await bot.fill();
        const path = await bot.wrapDocker(
          `if [[ "$*" == *pg_dump* ]]; then /usr/bin/docker "$@" | ${filter}; exit; fi`,
        );
        const { status, output } = await bot.attempt(`${path} ${BACKUP}`);
        assert.equal(status, 1, output);
        assert.match(output, reason);
        assert.equal((await bot.lines())[0]?.verified, false);
      });
    }

    it("is the same for tables of every kind, whatever their database's settings", async () => {
      await bot.fillOdd();
      try {
        const { contents } = await bot.backup();
        assert.deepEqual(
          Object.keys(contents.digests).filter((name) => !/trainings|daily|migrations|updates/.test(name)),
          [
            ...["cache", "child", "games", "made", "nothing", "parent", "parts_26", "players"].map(
              (table) => `public.${table}`,
            ),
            'Ünï "q" x.r"r',
          ],
        );
        assert.equal(contents.rows["public.nothing"], 1);
        assert.equal(contents.largeObjects.number, 1);
        await bot.sh(`${restore("latest")} --yes --no-safety-dump`);
        await bot.sh(`${RESTORE_DB} drop-old --yes`);
      } finally {
        await bot.fillOdd(false);
      }
    });

    it("names the tables that have lost more than half of their rows since the one before", async () => {
      await bot.sql(
        "CREATE TABLE queue AS SELECT generate_series(1, 99); CREATE TABLE halved AS SELECT generate_series(1, 200)",
      );
      assert.equal((await bot.backup()).shrunk, undefined);
      await bot.sql(
        "DELETE FROM games WHERE id > 100; TRUNCATE queue; DELETE FROM halved WHERE generate_series > 100",
      );
      const { status, output } = await bot.attempt(BACKUP);
      await bot.sql("DROP TABLE queue, halved");
      assert.equal(status, 0, output);
      assert.match(
        output,
        /^warning: tables with less than half of the rows of the last backup: public\.games 500 to 100$/m,
      );
      assert.equal((await bot.lines())[1]?.shrunk, "public.games 500 to 100");
      assert.equal((await bot.backup()).shrunk, "public.halved 100 to 0", "one that is gone counts, too");
      await bot.fill();
      assert.equal((await bot.backup()).shrunk, undefined);
    });

    it("of an earlier version, whose line says less, is restored by what that says", async () => {
      const { file } = await bot.backup();
      const manifest = `${BACKUPS}/manifest.jsonl`;
      await bot.sh(`sed -i 's/, "digests" : .*/}}/' ${manifest}`);
      await bot.sh(`${restore(file)} --yes --no-safety-dump`);
      await bot.sh(`sed -i 's/"public.games" : 500/"public.games" : 501/' ${manifest}`);
      const { status, output } = await bot.attempt(`${restore(file)} --yes --no-safety-dump`);
      await bot.sh(`${RESTORE_DB} drop-old --yes`);
      assert.equal(status, 1);
      assert.match(output, /differs from what was dumped \(rows of public\.games: 501, restored 500\)/);
    });

    it("waits for another one where that is wanted", async () => {
      const both = await bot.attempt(`${BACKUP} & pid=$!
        until [[ -e ${BACKUPS}/.partial ]] || ! kill -0 $pid; do :; done
        ${BACKUP} --wait 60 --if-older-than 1; echo "second: $?"; wait $pid`);
      assert.match(both.output, /^The newest verified backup is younger than 1 hours; .*\nsecond: 0$/m);
      assert.equal((await bot.files()).length, 1);
    });

    it("is not called verified when it does not restore the same", async () => {
      // Random answers stand for a restore that went wrong: the script must tell, keep it and delete nothing.
      await bot.settle({ query: "SELECT random()", retentionDays: 1, keepAtLeast: 1 });
      await bot.sh(`echo old >${BACKUPS}/hockey_db_2020-01-01_060000.sql.gz`);
      const { status, output } = await bot.attempt(BACKUP);
      await bot.settle({
        query: "SELECT count(*), max(name) FROM players WHERE name LIKE '%1\\_%' OR name = '\\'",
      });
      assert.equal(status, 1);
      assert.match(output, /is not good: restored, it answers `backups.query` differently/);
      assert.equal((await bot.files()).length, 2);
      assert.match(await bot.sh(`${RESTORE_DB} list`), /hockey_db_20[^\n]* no$/m);
      assert.equal((await bot.backup()).verified, true);
    });
  });
});
