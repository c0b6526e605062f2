import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ApiError, Bot, type Parameters, type Poll, type SentMessage, type Update } from "./telegram-bot.ts";

/** A token of the form that Telegram gives out, and a stack's configuration therefore accepts. */
export const DEFAULT_TOKEN = "1000001:token-of-the-throwaway-bot-0123456789";

/**
 * A Telegram Bot API with the methods that a polling bot needs. Rules and wording follow the published description
 * (https://core.telegram.org/bots/api) and, for what it leaves open, the source of the real server (Client.cpp in
 * https://github.com/tdlib/telegram-bot-api). Differences from the real server:
 * - every new getUpdates ends the pending one; in the real server, one that is answered at once leaves the other waiting;
 * - no delays; the real server stretches a repeated short poll to 3 s and holds a repeated conflict back for 3 s;
 * - every numeric chat exists; in the real server, only those whose user has written to the bot first;
 * - `allowed_updates` is accepted, but all updates are messages.
 */
export interface FakeTelegram {
  /** Base address, which replaces https://api.telegram.org in a bot. */
  url: string;
  port: number;
  /** Adds a token; unknown tokens are answered 401. */
  addBot(token: string): void;
  /** Sends a text to the bot as a user would. With a single bot, the token is optional. */
  sendAsUser(message: UserMessage): Update;
  /** What the bots have sent, oldest first. */
  sent(token?: string): SentMessage[];
  /** Every getUpdates so far, oldest first. */
  polls(token?: string): Poll[];
  /** How many polls were ended by another one: 0 if no token ever had two pollers at a time. */
  overlaps(token?: string): number;
  close(): Promise<void>;
}

export interface UserMessage {
  text: string;
  token?: string;
  /** The private chat with this user, whose id is the same. Default: 1001. */
  chat_id?: number;
}

export interface TelegramOptions {
  /** Default: a free one. */
  port?: number;
  /** Address to listen on. Default: 127.0.0.1. A server's containers can reach its `gateway`. */
  host?: string;
  /** Tokens of the initial bots. */
  tokens?: string[];
}

/** Starts a fake Telegram Bot API. HTTP requests under /_control/ do what the returned methods do. */
export async function startTelegram(options: TelegramOptions = {}): Promise<FakeTelegram> {
  const { port = 0, host = "127.0.0.1", tokens = [] } = options;
  const bots = new Map<string, Bot>();
  const chosen = (token?: string) =>
    [...bots.values()].filter((bot) => token === undefined || bot.token === token);

  const fake: FakeTelegram = {
    url: "",
    port: 0,
    addBot(token) {
      if (!/^[1-9]\d*:[\w-]+$/.test(token))
        throw new ApiError(400, `"${token}" is no token: it is written NUMBER:TEXT`);
      if (!bots.has(token)) bots.set(token, new Bot(token));
    },
    sendAsUser({ text, token, chat_id: chatId = 1001 }) {
      const [bot, another] = chosen(token);
      if (bot === undefined || another !== undefined)
        throw new ApiError(400, "token must name one of the known bots");
      if (typeof text !== "string" || text === "") throw new ApiError(400, "text is missing");
      return bot.receive(text, chatId);
    },
    sent: (token) => chosen(token).flatMap((bot) => bot.sent),
    polls: (token) => chosen(token).flatMap((bot) => bot.polls),
    overlaps: (token) => fake.polls(token).filter(({ result }) => result === "conflict").length,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };

  const control = (action: string, parameters: Parameters, body: unknown): unknown => {
    switch (action) {
      case "POST messages":
        return fake.sendAsUser(body as UserMessage);
      case "POST bots":
        fake.addBot((body as { token?: string }).token ?? "");
        return true;
      case "GET sent":
        return fake.sent(parameters.token);
      case "GET polls":
        return fake.polls(parameters.token);
      case "GET overlaps":
        return { overlaps: fake.overlaps(parameters.token) };
      case "GET process":
        return { pid: process.pid };
      default:
        throw new ApiError(404, `Not Found: ${action}`);
    }
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const body = await readBody(request);
    const parameters = { ...Object.fromEntries(url.searchParams), ...asParameters(body) };
    const [, first = "", second = ""] = url.pathname.split("/");
    if (first === "_control") return control(`${request.method ?? "GET"} ${second}`, parameters, body);
    if (!first.startsWith("bot") || second === "") throw new ApiError(404, "Not Found");
    const bot = bots.get(decodeURIComponent(first.slice("bot".length)));
    if (bot === undefined) throw new ApiError(401, "Unauthorized");
    return bot.call(second, parameters, request, response);
  };

  const server = createServer((request, response) => {
    answer(request, response).then(
      (result) => {
        reply(response, 200, request.url?.startsWith("/_control") ? result : { ok: true, result });
      },
      (error: unknown) => {
        const code = error instanceof ApiError ? error.code : 500;
        reply(response, code, { ok: false, error_code: code, description: (error as Error).message });
      },
    );
  });

  for (const token of tokens) fake.addBot(token);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  fake.port = (server.address() as AddressInfo).port;
  fake.url = `http://${host}:${fake.port}`;
  return fake;
}

function reply(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** Parses JSON, form and multipart bodies, which the real API all accepts. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const type = request.headers["content-type"] ?? "";
  const body = Buffer.concat(chunks);
  if (body.length === 0) return {};
  try {
    if (type.startsWith("application/json")) return JSON.parse(body.toString());
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- a fake of a few small fields needs no streaming parser
    return Object.fromEntries(await new Response(body, { headers: { "content-type": type } }).formData());
  } catch {
    throw new ApiError(400, "Bad Request: can't parse the request's body");
  }
}

function asParameters(body: unknown): Parameters {
  const entries = Object.entries(body as Record<string, unknown>);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );
}
