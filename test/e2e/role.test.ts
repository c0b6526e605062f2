import assert from "node:assert/strict";
import { loadImages } from "../../sandbox/server.ts";
import { assertUnnoticed, HOME } from "./bot-driver.ts";
import { BACKUP, BACKUPS, OWN, RESTORE, RoleDriver } from "./role-driver.ts";
import { createWorld, unchanged, up, type World } from "./world.ts";

describe("the database's role", function () {
  this.timeout(300_000);
  let world: World;
  let bot: RoleDriver;

  before(async () => {
    world = await createWorld("role");
    bot = new RoleDriver(world);
    await up(world);
  });

  after(() => world.close());

  /** Why a statement of the bot's is refused. */
  const refusal = async (statement: string, role = "hockey") => {
    const { status, output } = await bot.attempt(
      `docker exec -i training_bot_db psql -XqAt -v ON_ERROR_STOP=1 -U ${role} -d hockey_db <<'SQL'\n${statement}\nSQL`,
    );
    assert.notEqual(status, 0, `${statement}: ${output}`);
    return output;
  };
  /** A session over the bot's network. */
  const overNetwork = (role: string) =>
    bot.attempt(
      `docker run --rm --network bot_network --env PGPASSWORD='${world.secrets.postgresPassword ?? ""}' --entrypoint psql postgres:13 \
        -h training_bot_db -U ${role} -d hockey_db -Atc 'SELECT current_user'`,
    );

  /** What only a superuser may do, and where a role that owns its database has no business. */
  async function assertOrdinary(): Promise<void> {
    for (const [statement, why] of [
      ["COPY (SELECT 1) TO PROGRAM 'id'", /must be superuser|permission denied/],
      ["SET ROLE postgres", /permission denied to set role "postgres"/],
      ["SET SESSION AUTHORIZATION postgres", /permission denied to set session authorization/],
      ["ALTER SYSTEM SET log_statement = 'all'", /must be superuser|permission denied/],
      ["SELECT rolpassword FROM pg_authid", /permission denied for table pg_authid/],
      ["SELECT pg_read_file('/run/secrets/postgres_password')", /permission denied/],
      ["CREATE ROLE other", /permission denied to create role/],
      ["CREATE DATABASE other", /permission denied to create database/],
      ["ALTER ROLE hockey SUPERUSER", /must be superuser|permission denied/],
      ["CREATE EXTENSION file_fdw", /permission denied to create extension/],
    ] as const)
      assert.match(await refusal(statement), why);
    assert.equal((await overNetwork("hockey")).output, "hockey");
    assert.match(
      (await overNetwork("postgres")).output,
      /password authentication failed for user "postgres"/,
    );
  }

  it("is an ordinary one on a new stack: it owns its database, and only the socket lets the superuser in", async () => {
    await bot.assertOwner();
    await assertOrdinary();
    const migration =
      "CREATE TABLE m (a int); ALTER TABLE m ADD b text; CREATE SCHEMA s; DROP TABLE m; DROP SCHEMA s";
    assert.equal(await bot.sql(migration), "");
  });

  it("gets the extensions of the configuration from the superuser, and keeps what is not listed any more", async () => {
    await bot.configure("database.extensions[0]", "earthdistance");
    await up(world);
    const there = "SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension";
    assert.equal(await bot.sql(there), "cube earthdistance plpgsql");
    await bot.configure("database.extensions[0]", "no_such_thing");
    const { exitCode, output } = await bot.preview();
    assert.notEqual(exitCode, 0);
    assert.match(
      output.replaceAll(/\s+/g, " "),
      /The image postgres:13 has no extension no_such_thing; correct `database\.extensions`, or .* Nothing was changed\./,
    );
    const installed = `sed 's/^extensions=.*/extensions=no_such_thing/' ${HOME}/backups/settings >/tmp/settings`;
    const own = await bot.attempt(`${installed}; ${HOME}/bin/own-database.sh /tmp/settings own`);
    assert.match(own.output, /^The database's image has no extension no_such_thing; /m);
    await bot.configure("database.extensions[0]", "unaccent");
    await up(world);
    assert.equal(await bot.sql(there), "cube earthdistance plpgsql unaccent");
    await bot.sql("CREATE TABLE places (at earth)");
    await bot.sh(BACKUP);
    await bot.sh(`BACKUP=latest ${RESTORE}`);
    assert.equal(await bot.sql(there), "cube earthdistance plpgsql unaccent");
    await bot.sql("DROP TABLE places");
    await bot.assertOwner();
  });

  it("has no password that PostgreSQL logs, whether it is set or that fails", async () => {
    const password = world.secrets.postgresPassword ?? assert.fail();
    const set = `DATABASE_CONTAINER=training_bot_db ROLE=hockey ${HOME}/bin/set-password.sh`;
    const log = () => bot.sh("docker logs training_bot_db 2>&1");
    await bot.admin(
      "ALTER SYSTEM SET log_statement = 'all'; ALTER SYSTEM SET log_min_duration_statement = 0; SELECT pg_reload_conf()",
    );
    await bot.admin("SELECT 'this is logged'");
    await bot.sh(set);
    await bot.sh(`printf %s '${password}' | ${set} -`);
    await bot.admin("ALTER ROLE postgres SET default_transaction_read_only = on");
    const failed = await bot.attempt(set);
    await bot.admin(
      "SET default_transaction_read_only = off; ALTER ROLE postgres RESET ALL; ALTER SYSTEM RESET ALL; SELECT pg_reload_conf()",
    );
    assert.equal(failed.status, 1);
    assert.match(
      failed.output,
      /The password of the role hockey could not be changed; see \.\/delivery logs --db$/,
    );
    const said = await log();
    assert.match(said, /this is logged/);
    assert.match(said, /cannot execute ALTER ROLE in a read-only transaction/);
    assert.ok(!said.includes(password));
  });

  it("gets nothing run by the superuser that backs its database up", async () => {
    const trap = (name: string) => `CREATE FUNCTION public.${name} RETURNS text LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN COPY (SELECT 1) TO PROGRAM 'touch /tmp/trapped'; END IF;
        RETURN pg_catalog.pg_export_snapshot(); END $$;`;
    await bot.sql(`${trap("pg_export_snapshot()")} ${trap("answer()")} CREATE VIEW asked AS SELECT answer() IS NULL AS is_null;
      ALTER DATABASE hockey_db SET search_path = public, pg_catalog`);
    await bot.sh(
      `sed 's/^query=.*/query=SELECT is_null FROM asked/' ${HOME}/backups/settings >/tmp/settings`,
    );
    const trapped = "docker exec training_bot_db ls /tmp/trapped 2>/dev/null || true";
    // The trap works on a superuser that is not careful.
    await bot.admin("SELECT pg_export_snapshot()");
    assert.equal(await bot.sh(trapped), "/tmp/trapped");
    await bot.sh("docker exec training_bot_db rm /tmp/trapped");
    const { output } = await bot.attempt(`${HOME}/bin/backup-db.sh /tmp/settings`);
    assert.equal(await bot.sh(trapped), "");
    assert.match(output, /found the same/);
    await bot.sql(
      "ALTER DATABASE hockey_db RESET search_path; DROP VIEW asked; DROP FUNCTION answer, public.pg_export_snapshot",
    );
  });

  describe("of a stack that an earlier version has made, the superuser itself", () => {
    beforeEach(() => bot.begin());

    it("is exchanged by the next update under load, with objects of every kind, and no visitor notices", async () => {
      await bot.fill();
      await bot.sql("CREATE DATABASE hockey_db_before_20260101_000000 TEMPLATE template0", "postgres");
      await bot.sql("CREATE TABLE kept (a int)", "hockey_db_before_20260101_000000");
      await bot.forget();
      // What cron does in between.
      await bot.sh(BACKUP);
      const started = await bot.startedAt();
      const seen = await bot.during("the exchange of the role", () => up(world));
      assertUnnoticed(seen, { resent: 5 });
      assert.notEqual(await bot.startedAt(), started);
      await bot.assertOwner();
      await bot.assertOwner("hockey_db_before_20260101_000000");
      await assertOrdinary();
      assert.equal(await bot.sql("SELECT count(*) FROM app.t"), "1000");
      assert.equal(await bot.sql("SELECT count(*) FROM hers.t"), "0");
      assert.equal(await bot.sql("UPDATE hers.t SET b = 1; SHOW work_mem"), "8MB");
      const members =
        "SELECT string_agg(roleid::regrole || '<' || member::regrole, ' ' ORDER BY roleid::regrole::text) FROM pg_auth_members WHERE roleid > 16384 OR member > 16384";
      assert.equal(await bot.admin(members), "hockey<reader team<hockey");
      const rights =
        "CREATE TABLE later (a int); SELECT has_table_privilege('reader', 'later', 'SELECT'); DROP TABLE later";
      assert.equal(await bot.sql(rights), "t");
      assert.ok(await unchanged(world.stack));

      await loadImages(world.server, ["postgres:15"]);
      await bot.sh(`cd ${BACKUPS} && ls hockey_db_*.sql.gz | tail -n 1 >/tmp/of-before; ${BACKUP}`);
      // A backup of before the exchange, one of after it, and the next version.
      for (const backup of ["$(cat /tmp/of-before)", "latest"]) {
        await bot.sh(`BACKUP=${backup} ${RESTORE}`);
        await bot.assertOwner();
        assert.equal(await bot.sql("SELECT count(*) FROM app.t"), "1000");
      }
      const upgraded = await bot.operate("database upgrade", "15");
      assert.equal(upgraded.exitCode, 0, upgraded.output);
      await bot.assertOwner();
      await assertOrdinary();
      await bot.sh(BACKUP);
    });

    it("stays, and the bot runs, where the exchange fails: the next one completes it", async () => {
      await bot.sql("CREATE ROLE alice LOGIN; GRANT ALL ON trainings TO alice");
      const locked =
        "until docker exec training_bot_db psql -XqAtU hockey hockey_db -c \"SELECT 1 FROM pg_locks JOIN pg_class c ON c.oid = relation WHERE relname = 'trainings' AND mode = 'AccessShareLock' AND granted\" | grep 1; do sleep 0.1; done";
      await bot.sh(
        `nohup docker exec training_bot_db psql -U alice hockey_db -c 'BEGIN; SELECT count(*) FROM trainings; SELECT pg_sleep(600)' >/dev/null 2>&1 & ${locked}`,
      );
      const { status, output } = await bot.attempt(OWN);
      await bot.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'",
        "postgres",
      );
      assert.equal(status, 1);
      assert.match(output, /canceling statement due to lock timeout/);
      assert.match(
        output,
        /^The role hockey is still PostgreSQL's superuser \(the reason stands above\); nothing was changed/m,
      );
      await assertAsBefore();
      await bot.sh(OWN);
      await bot.assertOwner();
    });

    for (const stage of ["holding", "stopping", "demoting"]) {
      it(`is in order, and the bot runs, where the exchange is killed while ${stage}: the next one completes it`, async () => {
        await bot.attempt(`${OWN} & pid=$!
          until grep -qs stage=${stage} ${BACKUPS}/.demotion || ! kill -0 $pid; do :; done
          kill -KILL $pid; wait $pid
          until [[ ! -e ${BACKUPS}/.demotion ]] || ((SECONDS > 60)); do sleep 0.1; done; flock ${BACKUPS}/.lock true`);
        assert.match(await bot.sh(`tail -n 1 ${BACKUPS}/demotion.log`), /^the bot runs as before$/);
        await assertAsBefore();
        await bot.sh(OWN);
        await bot.assertOwner();
        assert.equal((await bot.health()).status, "ok");
      });
    }

    /** The bot runs and writes, and backups are made. */
    async function assertAsBefore(): Promise<void> {
      assert.equal(await bot.sh("docker inspect -f '{{.State.Running}}' training_bot"), "true");
      assert.equal((await bot.health()).status, "ok");
      await bot.train();
      await bot.sh(BACKUP);
    }
  });
});
