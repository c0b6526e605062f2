import assert from "node:assert/strict";
import { z } from "zod";
import { DEFAULT_TOKEN } from "../../sandbox/telegram.ts";
import { settings } from "./fixtures.ts";
import { call, getUpdates, OTHER_TOKEN, say, telegram, TOKEN, withTelegram } from "./telegram-client.ts";

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

describe("fake Telegram Bot API", function () {
  withTelegram(this);

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
