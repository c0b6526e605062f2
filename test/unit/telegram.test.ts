import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

import type { Update } from "../../sandbox/telegram-bot.ts";
import { DEFAULT_TOKEN, startTelegram, type FakeTelegram } from "../../sandbox/telegram.ts";
import { settings } from "./fixtures.ts";

// What the Bot API promises of the objects that the fake hands out: the fields that are not optional, and those of the
// optional ones that it uses. Extract of api.json in https://github.com/PaulSonOfLars/telegram-bot-api-spec.
const user = z.strictObject({
  id: z.int(),
  is_bot: z.boolean(),
  first_name: z.string(),
  username: z.string().optional(),
  can_join_groups: z.boolean().optional(),
  can_read_all_group_messages: z.boolean().optional(),
  supports_inline_queries: z.boolean().optional(),
});
const chat = z.strictObject({
  id: z.int(),
  type: z.enum(["private", "group", "supergroup", "channel"]),
});
const message = z.strictObject({
  message_id: z.int(),
  from: user.optional(),
  chat,
  date: z.int(),
  text: z.string().min(1).max(4096).optional(),
});
const update = z.strictObject({ update_id: z.int(), message: message.optional() });
const webhookInfo = z.strictObject({
  url: z.string(),
  has_custom_certificate: z.boolean(),
  pending_update_count: z.int(),
});

const TOKEN = "4242:first";
const OTHER_TOKEN = "4343:second";
const CONFLICT = {
  ok: false,
  error_code: 409,
  description:
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
};

interface Answer {
  ok: boolean;
  result?: unknown;
  error_code?: number;
  description?: string;
}

