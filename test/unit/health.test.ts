import assert from "node:assert/strict";
import { FakeServer } from "./fake-docker.ts";

describe("a wait for a container on the server", function () {
  this.timeout(30_000);
  let server: FakeServer;

  beforeEach(() => {
    server = new FakeServer();
  });
  afterEach(() => {
    server.close();
  });

  /** What a line of bash prints where the library of the waits is loaded. */
  async function sh(script: string): Promise<string> {
    const head = `set -euo pipefail
      for part in common gate redact health; do source lib/$part.sh; done
      BOT=bot PROXY=proxy DATABASE_CONTAINER=db ROLE=me DATABASE=db CONTAINER_PIDS=9 PAGE=${server.port}/health
      START_SECONDS=1 READY_SECONDS=1 SECRET_TEXTS="$WORLD/texts"
    `;
    const { stdout, stderr } = await server.sh(head + script);
    return [stdout, stderr].filter(Boolean).join("\n");
  }

  const awaitGood = (seconds = 1) => sh(`await_good bot ${seconds} && echo well || echo "$fault"`);

  describe("for the bot", () => {
    it("ends with its first good answer, also where Docker had to start it again long ago", async () => {
      await server.put("1", { name: "bot", answers: 200, restarts: 2 });
      assert.equal(await awaitGood(), "well");
    });

    it("ends at once where there is no such container", async () => {
      assert.equal(await awaitGood(600), "is gone");
    });

    it("ends at once where its process has ended", async () => {
      await server.put("1", { name: "bot", ended: 2 });
      assert.equal(await awaitGood(600), "ended with status 2");
    });

    it("goes on while Docker itself is away", async () => {
      await server.put("1", { name: "bot", answers: 200 });
      server.write("away", "3");
      assert.equal(await awaitGood(), "well");
      assert.equal(server.read("away"), "0\n");
    });

    it("ends sooner with wrong answers than without any", async () => {
      await server.put("1", { name: "bot", answers: 302 });
      const began = performance.now();
      assert.equal(await awaitGood(2), "answers 302 at /health, not 200");
      assert.ok(performance.now() - began < 2000);
    });

    it("asks for the page that the stack names", async () => {
      await server.put("1", { name: "bot", answers: 200 });
      await sh(`probe 127.0.0.2 "${server.port}/deep/health"`);
      assert.deepEqual(server.asked(), ["/deep/health"]);
    });
  });

  describe("for the probation", () => {
    const staysGood = (seconds: number) =>
      sh(`await_good bot 1 && stays_good bot ${seconds} && echo well || echo "$fault"`);

    it("ends well after its time", async () => {
      await server.put("1", { name: "bot", answers: 200 });
      assert.equal(await staysGood(1), "well");
    });

    it("ends where the bot has answered badly for half of it", async () => {
      await server.put("1", { name: "bot", answers: [200, 503] });
      assert.equal(await staysGood(1), "does not answer well any more at /health");
    });
  });

  describe("for the bot and the gate", () => {
    it("lets requests in, limits its processes and is silent", async () => {
      await server.put("1", { name: "bot", answers: 200 });
      await server.put("2", { name: "proxy" });
      assert.equal(await sh("await_bot"), "");
      assert.deepEqual(server.log(), ["open", "update --pids-limit 9 bot"]);
    });

    it("needs no gate where no proxy runs", async () => {
      await server.put("1", { name: "bot", answers: 200 });
      assert.equal(await sh("await_bot"), "");
      assert.deepEqual(server.log(), ["update --pids-limit 9 bot"]);
    });

    it("says why in a sentence, after the last lines of the log without a secret", async () => {
      await server.put("1", { name: "bot", ended: 2, log: "no table for 123:AAtoken" });
      server.write("texts", "123:AAtoken\n");
      assert.match(
        await sh("await_bot"),
        /^no table for \[secret\]\nThe container bot ended with status 2; its last log lines stand /,
      );
    });
  });

  describe("for PostgreSQL", () => {
    it("ends when it accepts connections", async () => {
      await server.put("1", { name: "db" });
      server.write("ready", "");
      assert.equal(await sh("await_database"), "");
      assert.deepEqual(server.log(), ["update --pids-limit 9 db"]);
    });

    for (const [what, container, sentence] of [
      ["is gone", undefined, /^The container db is gone; put it back with: \.\/delivery deploy$/],
      ["has ended", { ended: 1, log: "no space" }, /^no space\nThe container db ended with status 1; /],
      ["had to be started again", { restarts: 1 }, /^The container db does not stay up; /],
      ["does not accept any", {}, /^The container db does not accept connections after 1 s; /],
    ] as const) {
      it(`fails where it ${what}`, async () => {
        if (container) await server.put("1", { name: "db", ...container });
        assert.match(await sh("await_database"), sentence);
      });
    }
  });
});
