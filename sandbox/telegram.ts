import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

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

export interface Message {
  message_id: number;
  from: { id: number; is_bot: boolean; first_name: string; username?: string };
  chat: { id: number | string; type: string; first_name?: string };
  /** Unix time in seconds. */
  date: number;
  text: string;
}

export interface Update {
  update_id: number;
  message: Message;
}

export type SentMessage = Message & { token: string };

export interface Poll {
  token: string;
  remoteAddress: string;
  offset: number;
  /** Seconds, as requested. */
  timeout: number;
  /** Unix time in milliseconds; a pending poll has no `to`. */
  from: number;
  to?: number;
  result: "pending" | "updates" | "empty" | "conflict" | "disconnected";
  /** How many updates were delivered. */
  updates: number;
}

export interface TelegramOptions {
  /** Default: a free one. */
  port?: number;
  /** Address to listen on. Default: 127.0.0.1. A server's containers can reach its `gateway`. */
  host?: string;
  /** Tokens of the initial bots. */
  tokens?: string[];
}

const MAX_TIMEOUT_SECONDS = 50;
const MAX_TEXT_LENGTH = 4096;
const CONFLICT =
  "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";

type Parameters = Record<string, string | undefined>;

class ApiError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** One token: its queue of updates and the poll that waits for them. */
class Bot {
  readonly user: Message["from"];
  readonly sent: SentMessage[] = [];
  readonly polls: Poll[] = [];
  private queue: Update[] = [];
  private nextUpdateId: number;
  private nextMessageId = 1;
  private pending?: { wake: () => void; fail: () => void };

  readonly token: string;

  constructor(token: string) {
    this.token = token;
    const id = Number(token.split(":")[0]);
    // Every bot counts from its own number, so that no two bots see the same update id.
    this.nextUpdateId = 100_000_001 + (id % 1000) * 100_000;
    this.user = { id, is_bot: true, first_name: "Throwaway", username: `throwaway_${id}_bot` };
  }

  receive(text: string, chatId: number): Update {
    const from = { id: chatId, is_bot: false, first_name: `User ${chatId}` };
    const update = { update_id: this.nextUpdateId++, message: this.message(text, chatId, from) };
    this.queue.push(update);
    this.pending?.wake();
    return update;
  }

  call(method: string, parameters: Parameters, request: IncomingMessage, response: ServerResponse): unknown {
    switch (method.toLowerCase()) {
      case "getme":
        return {
          ...this.user,
          can_join_groups: true,
          can_read_all_group_messages: false,
          supports_inline_queries: false,
        };
      case "getupdates":
        return this.getUpdates(parameters, request, response);
      case "sendmessage":
        return this.sendMessage(parameters);
      case "getwebhookinfo":
        return { url: "", has_custom_certificate: false, pending_update_count: this.queue.length };
      case "deletewebhook":
        if (isTrue(parameters.drop_pending_updates)) this.queue = [];
        return true;
      default:
        throw new ApiError(404, "Not Found: method not found");
    }
  }

  private sendMessage({ chat_id: chat, text }: Parameters): Message {
    if (!text?.trim()) throw new ApiError(400, "Bad Request: message text is empty");
    if (text.length > MAX_TEXT_LENGTH) throw new ApiError(400, "Bad Request: message is too long");
    if (!chat) throw new ApiError(400, "Bad Request: chat_id is empty");
    if (!/^(-?[1-9]\d*|@\w+)$/.test(chat)) throw new ApiError(400, "Bad Request: chat not found");
    const message = this.message(text, chat.startsWith("@") ? chat : Number(chat), this.user);
    this.sent.push({ ...message, token: this.token });
    return message;
  }

  private async getUpdates(parameters: Parameters, request: IncomingMessage, response: ServerResponse) {
    const offset = integer(parameters.offset, 0);
    const limit = integer(parameters.limit, 100, 1, 100);
    const timeout = integer(parameters.timeout, 0, 0, MAX_TIMEOUT_SECONDS);
    const poll: Poll = {
      ...{ token: this.token, remoteAddress: remoteAddress(request), offset, timeout },
      ...{ from: Date.now(), result: "pending", updates: 0 },
    };
    this.polls.push(poll);
    this.pending?.fail();
    this.forget(offset);
    const end = (result: Poll["result"], updates: Update[] = []) => {
      Object.assign(poll, { to: Date.now(), result, updates: updates.length });
      return updates;
    };
    const read = () => {
      const updates = this.queue.slice(0, limit);
      return end(updates.length > 0 ? "updates" : "empty", updates);
    };
    if (timeout === 0 || this.queue.length > 0) return read();

    return new Promise<Update[]>((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        response.off("close", hangUp);
        request.socket.off("end", hangUp);
        this.pending = undefined;
        finish();
      };
      const wake = () => {
        settle(() => {
          resolve(read());
        });
      };
      const fail = () => {
        settle(() => {
          end("conflict");
          reject(new ApiError(409, CONFLICT));
        });
      };
      const hangUp = () => {
        settle(() => {
          resolve(end("disconnected"));
        });
      };
      const timer = setTimeout(wake, timeout * 1000);
      response.once("close", hangUp);
      // The client's end of the connection comes before the response counts as closed, and in between a bot that stops
      // may ask once more.
      request.socket.once("end", hangUp);
      this.pending = { wake, fail };
    });
  }

  /** Confirms updates: all before a positive offset; for a negative one, all except the last -offset. */
  private forget(offset: number): void {
    // An offset far in the future counts as a mistake and confirms nothing (TQueue.cpp of tdlib).
    if (offset > this.nextUpdateId + 10) return;
    this.queue =
      offset < 0 ? this.queue.slice(offset) : this.queue.filter(({ update_id }) => update_id >= offset);
  }

  private message(text: string, chat: number | string, from: Message["from"]): Message {
    const type = typeof chat === "string" ? "channel" : chat < 0 ? "group" : "private";
    return {
      message_id: this.nextMessageId++,
      from,
      chat: { id: chat, type },
      date: Math.floor(Date.now() / 1000),
      text,
    };
  }
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

/** Clamps a number to its range; anything else becomes the default. */
function integer(value: string | undefined, otherwise: number, least = -Infinity, most = Infinity): number {
  const number = Number.parseInt(value ?? "", 10);
  return Math.min(Math.max(Number.isNaN(number) ? otherwise : number, least), most);
}

const isTrue = (value?: string) => ["true", "yes", "1"].includes(value?.toLowerCase() ?? "");
const remoteAddress = (request: IncomingMessage) =>
  (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
