import { randomBytes } from "node:crypto";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Where a proxy serves HTTP. */
export interface Target {
  host: string;
  port: number;
}

/** How long a client waits for a byte, in milliseconds: longer than the proxy holds a request. */
const PATIENCE = 90_000;

/** What became of a request. */
export interface Answer {
  /** 0 where there was none; `text` then says why. */
  status: number;
  text: string;
  headers: IncomingMessage["headers"];
  milliseconds: number;
}

/** A request under way. */
export interface Asked {
  request: ClientRequest;
  answer: Promise<Answer>;
}

/** What a request may have; the length of its body is declared unless it goes in chunks. */
export interface Asking {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: Buffer;
  chunked?: boolean;
}

/** Sends one request on a connection of its own. Its answer never rejects. */
export function ask(target: Target, { body, chunked = false, headers = {}, ...rest }: Asking = {}): Asked {
  const length: Record<string, string> =
    body === undefined || chunked ? {} : { "content-length": String(body.length) };
  const asked = begin(target, { method: body ? "POST" : "GET", ...rest, headers: { ...headers, ...length } });
  asked.request.end(body);
  return asked;
}

/** Sends the head of a request; its body is for the caller to send. */
export function begin(
  target: Target,
  { path = "/", method, headers }: Omit<Asking, "body" | "chunked">,
): Asked {
  const began = Date.now();
  const sent = request({ ...target, path, method, headers, agent: false, timeout: PATIENCE });
  sent.on("timeout", () => sent.destroy(new Error("no answer")));
  const answer = new Promise<Answer>((resolve) => {
    const end = (status: number, text: string, received: IncomingMessage["headers"] = {}) => {
      resolve({ status, text, headers: received, milliseconds: Date.now() - began });
    };
    sent.on("error", (error) => {
      end(0, error.message);
    });
    sent.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (data: string) => (text += data));
      response.on("error", (error) => {
        end(0, error.message);
      });
      response.on("end", () => {
        end(response.statusCode ?? 0, text, response.headers);
      });
    });
  });
  return { request: sent, answer };
}

/** Sends many requests, a few each millisecond: as fast as a machine on the net could, but not faster than this one can. */
export async function askMany(
  target: Target,
  count: number,
  asking: (i: number) => Asking,
): Promise<Asked[]> {
  const asked: Asked[] = [];
  for (let i = 0; i < count; i++) {
    asked.push(ask(target, asking(i)));
    if (i % 50 === 49) await sleep(10);
  }
  return asked;
}

/** Uploads a body in pieces, one every `pause` milliseconds. */
export async function uploadSlowly(target: Target, pieces: Buffer[], pause: number): Promise<Answer> {
  const length = String(Buffer.concat(pieces).length);
  const { request: sent, answer } = begin(target, { method: "POST", headers: { "content-length": length } });
  for (const piece of pieces) {
    sent.write(piece);
    await sleep(pause);
  }
  sent.end();
  return answer;
}

/** Senders of single bytes. */
export interface Trickle {
  /** How often the proxy has ended a connection; each time another one takes its place. */
  ended: () => number;
  stop: () => void;
}

/**
 * Keeps connections open that send a beginning and then one byte every few seconds, for ever.
 *
 * @param beginning of what the connection with this number sends
 */
export function trickle(
  target: Target,
  count: number,
  beginning: (i: number) => string,
  seconds: number,
): Trickle {
  const sockets = new Set<Socket>();
  let ended = 0;
  let isOver = false;
  const open = (i: number) => {
    const socket = connect(target.port, target.host);
    sockets.add(socket);
    // Every one at another moment, as on the net.
    const timer = setInterval(() => socket.write("a"), seconds * (900 + Math.random() * 200));
    socket.write(beginning(i));
    socket.resume();
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearInterval(timer);
      sockets.delete(socket);
      if (isOver) return;
      ended += 1;
      setTimeout(open, 100, i);
    });
  };
  for (let i = 0; i < count; i++) open(i);
  return {
    ended: () => ended,
    stop: () => {
      isOver = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A body that no other request has. */
export const randomBody = (length: number): Buffer => randomBytes(length);

/** The value below which this share of the numbers lies. */
export function quantile(numbers: number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
