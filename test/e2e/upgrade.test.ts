import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { serverExec } from "../../sandbox/server.ts";
import { assertUnnoticed } from "./bot-driver.ts";
import {
  BACKUPS,
  LOSSY_DOCKER,
  move,
  NEW,
  NOT_IN_15,
  OLD,
  RESTORE,
  UPGRADE,
  UpgradeDriver,
} from "./upgrade-driver.ts";
import { unchanged } from "./world.ts";

describe("an upgrade of PostgreSQL", function () {
  this.timeout(300_000);
  let bot: UpgradeDriver;

  before(async () => {
    bot = await UpgradeDriver.create("upgrade");
  });

  after(() => bot.world.close());

  describe("from 13", () => {
    beforeEach(() => bot.start13());

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
        const { exitCode, output } = await bot.upgrade(major);
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
      const { stdout } = await bot.upgrade("--help");
      assert.match(
        stdout,
        /delivery database upgrade <major>[\s\S]*Exit status:\n {2}0 +done\n {2}1 +failed or refused/,
      );
      await bot.runsAsBefore();
    });

    it("is no edit of the configuration: that is refused at preview", async () => {
      const attempt = async (key: string, value: string) => {
        await bot.configure(key, value);
        const { exitCode, output } = await bot.preview();
        await writeFile(bot.file, bot.first);
        assert.notEqual(exitCode, 0);
        return output.replaceAll(/\s+/g, " ");
      };
      assert.match(
        await attempt("database.image", "postgres:15"),
        /is PostgreSQL 13, whose data an image of 15 cannot read; put `database\.image` back, then move the data with: \.\/delivery database upgrade 15\. Nothing was changed/,
      );
      assert.match(
        await attempt("database.volume", "another"),
        /is PostgreSQL 13 in the volume training_bot_db_data, and the configuration says another; .* correct `database\.volume`/,
      );
    });

    it("keeps every other command from changing the stack meanwhile, and is undone once its script is gone", async () => {
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
      await bot.runsAsBefore();
    });

    it("ends before a visitor waits when the backup does not restore into the new version", async () => {
      await bot.sql(NOT_IN_15);
      const before = await bot.startedAt();
      const { exitCode, output } = await bot.upgrade("15");
      await bot.sql("DROP VIEW factorial");
      assert.equal(exitCode, 1, output);
      assert.match(
        output,
        /The upgrade failed: The backup \S+ cannot be restored into the new PostgreSQL .* PostgreSQL 13 runs as before\.$/m,
      );
      assert.equal(await bot.startedAt(), before);
      await bot.runsAsBefore();
    });

    it("goes back when what was moved is not what was there", async () => {
      const input = LOSSY_DOCKER;
      await serverExec(
        bot.world.server,
        ["bash", "-c", "mkdir /tmp/lossy; cat >/tmp/lossy/docker; chmod -R 755 /tmp/lossy"],
        { input },
      );
      const output = await bot.sh(
        `{ echo go; while sleep 1; do echo alive; done } | PATH=/tmp/lossy:$PATH ${move(15)} 2>&1 || true`,
      );
      assert.match(
        output,
        /^What was moved differs from what was there: rows of public\.notes: 20000, restored 19999, /m,
      );
      assert.match(output, /^going back: the upgrade ended while moving\nwhat was there is back$/m);
      await bot.runsAsBefore();
    });

    it("goes back by itself when it is killed on the server while moving", () => bot.isKilled("moving"));

    it("succeeds without a visitor noticing", async () => {
      const written = async () =>
        Number(await bot.sql("SELECT count(*) FROM trainings WHERE player = 'load'"));
      const before = await written();
      let outcome: Awaited<ReturnType<UpgradeDriver["upgrade"]>> | undefined;
      const seen = await bot.during("upgrade from 13 to 15", async () => (outcome = await bot.upgrade("15")));
      const { exitCode, output, seconds } = outcome ?? assert.fail("there was no outcome");
      assert.equal(exitCode, 0, output);
      const [held = ""] = /requests were held for [\d.]+ s/.exec(output) ?? [];
      console.log(`      ${seconds.toFixed(1)} s in all, ${held}`);
      assertUnnoticed(seen, { doubled: 1, resent: 5 });
      assert.ok((await written()) - before >= seen.written, "every row that was promised is there");
      assert.match(output, /database upgrade: PostgreSQL 15 runs \(before: 13\), [\d.]+ s in all$/m);
      assert.match(
        output,
        /kept in the volume training_bot_db_data; .* remove it with: ssh .* docker volume rm training_bot_db_data$/m,
      );
      await bot.runsNewly();
    });
  });

  describe("on 15", () => {
    beforeEach(() => bot.start15());

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
      assert.equal(await bot.digest(), bot.notes);
    });

    it("does not go back once a visitor may have been served", async () => {
      await bot.sh(`printf 'stage=switching\\nvolume=${NEW}\\n' >${BACKUPS}/.upgrade; ${UPGRADE} recover`);
      await bot.runsNewly();
      // One that was killed between its end and the removal of what it had made.
      await bot.sh(
        `for name in training_bot training_bot_db; do docker create --name "$name"_spare postgres:13; done; ${UPGRADE} recover`,
      );
      await bot.runsNewly();
    });

    it("is finished by a second try when the operator's machine was gone before it could note it @slow", async () => {
      await writeFile(bot.file, bot.first);
      const { output } = await bot.preview();
      assert.match(
        output.replaceAll(/\s+/g, " "),
        /finish an upgrade that was cut off with `\.\/delivery database upgrade 15`/,
      );
      const { exitCode, output: said } = await bot.upgrade("15");
      assert.equal(exitCode, 0, said);
      await bot.runsNewly();
    });

    it("can be left again for the old data, by hand, and then refuses to overwrite the new one @slow", async () => {
      await bot.leave();
      assert.match(await bot.sql("SHOW server_version"), /^13\./);
      assert.equal(await bot.digest(), bot.notes);
      const refused = await bot.sh(`${move(15)} 2>&1 || true`);
      assert.match(
        refused,
        /There is a volume training_bot_db_data_15 with data already, .* docker volume rm training_bot_db_data_15/,
      );
      assert.ok(await unchanged(bot.world.stack));
    });
  });
});
