import type { IncomingMessage, ServerResponse } from "node:http";

interface Message {
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

const MAX_TIMEOUT_SECONDS = 50;
const MAX_TEXT_LENGTH = 4096;
const CONFLICT =
  "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";

/** What a call says, whichever way it was sent. */
export type Parameters = Record<string, string | undefined>;

/** A call that is refused, with the status of its answer. */
export class ApiError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** One token: its queue of updates and the poll that waits for them. */
export class Bot {
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

/** Clamps a number to its range; anything else becomes the default. */
function integer(value: string | undefined, otherwise: number, least = -Infinity, most = Infinity): number {
  const number = Number.parseInt(value ?? "", 10);
  return Math.min(Math.max(Number.isNaN(number) ? otherwise : number, least), most);
}

const isTrue = (value?: string) => ["true", "yes", "1"].includes(value?.toLowerCase() ?? "");
const remoteAddress = (request: IncomingMessage) =>
  (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
