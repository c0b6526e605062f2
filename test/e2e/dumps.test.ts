import assert from "node:assert/strict";
import { BACKUPS, bot, restore, RESTORE_DB, withBackups } from "./backup-driver.ts";
import { HOME, SETTINGS } from "./bot-driver.ts";

describe("a restore of what is not its own", function () {
  withBackups(this, "dumps");

  describe("a dump of one's own, of another server", () => {
    const own = "hockey_db_2021-02-03_040506.sql.gz";
    /** Dumps the database as its role, edits the text with sed, and puts it among the backups. */
    const dump = (edit: string) =>
      bot.sh(
        `docker exec training_bot_db pg_dump -U hockey hockey_db | sed '${edit}' | gzip >${BACKUPS}/${own}`,
      );
    const TEXT = "ALTER TABLE public.games OWNER TO bot;";
    const FOREIGN =
      "s/OWNER TO hockey;/OWNER TO bot;/; /dump complete/i GRANT SELECT ON TABLE public.games TO reader;";

    afterEach(() => bot.sh(`rm -f ${BACKUPS}/${own}; ${RESTORE_DB} drop-old --yes`));

    it("is restored, and what belongs to roles that are not here becomes the bot's", async () => {
      await bot.sql(`UPDATE games SET note = E'x\n${TEXT}\n' WHERE id = 7`);
      await dump(FOREIGN);
      await bot.sql("DELETE FROM games");
      const { status, output } = await bot.attempt(`${restore(own)} --yes --no-safety-dump`);
      assert.equal(status, 0, output);
      assert.equal(await bot.sql("SELECT count(*) FROM games"), "500");
      assert.equal(await bot.sql("SELECT note FROM games WHERE id = 7"), `x\n${TEXT}\n`);
      assert.equal(
        await bot.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"),
        "hockey",
      );
      await bot.train();
    });

    it("is refused with a remedy where it cannot do without a role that is not here", async () => {
      await dump("/dump complete/i CREATE POLICY mine ON public.games TO bot USING (true);");
      const { exitCode, output } = await bot.operate("restore", own, "--yes");
      assert.equal(exitCode, 1);
      assert.match(
        output,
        /^error: The backup \S+ cannot be restored \(role "bot" does not exist; make the dump without roles that are not here: pg_dump --no-owner --no-privileges\)\. What was there is back\.$/m,
      );
    });
  });

  describe("of a backup that is not what it says", () => {
    let good: string;

    before(async () => {
      await bot.fill();
      good = (await bot.backup()).file;
    });

    const header = "-- PostgreSQL database dump\\n-- Dumped from database version";
    const trailer = "CREATE TABLE other_things (id int);\\n-- PostgreSQL database dump complete";
    const BAD: [what: string, make: string, reason: RegExp][] = [
      ["truncated by one byte", "head -c -1 GOOD >BAD", /is damaged: gzip cannot read it to its end/],
      ["cut in half", "head -c $(($(stat -c %s GOOD) / 2)) GOOD >BAD", /is damaged/],
      ["with one bit flipped", "perl -0777 -pe 'substr($_, 2000, 1) ^= chr(1)' GOOD >BAD", /is damaged/],
      [
        "with one bit flipped and a checksum",
        "perl -0777 -pe 'substr($_, 2000, 1) ^= chr(1)' GOOD >BAD; sed s/GOOD/BAD/ GOOD.sha256 >BAD.sha256",
        /is not what was written \(its checksum differs/,
      ],
      [
        "half a dump in a perfect archive",
        "zcat GOOD | head -n 60 | gzip >BAD",
        /is not complete: pg_dump did not/,
      ],
      ["of an empty dump", "gzip </dev/null >BAD", /is not a dump by pg_dump/],
      [
        "without a table",
        `printf -- '${header} 13.1\\n-- PostgreSQL database dump complete\\n' | gzip >BAD`,
        /is empty: it has no tables/,
      ],
      [
        "of another database",
        "zcat GOOD | sed '1s/hockey_db/chess_db/' | gzip >BAD",
        /is of the database chess_db, not/,
      ],
      [
        "of other tables",
        `printf -- '${header} 13.1\\n${trailer}\\n' | gzip >BAD`,
        /no table in common with hockey_db/,
      ],
      [
        "of a newer PostgreSQL",
        `printf -- '${header} 99.1\\n${trailer}\\n' | gzip >BAD`,
        /is from PostgreSQL 99 and the server runs 13/,
      ],
      [
        "that goes elsewhere",
        `printf -- '${header} 13.1\\n\\\\connect hockey_db\\n${trailer}\\n' | gzip >BAD`,
        /goes to a database of its own choice; make the dump without --create/,
      ],
      ["with faulty SQL", "zcat GOOD | sed 's/^CREATE VIEW/CREATE WIEV/' | gzip >BAD", /cannot be restored/],
    ];
    for (const [what, make, reason] of BAD) {
      it(`refuses a backup ${what} and touches nothing`, async () => {
        const bad = "hockey_db_2021-01-01_000000.sql.gz";
        await bot.sh(`cd ${BACKUPS}; ${make.replaceAll("GOOD", good).replaceAll("BAD", bad)}`);
        const state = "docker inspect -f '{{.State.StartedAt}}' training_bot; ls -a " + BACKUPS;
        const before = await bot.sh(state);
        const there = await bot.players();
        const { status, output } = await bot.attempt(`${restore(bad)} --yes --no-safety-dump`);
        const after = (await bot.sh(state)).replace("\nrestore.log", "");
        await bot.sh(`rm -f ${BACKUPS}/${bad}*`);
        assert.equal(status, 1, output);
        assert.match(output, reason);
        assert.equal(after, before.replace("\nrestore.log", ""));
        assert.equal(await bot.players(), there);
        assert.equal(await bot.besides(), "0");
      });
    }
  });

  it("touches no other database, however long the name of the live one is", async () => {
    const long = "a".repeat(63);
    await bot.admin(`CREATE DATABASE ${long} OWNER hockey`, "postgres");
    await bot.admin("CREATE DATABASE hockey_db_before_mine", "postgres");
    await bot.sql("CREATE TABLE games AS SELECT 7 AS id", long);
    const script = (name: string) => `${HOME}/bin/${name} /tmp/long`;
    await bot.sh(`sed 's/^database=.*/database=${long}/' ${SETTINGS} >/tmp/long; ${script("backup-db.sh")}`);
    await bot.sql("UPDATE games SET id = 8", long);
    await bot.sh(`BACKUP=latest ${script("restore-db.sh")} restore --yes`);
    assert.equal(await bot.sql("SELECT id FROM games", long), "7");
    const old = await bot.sh(`${script("restore-db.sh")} list-old`);
    assert.match(old, /^a{40}_before_\d{8}_\d{6}$/);
    assert.equal(await bot.sql("SELECT id FROM games", old), "8");
    await bot.sh(`${script("restore-db.sh")} drop-old --yes; ${RESTORE_DB} drop-old --yes; rm ${BACKUPS}/a*`);
    await bot.admin("DROP DATABASE hockey_db_before_mine", "postgres");
    await bot.admin(`DROP DATABASE ${long}`, "postgres");
  });
});
