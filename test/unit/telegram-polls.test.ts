import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Update } from "../../sandbox/telegram-bot.ts";
import {
  call,
  getUpdates,
  OTHER_TOKEN,
  say,
  telegram,
  texts,
  TOKEN,
  withTelegram,
} from "./telegram-client.ts";

const CONFLICT = {
  ok: false,
  error_code: 409,
  description:
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
};

describe("polls of the fake Telegram Bot API", function () {
  withTelegram(this);

  const results = () => telegram.polls().map(({ result }) => result);
  const waitUntil = async (condition: () => boolean) => {
    const deadline = Date.now() + 1500;
    while (!condition()) {
      assert.ok(Date.now() < deadline, "what was waited for did not come about");
      await sleep(10);
    }
  };
  const longPoll = () => call("getUpdates", { timeout: 30 });

  describe("getUpdates", () => {
    it("keeps updates until they are confirmed", async () => {
      say("one", "two");
      assert.deepEqual(texts(await getUpdates()), ["one", "two"]);
      assert.deepEqual(texts(await getUpdates()), ["one", "two"]);
    });

    it("confirms everything before a positive offset", async () => {
      const [, second = 0] = say("one", "two", "three");
      assert.deepEqual(texts(await getUpdates({ offset: second })), ["two", "three"]);
      assert.deepEqual(texts(await getUpdates()), ["two", "three"]);
      assert.deepEqual(await getUpdates({ offset: second + 2 }), []);
      assert.deepEqual(await getUpdates(), []);
    });

    it("forgets all but the last ones for a negative offset", async () => {
      say("one", "two", "three");
      assert.deepEqual(texts(await getUpdates({ offset: -1 })), ["three"]);
      assert.deepEqual(texts(await getUpdates()), ["three"]);
    });

    it("confirms nothing for an offset far in the future", async () => {
      const [first = 0] = say("one");
      assert.deepEqual(texts(await getUpdates({ offset: first + 1000 })), ["one"]);
    });

    it("hands out no more than limit, and moves a limit out of range into it", async () => {
      say("one", "two");
      assert.deepEqual(texts(await getUpdates({ limit: 1 })), ["one"]);
      assert.deepEqual(texts(await getUpdates({ limit: 0 })), ["one"]);
      say(...Array.from({ length: 120 }, (_, i) => `more ${i}`));
      assert.equal((await getUpdates({ limit: 1000 })).length, 100);
    });

    it("takes allowed_updates", async () => {
      say("one");
      assert.deepEqual(texts(await getUpdates({ allowed_updates: ["message"] })), ["one"]);
    });

    it("answers at once without a timeout", async () => {
      const start = Date.now();
      assert.deepEqual(await getUpdates(), []);
      assert.ok(Date.now() - start < 500);
    });

    it("waits for the timeout and is then empty", async () => {
      const start = Date.now();
      assert.deepEqual(await getUpdates({ timeout: 1 }), []);
      assert.ok(Date.now() - start >= 990);
      assert.deepEqual(results(), ["empty"]);
    });

    it("ends a long poll as soon as an update arrives", async () => {
      const answer = longPoll();
      await waitUntil(() => telegram.polls().length === 1);
      say("now");
      assert.deepEqual(texts((await answer).result as Update[]), ["now"]);
      assert.deepEqual(results(), ["updates"]);
    });

    it("keeps the queues of two bots apart", async () => {
      say("one");
      assert.deepEqual((await call("getUpdates", {}, OTHER_TOKEN)).result, []);
    });
  });

  describe("two pollers", () => {
    it("the new poll ends the pending one with 409", async () => {
      const first = longPoll();
      await waitUntil(() => telegram.polls().length === 1);
      const second = longPoll();
      assert.deepEqual(await first, CONFLICT);
      assert.deepEqual(results(), ["conflict", "pending"]);
      say("for the second");
      assert.deepEqual(texts((await second).result as Update[]), ["for the second"]);
      assert.equal(telegram.overlaps(TOKEN), 1);
    });

    it("a short poll ends the pending one too", async () => {
      const first = longPoll();
      await waitUntil(() => telegram.polls().length === 1);
      assert.deepEqual(await getUpdates(), []);
      assert.deepEqual(await first, CONFLICT);
    });

    it("polls one after the other do not overlap", async () => {
      await getUpdates();
      await getUpdates({ timeout: 1 });
      await getUpdates();
      assert.equal(telegram.overlaps(), 0);
    });

    it("polls of different tokens do not overlap", async () => {
      const first = longPoll();
      await waitUntil(() => telegram.polls().length === 1);
      await call("getUpdates", {}, OTHER_TOKEN);
      assert.equal(telegram.overlaps(), 0);
      say("end");
      await first;
    });

    it("a poll whose client has gone is no longer pending", async () => {
      const client = new AbortController();
      const url = `${telegram.url}/bot${TOKEN}/getUpdates?timeout=30`;
      const gone = fetch(url, { signal: client.signal }).catch(() => "gone");
      await waitUntil(() => telegram.polls().length === 1);
      client.abort();
      assert.equal(await gone, "gone");
      await waitUntil(() => results()[0] === "disconnected");
      say("kept");
      assert.deepEqual(texts(await getUpdates()), ["kept"]);
      assert.equal(telegram.overlaps(), 0);
    });

    it("a bot that ends its poll and asks once more at once is one poller", async () => {
      const request = (timeout: number) =>
        `GET /bot${TOKEN}/getUpdates?timeout=${timeout} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n`;
      const address = `/dev/tcp/127.0.0.1/${telegram.port}`;
      const script = `exec 3<>${address} 4<>${address}; printf '${request(30)}' >&3; read -r;
        exec 3>&-; printf '${request(0)}' >&4; read -r <&4`;
      const bot = spawn("bash", ["-c", script], { stdio: ["pipe", "inherit", "inherit"] });
      await waitUntil(() => telegram.polls().length === 1);
      bot.stdin.write("now\n");
      // On a busy machine both come to the server in the same moment.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      await waitUntil(() => telegram.polls().length === 2);
      assert.deepEqual(results(), ["disconnected", "empty"]);
    });
  });
});
