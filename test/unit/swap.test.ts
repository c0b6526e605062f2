import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BOT, isOver, server, swap, withServer } from "./swap-driver.ts";

describe("a swap of the bot's container", function () {
  withServer(this);

  it("keeps a restart from beginning in its midst", async () => {
    await server.lock("hockey/swap/lock");
    const facts = { HOLD_SECONDS: "0", PROBATION_SECONDS: "0" };
    const { status, stderr } = await swap("", facts, "restart-bot.sh");
    assert.equal(status, 1);
    assert.match(stderr, /^A release of the bot does not come to its end on the server; see /);
    assert.deepEqual(server.log(), []);
  });

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

  it("shows and keeps the log of one that has failed without the secrets in it", async () => {
    server.write("hockey/redaction/texts", "123:AAtoken\n");
    await swap("begin");
    await server.put("new", { name: BOT, ended: 2, log: "trying\nGET /bot123:AAtoken/getMe: no route" });
    const { stderr } = await swap("verdict");
    assert.match(stderr, /^trying\nGET \/bot\[secret\]\/getMe: no route$/m);
    assert.match(stderr, /^training_bot ended with status 2: GET \/bot\[secret\]\/getMe: no route\.$/m);
    assert.doesNotMatch(server.read("hockey/swap/verdict"), /AAtoken/);
  });

  it("says why the new one ended, not what it prints when Docker has started it again", async () => {
    await swap("begin");
    await server.put("new", {
      ...{ name: BOT, restarts: 1, ended: 1 },
      ...{ log: "starting\nno such module\n", nextLog: "starting\n" },
    });
    const { stderr } = await swap("verdict");
    assert.match(
      stderr,
      /^starting\nno such module\nWhat ran .*\ntraining_bot ended with status 1: no such module\.$/,
    );
  });

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

  it("has it run again although Docker still makes the new one, for a caller that is gone", async () => {
    await swap("begin", { MAKE_SECONDS: "600" });
    server.write("taken", "");
    await swap("abandon");
    await server.sh(`until grep -qx 'rename old ${BOT}' "$WORLD/log"; do sleep 0.02; done`);
    await server.put("new", { name: BOT });
    await server.sh('rm "$WORLD/taken"');
    await swap("verdict");
    assert.deepEqual([server.named(BOT), server.named(`${BOT}_before`), isOver()], ["old", undefined, true]);
    assert.deepEqual(server.log().slice(-5), ["rm --force new", ...PUT_BACK]);
  });

  it("ends what Docker has forgotten of the new one, which has the address of the old one", async () => {
    await swap("begin", { MAKE_SECONDS: "600" });
    await server.put("new", { name: BOT });
    server.write("containers/new/status", "created");
    server.forget("new");
    await swap("abandon");
    await swap("verdict");
    const [rename, ...others] = PUT_BACK;
    assert.deepEqual(server.log().slice(4), [
      ...["rm --force new", "end what is left of new", rename],
      ...others,
    ]);
  });

  it("starts the old one again although Docker has forgotten that it has done so", async () => {
    await swap("begin", { MAKE_SECONDS: "600" });
    server.forget("old");
    await swap("abandon");
    await swap("verdict");
    assert.deepEqual([server.named(BOT), isOver()], ["old", true]);
    const [rename, start, ...others] = PUT_BACK;
    assert.deepEqual(server.log().slice(4), [
      ...[rename, start, "end what is left of old", start],
      ...others,
    ]);
  });

  it("leaves the old one alone that runs although Docker has not said so", async () => {
    await swap("begin", { MAKE_SECONDS: "600" });
    server.write("lost-answer", "");
    await swap("abandon");
    await swap("verdict");
    assert.deepEqual([server.named(BOT), isOver()], ["old", true]);
    const [rename, start, ...others] = PUT_BACK;
    assert.deepEqual(server.log().slice(4), [rename, start, start, ...others]);
  });

  it("has it run again where the proxy takes no commands", async () => {
    await swap("begin");
    server.write("deaf-proxy", "");
    await server.put("new", { name: BOT, answers: [200, 503] });
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

    it("comes to its end where the old one is gone, too: then another one can begin", async () => {
      await server.sh(`docker rm --force ${BOT}_before`);
      const { status, stderr } = await swap("recover");
      assert.deepEqual([status, isOver()], [0, true], stderr);
      assert.equal((await swap("begin")).status, 0);
      await swap("abandon");
      await swap("verdict");
    });

    it("keeps a new one that proves itself", async () => {
      await server.put("new", { name: BOT, answers: 200 });
      await swap("recover");
      assert.deepEqual([server.named(BOT), isOver()], ["new", true]);
      assert.equal(server.named(`${BOT}_before`), undefined);
    });
  });
});