describe("fake Telegram Bot API", () => {
  let telegram: FakeTelegram;

  beforeEach(async () => {
    telegram = await startTelegram({ tokens: [TOKEN, OTHER_TOKEN] });
  });

  afterEach(() => telegram.close());

  const call = async (method: string, parameters: object = {}, token = TOKEN): Promise<Answer> => {
    const response = await fetch(`${telegram.url}/bot${token}/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(parameters),
    });
    const answer = (await response.json()) as Answer;
    assert.equal(response.status, answer.ok ? 200 : answer.error_code);
    return answer;
  };
  const getUpdates = async (parameters: object = {}) =>
    (await call("getUpdates", parameters)).result as Update[];
  const texts = (updates: Update[]) => updates.map((update) => update.message.text);
  const say = (...words: string[]) =>
    words.map((text) => telegram.sendAsUser({ text, token: TOKEN }).update_id);
  const results = () => telegram.polls().map(({ result }) => result);
  const waitUntil = async (condition: () => boolean) => {
    const deadline = Date.now() + 1500;
    while (!condition()) {
      assert.ok(Date.now() < deadline, "what was waited for did not come about");
      await sleep(10);
    }
  };
  const longPoll = () => call("getUpdates", { timeout: 30 });

  describe("answers as described", () => {
    it("getMe is a User with the id that the token begins with", async () => {
      const { result } = await call("getMe");
      assert.equal(user.parse(result).id, 4242);
      assert.equal(user.parse(result).is_bot, true);
    });

    it("getUpdates are Updates with a Message of a user", async () => {
      telegram.sendAsUser({ text: "hi", token: TOKEN, chat_id: 7 });
      const [first] = z.array(update).parse(await getUpdates());
      assert.equal(first?.message?.text, "hi");
      assert.equal(first.message.chat.id, 7);
      assert.equal(first.message.from?.is_bot, false);
    });

    it("sendMessage is the Message sent, from the bot", async () => {
      const { result } = await call("sendMessage", { chat_id: 7, text: "hello" });
      const sent = message.parse(result);
      assert.equal(sent.text, "hello");
      assert.equal(sent.from?.id, 4242);
      assert.deepEqual(telegram.sent(TOKEN), [{ ...sent, token: TOKEN }]);
    });

    it("getWebhookInfo counts what is pending", async () => {
      say("one", "two");
      assert.equal(webhookInfo.parse((await call("getWebhookInfo")).result).pending_update_count, 2);
    });
  });

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

  describe("errors", () => {
    it("an unknown token is 401", async () => {
      const expected = { ok: false, error_code: 401, description: "Unauthorized" };
      assert.deepEqual(await call("getMe", {}, "1:unknown"), expected);
    });

    it("an unknown method is 404", async () => {
      assert.equal((await call("sendSticker")).error_code, 404);
    });

    it("a path that is not the API is 404", async () => {
      assert.equal((await fetch(`${telegram.url}/elsewhere`)).status, 404);
    });

    const refusals: [string, object, string][] = [
      ["no text", { chat_id: 7 }, "Bad Request: message text is empty"],
      ["a blank text", { chat_id: 7, text: " \n" }, "Bad Request: message text is empty"],
      ["a text too long", { chat_id: 7, text: "x".repeat(4097) }, "Bad Request: message is too long"],
      ["no chat_id", { text: "hi" }, "Bad Request: chat_id is empty"],
      ["a chat_id that is none", { chat_id: "me", text: "hi" }, "Bad Request: chat not found"],
    ];
    for (const [what, parameters, description] of refusals) {
      it(`sendMessage refuses ${what}`, async () => {
        assert.deepEqual(await call("sendMessage", parameters), { ok: false, error_code: 400, description });
        assert.deepEqual(telegram.sent(), []);
      });
    }

    it("a body that cannot be read is 400", async () => {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${telegram.url}/bot${TOKEN}/getMe`, {
        method: "POST",
        headers,
        body: "{",
      });
      assert.equal(response.status, 400);
    });
  });

  describe("ways to pass parameters", () => {
    const send = async (init: RequestInit, query = "") => {
      await fetch(`${telegram.url}/bot${TOKEN}/sendMessage${query}`, init);
      return telegram.sent().map(({ chat, text }) => [chat.id, text]);
    };
    const form = () => {
      const data = new FormData();
      data.set("chat_id", "7");
      data.set("text", "größer & 1+1");
      return data;
    };

    it("the query", async () => {
      assert.deepEqual(await send({}, "?chat_id=7&text=gr%C3%B6%C3%9Fer+%26+1%2B1"), [[7, "größer & 1+1"]]);
    });

    it("a form", async () => {
      const body = new URLSearchParams({ chat_id: "7", text: "größer & 1+1" });
      assert.deepEqual(await send({ method: "POST", body }), [[7, "größer & 1+1"]]);
    });

    it("a multipart form", async () => {
      assert.deepEqual(await send({ method: "POST", body: form() }), [[7, "größer & 1+1"]]);
    });

    it("methods in any case", async () => {
      assert.equal((await call("GETME")).ok, true);
    });
  });

  it("deleteWebhook keeps what is pending unless told to drop it", async () => {
    say("one");
    assert.equal((await call("deleteWebhook")).result, true);
    assert.equal((await getUpdates()).length, 1);
    assert.equal((await call("deleteWebhook", { drop_pending_updates: true })).result, true);
    assert.deepEqual(await getUpdates(), []);
  });

  describe("control by HTTP", () => {
    const control = async (path: string, body?: object) => {
      const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
      const response = await fetch(`${telegram.url}/_control/${path}`, {
        ...init,
        headers: { "content-type": "application/json" },
      });
      return { status: response.status, body: await response.json() };
    };

    it("queues a message, and lists what was sent and who polled", async () => {
      const queued = await control("messages", { token: TOKEN, text: "hi", chat_id: 9 });
      assert.deepEqual(await getUpdates(), [queued.body]);
      await call("sendMessage", { chat_id: 9, text: "answer" });
      assert.deepEqual((await control(`sent?token=${TOKEN}`)).body, telegram.sent(TOKEN));
      assert.deepEqual((await control(`sent?token=${OTHER_TOKEN}`)).body, []);
      const [poll] = telegram.polls(TOKEN);
      assert.equal(poll?.remoteAddress, "127.0.0.1");
      assert.equal(poll.updates, 1);
      assert.ok(poll.to !== undefined && poll.to >= poll.from);
      assert.deepEqual((await control("polls")).body, [poll]);
      assert.deepEqual((await control("overlaps")).body, { overlaps: 0 });
    });

    it("makes a bot known", async () => {
      assert.equal((await control("bots", { token: "4444:third" })).status, 200);
      assert.equal((await call("getMe", {}, "4444:third")).ok, true);
    });

    it("refuses a message that names no bot, or has no text", async () => {
      assert.equal((await control("messages", { text: "to whom?" })).status, 400);
      assert.equal((await control("messages", { token: TOKEN })).status, 400);
    });

    it("refuses a token that is none", async () => {
      assert.equal((await control("bots", { token: "no token" })).status, 400);
    });
  });
});

describe("the sandbox's token", () => {
  it("is one that a stack's configuration accepts", () => {
    assert.doesNotThrow(() => settings({ telegramToken: DEFAULT_TOKEN }));
  });
});
