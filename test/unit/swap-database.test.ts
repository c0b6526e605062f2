import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { BOT, isOver, server, swap, withServer } from "./swap-driver.ts";

describe("a swap of the bot's container and the database", function () {
  withServer(this);

  const said = () => server.read("psql");
  /** Statements of which nothing gets into PostgreSQL's log, with what reads the password in between. */
  const alter = (read: string) =>
    [
      ...["SET log_min_error_statement = panic;", "SET log_statement = none;"],
      ...["SET log_min_duration_statement = -1;", "SET log_min_duration_sample = -1;"],
      ...["SET log_transaction_sample_rate = 0;", read, "ALTER ROLE :\"role\" PASSWORD :'password';\n"],
    ].join("\n");
  const NEW_PASSWORD = alter('\\set password `cat "$POSTGRES_PASSWORD_FILE"`');

  beforeEach(() => {
    server.write("psql", "");
  });

  it("changes no password that is the same", async () => {
    await swap("begin");
    await swap("abandon");
    await swap("verdict");
    assert.equal(said(), "");
  });

  it("sets a new password while no bot runs, and the one that the old bot knows before that runs again", async () => {
    server.write("hockey/secrets/postgres_password", "another secret");
    await swap("begin");
    assert.equal(said(), NEW_PASSWORD);
    await swap("abandon");
    await swap("verdict");
    assert.equal(said(), NEW_PASSWORD + alter("\\set password 'old \\\\ \"one\"'"));
  });

  it("sets the new one again in the next swap after that", async () => {
    server.write("hockey/secrets/postgres_password", "another secret");
    for (let swaps = 0; swaps < 2; swaps += 1) {
      server.write("psql", "");
      await swap("begin");
      assert.equal(said(), NEW_PASSWORD);
      await swap("abandon");
      await swap("verdict");
    }
  });

  it("does not begin while the database is being restored or upgraded, which the bot would write to", async () => {
    for (const journal of ["backups/.restore", "backups/.upgrade"]) {
      server.write(journal, "stage=stopping\n");
      const { status, stderr } = await swap("begin");
      assert.equal(status, 1);
      assert.match(stderr, /^The database is being restored or upgraded, and the bot stands still for it; /);
      server.write(journal, "stage=checking\n");
    }
    assert.deepEqual(server.log(), []);
  });

  it("does not begin either where the bot's standstill has begun while it waited for an earlier swap", async () => {
    const earlier = await server.lock("hockey/swap/lock");
    const begun = swap("begin");
    while (server.processOf("swap-bot.sh guard") === undefined) await sleep(20);
    server.write("backups/.restore", "stage=holding\n");
    earlier.kill();
    const { status, stderr } = await begun;
    assert.equal(status, 1);
    assert.match(stderr, /^The database is being restored or upgraded, and the bot stands still for it; /);
    assert.deepEqual([server.log(), isOver()], [[], true]);
  });

  it("leaves everything to an upgrade that has Pulumi switch the containers, and keeps the bot for its way back", async () => {
    server.write("backups/.upgrade", "stage=switching\nvolume=v17\n");
    const { status } = await swap("begin");
    assert.equal(status, 0);
    assert.deepEqual([server.log(), isOver()], [[`rename ${BOT} ${BOT}_spare`], true]);
    await server.put("new", { name: BOT, answers: 200 });
    assert.equal((await swap("verdict")).status, 0);
    assert.deepEqual(server.log().slice(1), [`update --pids-limit 256 ${BOT}`]);
    // Pulumi's second try.
    assert.equal((await swap("begin")).status, 0);
    assert.deepEqual(server.log().slice(2), [`rm --force ${BOT}`]);
    assert.equal(server.named(`${BOT}_spare`), "old");
  });
});
