import assert from "node:assert/strict";
import type { Update } from "../../sandbox/telegram-bot.ts";
import { type FakeTelegram, startTelegram } from "../../sandbox/telegram.ts";

export const TOKEN = "4242:first";
export const OTHER_TOKEN = "4343:second";

interface Answer {
  ok: boolean;
  result?: unknown;
  error_code?: number;
  description?: string;
}

/** The fake of the test that runs, in a suite with `withTelegram`. */
export let telegram: FakeTelegram;

/** Gives each test of a suite a fake Telegram of its own, which knows two bots. */
export function withTelegram(suite: Mocha.Suite): void {
  suite.beforeEach(async () => {
    telegram = await startTelegram({ tokens: [TOKEN, OTHER_TOKEN] });
  });
  suite.afterEach(() => telegram.close());
}

export const call = async (method: string, parameters: object = {}, token = TOKEN): Promise<Answer> => {
  const response = await fetch(`${telegram.url}/bot${token}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(parameters),
  });
  const answer = (await response.json()) as Answer;
  assert.equal(response.status, answer.ok ? 200 : answer.error_code);
  return answer;
};
export const getUpdates = async (parameters: object = {}) =>
  (await call("getUpdates", parameters)).result as Update[];
export const texts = (updates: Update[]) => updates.map((update) => update.message.text);
export const say = (...words: string[]) =>
  words.map((text) => telegram.sendAsUser({ text, token: TOKEN }).update_id);
