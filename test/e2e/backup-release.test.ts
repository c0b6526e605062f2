import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BACKUP, BACKUPS, bot, withBackups, world } from "./backup-driver.ts";
import { HOME } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { up } from "./world.ts";

const OTHER = "a1".repeat(20);

describe("a backup before a release", function () {
  withBackups(this, "backup-release");

  /** What a release waits for on the server. */
  const command = (commit: string, seconds = 60) =>
    `env STACK=hockey/test ${BACKUP} --before-release ${commit} --log ${HOME}/backup.log --wait ${seconds}`;
  const madeBefore = (output: string) => /^backed up before: (\S+)$/m.exec(output)?.[1];

  beforeEach(() => bot.clear());

  it("brings back what a migration has destroyed", async () => {
    await bot.train();
    const trained = await bot.sql("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM trainings t");
    const migration = "UPDATE trainings SET player = 'lost', minutes = 1; DROP TABLE games;";
    await writeFile(join(world.repository.directory, "migrations/900_destroy.sql"), migration);
    const good = await bot.running();
    const bad = await world.repository.push("Destroy");

    const file = madeBefore(await bot.ok("deploy", bad)) ?? assert.fail("no backup");
    assert.equal(await bot.running(), bad);
    assert.equal(await bot.sql("SELECT count(*) FROM trainings WHERE player <> 'lost'"), "0");
    const [line] = await bot.lines();
    assert.deepEqual([line?.file, line?.verified, line?.for], [file, true, "release"]);

    assert.equal(madeBefore(await bot.ok("rollback")), undefined);
    assert.equal(await bot.running(), good);
    await bot.ok("restore", file, "--yes");
    assert.equal(await bot.sql("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM trainings t"), trained);
    assert.equal(await bot.sql("SELECT count(*) FROM games"), "500");
    assert.equal(await bot.running(), good);
    await bot.ok("restore", "--drop-old", "--yes");
  });

  it("is not made for the commit that runs", async () => {
    const output = await bot.ok("deploy", await bot.running());
    assert.match(output, /was live already/);
    assert.deepEqual(await bot.files(), []);
  });

  it("that fails refuses the release and says how to do without", async () => {
    const running = await bot.running();
    await bot.configure("backups.query", "SELECT random()");
    await up(world);
    const commit = await bot.change("unsaved");
    const { exitCode, output } = await bot.operate("deploy", commit);
    assert.equal(exitCode, 1);
    assert.match(
      output,
      /^error: The database could not be backed up before the release: The backup \S+ is not good: .* or release without it: \.\/delivery deploy --no-backup$/m,
    );
    assert.equal(await bot.running(), running);
    assert.equal((await bot.files()).length, 1);
    assert.equal(madeBefore(await bot.ok("deploy", commit, "--no-backup")), undefined);
    assert.equal(await bot.running(), commit);
    assert.equal((await bot.files()).length, 1);
    await bot.configure("backups.query", "SELECT 1");
    await up(world);
  });

  it("counts neither as the daily one nor among those that are copied, and tells no monitor", async () => {
    await bot.settle({ remote: "nowhere:x", pingUrl: "http://127.0.0.1:1/x" });
    const file = await bot.sh(command(OTHER));
    assert.match(file, /^hockey_db_\S+\.sql\.gz$/);
    assert.equal((await bot.lines())[0]?.copy, undefined);
    assert.equal(await bot.sh(`${BACKUP} --copy 2>&1`), "");
    assert.doesNotMatch(await bot.sh(`cat ${HOME}/backup.log`), /ping/i);
    await bot.settle();
    await bot.sh(`${BACKUP} --if-older-than 25`);
    assert.equal((await bot.files()).length, 2);
  });

  it("has nothing to lose in an empty database", async () => {
    // The bot would not let go of its database.
    await bot.sh("docker stop training_bot");
    await bot.admin("CREATE DATABASE spare", "postgres");
    await bot.admin("ALTER DATABASE hockey_db RENAME TO kept", "postgres");
    await bot.admin("ALTER DATABASE spare RENAME TO hockey_db", "postgres");
    const { status, output } = await bot.attempt(command(OTHER));
    await bot.admin("DROP DATABASE hockey_db", "postgres");
    await bot.admin("ALTER DATABASE kept RENAME TO hockey_db", "postgres");
    await bot.sh("docker start training_bot");
    assert.deepEqual([status, output], [0, ""]);
  });

  describe("is waited for no longer than a release may wait", () => {
    it("where another one runs", async () => {
      const { status, output } = await bot.attempt(
        `exec 9>${BACKUPS}/.lock; flock 9; ${command(OTHER, 1)} 9>&-`,
      );
      assert.equal(status, 75);
      assert.match(output, /^Another backup, restore or upgrade is running/);
      await bot.settle();
    });

    it("and goes on by itself", async () => {
      const path = await bot.wrapDocker(
        `if [[ "$*" == *pg_dump* ]]; then until [[ -e /tmp/wrapped/go ]]; do sleep 0.1; done; fi`,
      );
      const { status, output } = await bot.attempt(`rm -f /tmp/wrapped/go; ${path} ${command(OTHER, 1)}`);
      assert.equal(status, 75);
      assert.match(output, /^it takes longer than 1 seconds and goes on by itself; a migration/);
      await bot.sh("touch /tmp/wrapped/go");
      await bot.untilVerified(60);
    });
  });

  it("does not hold up an update that repairs the server", async () => {
    await bot.sh("docker stop training_bot_db");
    const stopped = await bot.attempt(command(OTHER));
    await bot.sh("docker start training_bot_db");
    assert.deepEqual([stopped.status, stopped.output], [75, "the database does not run"]);
    await bot.sh(`sed -i /^upgradeStages=/d ${HOME}/backups/settings`);
    const old = await bot.attempt(command(OTHER));
    await bot.sh(`mv ${HOME}/backups/settings ${HOME}/backups/aside`);
    const first = await bot.attempt(command(OTHER));
    await bot.sh(`mv ${HOME}/backups/aside ${HOME}/backups/settings`);
    await bot.settle();
    assert.equal(old.status, 75);
    assert.match(old.output, /^the server has the settings of an earlier version/);
    assert.deepEqual([first.status, first.output], [0, ""]);
    await eventually(async () => (await bot.sh("docker ps -q --filter name=_verify")) === "", "no throwaway");
  });
});
