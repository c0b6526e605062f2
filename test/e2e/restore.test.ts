import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { rebootServer } from "../../sandbox/server.ts";
import { BACKUP, BACKUPS, bot, cron, restore, RESTORE_DB, withBackups, world } from "./backup-driver.ts";
import { HOME } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";

const READY =
  "until docker exec training_bot_db pg_isready -q -h 127.0.0.1 -U hockey -d postgres; do sleep 0.2; done";
/** Data with which the bot does not start: its first statement is refused. */
const BOT_FAILS = `CREATE FUNCTION broken() RETURNS event_trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE 'broken on purpose'; END $$;
  CREATE EVENT TRIGGER broken ON ddl_command_start EXECUTE FUNCTION broken();`;
const BOT_STARTS = "DROP EVENT TRIGGER broken; DROP FUNCTION broken";

describe("a database", function () {
  withBackups(this, "restore");

  describe("a restore", () => {
    let good: string;
    let original: string;

    before(async () => {
      await bot.clear();
      await bot.fill();
      original = await bot.players();
      good = (await bot.backup()).file;
    });

    it("brings yesterday back, keeps today, and no visitor notices", async () => {
      await bot.sql("DELETE FROM games; UPDATE players SET name = 'ruined'");
      const started = await bot.startedAt();
      const backups = (await bot.files()).length;
      const statuses: number[] = [];
      const over = new AbortController();
      const visitor = (async () => {
        while (!over.signal.aborted) {
          statuses.push(
            await fetch(world.url)
              .then(({ status }) => status)
              .catch(() => 0),
          );
          await sleep(20);
        }
      })();
      const { status, output } = await bot.attempt(`${restore(good)} --yes`);
      over.abort();
      await visitor;
      assert.equal(status, 0, output);
      assert.equal(await bot.players(), original);
      assert.equal(await bot.sql("SELECT count(*) FROM games"), "500");
      assert.deepEqual([...new Set(statuses)], [200], `${statuses.length} requests`);
      assert.ok(statuses.length > 20);
      assert.notEqual(await bot.startedAt(), started);
      const old = /kept as (\w+)/.exec(output)?.[1] ?? "";
      assert.equal(await bot.sql("SELECT count(DISTINCT name) FROM players", old), "1");
      assert.equal((await bot.files()).length, backups + 1, "a safety dump was taken");
      assert.match(
        (await bot.attempt(`${RESTORE_DB} drop-old </dev/null`)).output,
        /There is no terminal to ask on; pass --yes/,
      );
      await bot.sh(`${RESTORE_DB} drop-old --yes`);
      assert.equal(await bot.besides(), "0");
    });

    it("asks first", async () => {
      const { status, output } = await bot.attempt(`${restore("latest")} </dev/null`);
      assert.equal(status, 1);
      assert.match(output, /This replaces the database hockey_db by hockey_db_.* verified: yes/);
    });

    /** Makes a backup with which the bot does not start. */
    async function badBackup(): Promise<string> {
      await bot.admin(BOT_FAILS);
      const { file } = await bot.backup();
      await bot.admin(BOT_STARTS);
      return file;
    }

    it("goes back when the bot does not get healthy on the restored data", async () => {
      const bad = await badBackup();
      await bot.sql(`UPDATE players SET name = 'today'`);
      const today = await bot.players();
      const { status, output } = await bot.attempt(`${restore(bad)} --yes --no-safety-dump`);
      await bot.sh(`rm ${BACKUPS}/${bad}*`);
      assert.equal(status, 1, output);
      assert.match(output, /The bot does not get healthy on the data of/);
      assert.match(output, /What was there is back/);
      assert.equal(await bot.players(), today);
      assert.equal(await bot.sh("docker inspect -f '{{.State.Running}}' training_bot"), "true");
    });

    const OTHERS = ["loading", "checking", "holding", "stopping", "swapping"].map((stage) => [
      stage,
      " @slow",
    ]);
    for (const [stage = "", slow = ""] of [["starting"], ...OTHERS]) {
      it(`goes back by itself when it is killed while ${stage}${slow}`, async () => {
        await bot.sql("UPDATE players SET name = 'today'");
        const today = await bot.players();
        const { output } = await bot.attempt(`${restore(good)} --yes --no-safety-dump & pid=$!
          until grep -qs stage=${stage} ${BACKUPS}/.restore || ! kill -0 $pid; do :; done
          kill -KILL $pid; wait $pid
          until [[ ! -e ${BACKUPS}/.restore ]] || ((SECONDS > 60)); do sleep 0.1; done; flock ${BACKUPS}/.lock true`);
        assert.doesNotMatch(output, /^restored /m);
        assert.match(await bot.sh(`tail -n 1 ${BACKUPS}/restore.log`), /What was there is back/);
        assert.equal(await bot.players(), today);
        assert.equal(await bot.sh("docker inspect -f '{{.State.Running}}' training_bot"), "true");
        assert.equal((await fetch(world.url)).status, 200);
        assert.equal(await bot.besides(), "0");
      });
    }

    it("refuses a release meanwhile, which comes once it has ended, and no write is lost", async () => {
      const slow = "hockey_db_2021-01-01_000000.sql.gz";
      const sleep = "s/^-- PostgreSQL database dump complete/SELECT pg_sleep(20);\\n&/";
      await bot.sh(`cd ${BACKUPS}; zcat ${good} | sed '${sleep}' | gzip >${slow}`);
      const restored = bot.attempt(`${restore(slow)} --yes --no-safety-dump`);
      await eventually(() => bot.sh(`cat ${BACKUPS}/.restore 2>/dev/null || true`), "the restore's journal");
      const rows = await bot.train();
      const commit = await bot.change("Meanwhile");
      const refused = await bot.operate("deploy");
      assert.equal(await bot.sh(`sed -n 1p ${BACKUPS}/.restore`), "stage=loading", "the restore goes on");
      assert.equal(refused.exitCode, 1, refused.output);
      assert.match(
        refused.output,
        /: The database is being restored on the server; wait until that has ended, or, if it was cut off, undo it there with: \/home\/deploy\/hockey\/bin\/restore-db\.sh \/home\/deploy\/hockey\/backups\/settings recover\. Nothing was changed$/m,
      );
      assert.notEqual(await bot.running(), commit);
      const { status, output } = await restored;
      assert.equal(status, 0, output);
      assert.equal(await bot.players(), original);
      const old = /kept as (\w+)/.exec(output)?.[1] ?? "";
      assert.equal(await bot.sql("SELECT count(*) FROM trainings", old), rows);
      const released = await bot.operate("deploy");
      assert.equal(released.exitCode, 0, released.output);
      assert.equal(await bot.running(), commit);
      await bot.sh(`${RESTORE_DB} drop-old --yes; rm ${BACKUPS}/${slow}`);
    });

    it("goes back after a reboot in its midst, and then catches up on the backup that is due", async () => {
      const bad = await badBackup();
      const today = await bot.players();
      const aside = "/home/deploy/aside";
      const said = "/home/deploy/restore.out";
      await bot.sh(
        `mkdir ${aside}; mv ${BACKUPS}/hockey_db_* ${BACKUPS}/manifest.jsonl ${aside}; cp ${aside}/${bad} ${BACKUPS}`,
      );
      await bot.sh(cron("install", "0 6 1 1 *"));
      // A bot that cannot start keeps the restore at this stage for long enough.
      await bot.sh(`nohup env ${restore(bad)} --yes --no-safety-dump >${said} 2>&1 &
        until grep -qs stage=starting ${BACKUPS}/.restore; do kill -0 $! || exit; done`);
      await rebootServer(world.server);
      await bot.untilVerified(60);
      assert.match(await bot.sh(`cat ${HOME}/backup.log ${said}`), /What was there is back/);
      assert.equal(await bot.players(), today);
      assert.equal(await bot.sh("docker inspect -f '{{.State.Running}}' training_bot"), "true");
      assert.equal(await bot.sh(`ls ${BACKUPS}/.restore 2>/dev/null || true`), "");
      await bot.sh(`${cron("remove")}; mv ${aside}/* ${BACKUPS}; rm -r ${aside} ${said} ${BACKUPS}/${bad}*`);
    });

    it("works on a new, empty database: the server is gone, the backup is not", async () => {
      const emptied =
        "docker run --rm -v training_bot_db_data:/data --entrypoint find postgres:13 /data -mindepth 1 -delete";
      await bot.sh(`docker stop training_bot_db; ${emptied}; docker start training_bot_db; ${READY}`);
      const { status, output } = await bot.attempt(`time ${restore(good)} --yes`);
      assert.equal(status, 0, output);
      assert.equal(await bot.players(), original);
      assert.equal(await bot.sql("INSERT INTO players (name) VALUES ('new') RETURNING id"), "1001");
      assert.equal(await bot.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'hockey'"), "f");
      await bot.sh(`${RESTORE_DB} drop-old --yes`);
    });
  });

  /** Starts a backup, acts in the middle of its dump, and gives how it ended. */
  const disturb = (path: string, act: string) =>
    bot.attempt(
      `sudo -u deploy ${BACKUP} & pid=$!
       until (($(stat -c %s ${path}/.partial 2>/dev/null || echo 0) > 1000000)) || ! kill -0 $pid; do sleep 0.02; done
       ${act}
       wait $pid`,
      "root",
    );

  const leftovers = (path: string) =>
    bot.sh(
      `find ${path} -type f ! -name .lock ! -name .stack ! -name manifest.jsonl ! -name restore.log; docker ps -aq --filter name=_verify`,
    );

  /** Adds a table of this many rows; a million are some 150 MB. */
  async function grow(rows: number): Promise<void> {
    await bot.settle();
    await bot.clear();
    await bot.sql(`CREATE TABLE big AS SELECT i AS id, md5(i::text) || md5((i * 7)::text) || md5((i * 13)::text) AS text
      FROM generate_series(1, ${rows}) i; ALTER TABLE big ADD PRIMARY KEY (id)`);
  }
  const shrink = () => bot.sql("DROP TABLE big");

  describe("of 50 MB", () => {
    before(() => grow(300_000));
    after(shrink);

    it("a dump whose pg_dump is killed leaves nothing", async () => {
      const { status, output } = await disturb(BACKUPS, "pkill -KILL -x pg_dump");
      assert.equal(status, 1, output);
      assert.match(output, /The dump broke off \(pg_dump 137, gzip 0/);
      assert.equal(await leftovers(BACKUPS), "");
    });

    it("a dump whose PostgreSQL is killed leaves nothing @slow", async () => {
      const { status, output } = await disturb(BACKUPS, "docker kill training_bot_db >/dev/null");
      await bot.sh(`docker start training_bot_db >/dev/null; ${READY}`);
      assert.equal(status, 1, output);
      assert.match(output, /The dump broke off/);
      assert.equal(await leftovers(BACKUPS), "");
    });
  });

  describe("of 200 MB @slow", () => {
    const SMALL = "/mnt/small";

    before(() => grow(1_350_000));
    after(shrink);

    it("is refused before the dump on a disk without room, and leaves nothing when the room goes during it", async () => {
      await bot.settle({}, SMALL);
      const mount = (megabytes: number) =>
        bot.sh(
          `umount ${SMALL} 2>/dev/null; mkdir -p ${SMALL}; mount -t tmpfs -o size=${megabytes}m,uid=$(id -u deploy),mode=0700 tmpfs ${SMALL}`,
          "root",
        );
      await mount(100);
      const refused = await bot.attempt(BACKUP);
      assert.equal(refused.status, 1);
      assert.match(
        refused.output,
        /has \d+ MB left and a backup needs \d+; make room there\. No backup was begun/,
      );
      await mount(700);
      const full = await disturb(
        SMALL,
        // The dump goes on writing between the look and the deed.
        `until fallocate -l $(($(df --output=avail -B1 ${SMALL} | tail -n 1) - 1000000)) ${SMALL}/.filler; do :; done`,
      );
      assert.equal(full.status, 1, full.output);
      assert.match(full.output, /The dump broke off .*No space left on device/);
      await bot.sh(`rm ${SMALL}/.filler`, "root");
      assert.equal(await leftovers(SMALL), "");
      await bot.sh(`umount ${SMALL}`, "root");
      await bot.settle();
    });

    it("is backed up, verified and restored", async () => {
      const megabytes = Number(await bot.sql("SELECT pg_database_size('hockey_db') / 1048576"));
      assert.ok(megabytes >= 200, `${megabytes} MB`);
      const watch = `while [[ ! -e /tmp/done ]]; do
        echo "$(($(du -sm ${BACKUPS} | cut -f 1))) $(docker exec training_bot_db_verify df --output=used -m /tmp/trial 2>/dev/null | grep -E "^ *[0-9]+$")"; sleep 0.2; done`;
      await bot.sh(`rm -f /tmp/done; nohup bash -c '${watch}' >/tmp/usage 2>/dev/null &`);
      const { output } = await bot.attempt(`time ${BACKUP}`);
      const usage = await bot.sh(
        "touch /tmp/done; sort -n /tmp/usage | awk '{ if ($1 > a) a = $1; if ($2 > b) b = $2 } END { print a, b }'",
      );
      const restored = await bot.attempt(`time ${restore("latest")} --yes --no-safety-dump`);
      assert.equal(restored.status, 0, restored.output);
      console.log(`      ${megabytes} MB database; peak in MB (backups, throwaway's memory): ${usage}`);
      for (const text of [output, restored.output]) {
        console.log(text.replace(/^/gm, "      | "));
      }
      assert.match(output, /found the same/);
      assert.equal(await bot.sql("SELECT count(*) FROM big"), "1350000");
      await bot.sh(`${RESTORE_DB} drop-old --yes`);
    });
  });
});
