import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { factsByName } from "../../infra/model/server-settings.ts";
import { FakeServer } from "./fake-docker.ts";
import { rawConfig, settings } from "./fixtures.ts";

const BOT = "training_bot";

describe("a swap of the bot's container", function () {
  this.timeout(30_000);
  let server: FakeServer;

  beforeEach(async () => {
    server = new FakeServer();
    await server.put("old", { name: BOT, answers: 200 });
    server.write("hockey/secrets/postgres_password", "secret");
    server.write("hockey/swap/password", createHash("sha256").update("secret").digest("hex"));
  });
  afterEach(() => {
    server.close();
  });

  /** Calls swap-bot.sh with the facts of a stack on this server, and short times. */
  function swap(action: string, facts: Record<string, string> = {}) {
    const { server: raw } = rawConfig() as { server: object };
    const [deployPath, backupPath] = ["hockey", "backups"].map((part) => join(server.directory, part));
    const stack = settings({ server: { ...raw, deployPath, backupPath } });
    return server.sh(`"$WORLD/scripts/swap-bot.sh" ${action}`, {
      ...factsByName(stack),
      ...{ PAGE: `${server.port}/health`, START_SECONDS: "2", MAKE_SECONDS: "2", PROBATION_SECONDS: "1" },
      ...{ SETTINGS: "", CONTAINER_ID: "new", ...facts },
    });
  }

  const isOver = () => !existsSync(join(server.directory, "hockey/swap/journal"));
  const BEGUN = [`rm --force ${BOT}_before`, "hold", "stop --time 15 old", `rename old ${BOT}_before`];
  const PUT_BACK = [`rename old ${BOT}`, "start old", "open", `rm --force ${BOT}_before`];

  it("begins when requests are held: the old one stops and is kept under another name", async () => {
    const { status, stderr } = await swap("begin");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.deepEqual(server.log().slice(0, 4), BEGUN);
    assert.equal(server.named(`${BOT}_before`), "old");
    assert.equal(isOver(), false);
    await swap("abandon");
    await swap("verdict");
  });

  it("lets requests in with the first good answer, watches on, and removes the old one", async () => {
    await swap("begin");
    await server.put("new", { name: BOT, answers: 200 });
    const { status, stderr } = await swap("verdict");
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^requests were held for \d+\.\d\d s$/);
    assert.deepEqual(server.log().slice(4), [
      "open",
      `update --pids-limit 256 ${BOT}`,
      `rm --force ${BOT}_before`,
    ]);
    assert.deepEqual([server.named(BOT), isOver()], ["new", true]);
  });

  it("does not watch an image with an environment that has been watched before", async () => {
    const mark = createHash("sha256").update("image of new\n").digest("hex");
    server.write("hockey/proven", `${mark}\n`);
    // The test may not take as long as this probation.
    await swap("begin", { PROBATION_SECONDS: "600" });
    await server.put("new", { name: BOT, answers: 200 });
    const { status } = await swap("verdict");
    assert.equal(status, 0);
  });

  it("is remembered as watched only after the probation", async () => {
    await swap("begin");
    await server.put("new", { name: BOT, answers: 200 });
    await swap("verdict");
    assert.match(server.read("hockey/proven"), /^[0-9a-f]{64}\n$/);
  });

  for (const [what, container, reason] of [
    ["ends", { ended: 3, log: "starting\nno such module" }, "ended with status 3: no such module"],
    ["runs out of memory", { ended: 137, outOfMemory: true }, "ran out of memory"],
    ["ends well, which it must not", { ended: 0 }, "does not stay up"],
    ["was started again by Docker", { restarts: 1 }, "does not stay up"],
    ["answers wrongly", { answers: 500, log: "no table" }, "answers 500 at /health, not 200"],
    ["does not answer", {}, "does not answer at port \\d+ after 2 s \\(app\\.startSeconds\\)"],
  ] as const) {
    it(`has the old one run again where the new one ${what}, and says why`, async () => {
      await swap("begin");
      await server.put("new", { name: BOT, ...container });
      const { status, stderr } = await swap("verdict");
      assert.equal(status, 1);
      assert.match(stderr, new RegExp(`(^|\n)What ran before runs again\\.\n${BOT} ${reason}\\.$`));
      if ("log" in container) assert.ok(stderr.startsWith(container.log));
      const last = "answers" in container && !("ended" in container) ? ["stop --time 2 new"] : [];
      assert.deepEqual(server.log().slice(4), [...last, "rm --force new", ...PUT_BACK]);
      assert.deepEqual([server.named(BOT), isOver()], ["old", true]);
    });
  }

  it("is not abandoned where there is none", async () => {
    assert.equal((await swap("abandon")).status, 0);
    assert.equal(existsSync(join(server.directory, "hockey/swap/abandoned")), false);
  });

  it("has the old one run again where the new one ends after all, and holds new requests for it", async () => {
    await swap("begin", { PROBATION_SECONDS: "600" });
    await server.put("new", { name: BOT, answers: 200, endsLater: true });
    const { status, stderr } = await swap("verdict");
    assert.equal(status, 1);
    assert.match(stderr, /\ntraining_bot does not stay up, \d+ s after its first good answer\.$/);
    assert.deepEqual(server.log().slice(4), [
      ...["open", `update --pids-limit 256 ${BOT}`],
      ...["hold again", "rm --force new", ...PUT_BACK],
    ]);
    assert.ok(!existsSync(join(server.directory, "hockey/proven")));
  });

  it("says how long the new one was well", async () => {
    await swap("begin", { PROBATION_SECONDS: "2" });
    await server.put("new", { name: BOT, answers: [200, 503] });
    const { stderr } = await swap("verdict");
    assert.match(
      stderr,
      /\ntraining_bot does not answer well any more at \/health, 1 s after its first good answer\.$/,
    );
  });

  it("has the old one run again where the new one does not come in time", async () => {
    await swap("begin");
    const { status, stderr } = await swap("verdict");
    assert.equal(status, 1);
    assert.match(stderr, /^The container training_bot that the stack has made is not on the server any more/);
    assert.deepEqual(server.log().slice(4), PUT_BACK);
  });

  it("has it run again at once where Pulumi could not make the new one", async () => {
    await swap("begin", { MAKE_SECONDS: "600" });
    await swap("abandon");
    await swap("verdict");
    assert.deepEqual([server.named(BOT), isOver()], ["old", true]);
  });

  it("leaves the first bot of a stack as it is, to be looked at", async () => {
    await server.sh("docker rm --force old");
    await swap("begin");
    await server.put("new", { name: BOT, ended: 3, log: "no token" });
    const { status, stderr } = await swap("verdict");
    assert.equal(status, 1);
    assert.equal(stderr, "no token\ntraining_bot ended with status 3: no token.");
    assert.equal(server.named(BOT), "new");
  });

  it("does not give a good bot up where the proxy cannot let requests in: the gate opens by itself", async () => {
    server.write("no-proxy", "");
    await swap("begin");
    await server.put("new", { name: BOT, answers: 200 });
    const { status } = await swap("verdict");
    assert.equal(status, 0);
  });

  describe("and the database", () => {
    const said = () => server.read("psql");
    const NEW_PASSWORD =
      "\\set password `cat \"$POSTGRES_PASSWORD_FILE\"`\nALTER ROLE CURRENT_USER PASSWORD :'password';\n";

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
      const back = "\\set password 'old \\\\ \"one\"'\nALTER ROLE CURRENT_USER PASSWORD :'password';\n";
      assert.equal(said(), NEW_PASSWORD + back);
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
        assert.match(
          stderr,
          /^The database is being restored or upgraded, and the bot stands still for it; /,
        );
        server.write(journal, "stage=checking\n");
      }
      assert.deepEqual(server.log(), []);
    });

    it("leaves everything to an upgrade that has Pulumi switch the containers", async () => {
      server.write("backups/.upgrade", "stage=switching\nvolume=v17\n");
      const { status } = await swap("begin");
      assert.equal(status, 0);
      assert.deepEqual([server.log(), isOver()], [[`rm --force ${BOT}`], true]);
      await server.put("new", { name: BOT, answers: 200 });
      assert.equal((await swap("verdict")).status, 0);
      assert.deepEqual(server.log().slice(1), [`update --pids-limit 256 ${BOT}`]);
    });
  });

  it("has no verdict where there was none: the bot is asked", async () => {
    assert.equal((await swap("verdict", { CONTAINER_ID: "old" })).status, 0);
    const other = await swap("verdict", { CONTAINER_ID: "another" });
    assert.match(
      other.stderr,
      /^The container training_bot that the stack has made is not on the server any more/,
    );
    await server.put("old", { name: BOT, ended: 3, log: "no such module" });
    const { status, stderr } = await swap("verdict", { CONTAINER_ID: "old" });
    assert.equal(status, 1);
    assert.match(stderr, /^no such module\nThe container training_bot ended with status 3; /);
  });

  it("leaves nothing where the stack is removed", async () => {
    await swap("remove");
    assert.deepEqual(server.log(), [`stop --time 15 ${BOT}`, `rm --force ${BOT} ${BOT}_before`]);
    assert.ok(!existsSync(join(server.directory, "hockey/swap")));
  });

  it("is one at a time", async () => {
    await swap("begin", { MAKE_SECONDS: "600" });
    const { status, stderr } = await swap("begin", { HOLD_SECONDS: "0" });
    assert.equal(status, 1);
    assert.match(stderr, /^Another swap of training_bot does not come to its end on the server; see /);
    await swap("abandon");
    await swap("verdict");
  });

  describe("whose guard was killed", () => {
    beforeEach(async () => {
      await swap("begin", { MAKE_SECONDS: "600" });
      process.kill(server.processOf("swap-bot.sh guard") ?? assert.fail(), "SIGKILL");
      // A command that the guard had begun still has its lock.
      await server.sh('flock "$WORLD/hockey/swap/lock" true');
    });

    it("has the old one run again where there is no new one yet", async () => {
      const { status } = await swap("recover", { MAKE_SECONDS: "2" });
      assert.equal(status, 0);
      assert.deepEqual([server.named(BOT), isOver()], ["old", true]);
    });

    it("keeps a new one that proves itself", async () => {
      await server.put("new", { name: BOT, answers: 200 });
      await swap("recover");
      assert.deepEqual([server.named(BOT), isOver()], ["new", true]);
      assert.equal(server.named(`${BOT}_before`), undefined);
    });
  });
});
