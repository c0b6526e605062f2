import type { FakeTelegram } from "../../sandbox/telegram.ts";
import { type Client, clientsOf, NotTaken, type Page, type Question } from "./clients.ts";

/** One request: when it was sent (milliseconds since 1970) and how long its answer took. */
export interface Visit {
  method: "GET" | "POST";
  at: number;
  milliseconds: number;
  /** What was wrong with the answer. */
  fault?: string;
}

/** What visitors and a chat have seen of the bot while it was under load. */
export interface Seen {
  requests: number;
  visits: Visit[];
  /** Requests to write that were told that they have. */
  written: number;
  /** One line for each request that had another end than success. */
  failed: string[];
  /** Requests that met the end of a kept connection and were sent once more on a new one, as every browser does. */
  resent: number;
  slowestSeconds: number;
  /** Polls that were ended by another poller. */
  overlaps: number;
  messages: number;
  /** Messages that were never answered. */
  lost: number;
  /** Answers beyond the first to one message. */
  doubled: number;
}

export interface Load {
  /** Ends the load, waits for every answer and says what was seen. */
  stop(): Promise<Seen>;
}

const GETS_PER_SECOND = 20;
const POSTS_PER_SECOND = 5;
const MESSAGES_PER_SECOND = 2;
/** How long the last messages may wait for their answers. */
const ANSWER_SECONDS = 40;

let lastChat = 1_000_000;

/**
 * Visitors read and write, some of them on connections that they keep, and chats write to the bot on Telegram.
 *
 * The load does not wait for answers: what is slow piles up, as it does with real visitors.
 *
 * @param token of the bot that is written to, where the fake Telegram knows several
 * @param hasChat whether messages reach the bot on Telegram, too
 */
export function startLoad(
  page: Page,
  telegram: FakeTelegram,
  { token, hasChat = true }: { token?: string; hasChat?: boolean } = {},
): Load {
  const clients = clientsOf(page);
  const pending = new Set<Promise<void>>();
  const seen = {
    ...{ requests: 0, written: 0, resent: 0, slowestSeconds: 0 },
    visits: [] as Visit[],
  };
  const chats: number[] = [];
  const overlapsBefore = telegram.overlaps();

  const visit = (method: Visit["method"]) => {
    const client = clients[seen.requests % clients.length] ?? clients[0];
    seen.requests += 1;
    const began = Date.now();
    const resend = (question: Question) => {
      seen.resent += 1;
      return clients[0].ask(question);
    };
    const visited = faultOf(client, method, resend).then((fault) => {
      const milliseconds = Date.now() - began;
      seen.slowestSeconds = Math.max(seen.slowestSeconds, milliseconds / 1000);
      seen.visits.push({ method, at: began, milliseconds, fault });
      if (fault === undefined && method === "POST") seen.written += 1;
    });
    pending.add(visited);
    void visited.then(() => pending.delete(visited));
  };
  const write = () => {
    lastChat += 1;
    chats.push(lastChat);
    telegram.sendAsUser({ text: "/train load 1", chat_id: lastChat, token });
  };
  const every = (perSecond: number, action: () => void) => setInterval(action, 1000 / perSecond);
  const timers = [
    every(GETS_PER_SECOND, () => {
      visit("GET");
    }),
    every(POSTS_PER_SECOND, () => {
      visit("POST");
    }),
    ...(hasChat ? [every(MESSAGES_PER_SECOND, write)] : []),
  ];

  return {
    async stop() {
      timers.forEach(clearInterval);
      await Promise.all(pending);
      for (const client of clients) client.close();
      const answers = () => {
        const count = new Map(chats.map((chat) => [chat, 0]));
        for (const { chat } of telegram.sent()) {
          const before = count.get(Number(chat.id));
          if (before !== undefined) count.set(Number(chat.id), before + 1);
        }
        return [...count.values()];
      };
      const deadline = Date.now() + ANSWER_SECONDS * 1000;
      while (answers().includes(0) && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      return {
        ...seen,
        failed: failures(seen.visits),
        overlaps: telegram.overlaps() - overlapsBefore,
        messages: chats.length,
        lost: answers().filter((count) => count === 0).length,
        doubled: answers().reduce((sum, count) => sum + Math.max(0, count - 1), 0),
      };
    },
  };
}

/** A line for each request that had another end than success. */
export function failures(visits: Visit[]): string[] {
  return visits.flatMap(({ method, at, milliseconds, fault }) => {
    const time = new Date(at).toISOString().slice(11, 23);
    return fault === undefined ? [] : [`${time} ${method} after ${milliseconds} ms: ${fault}`];
  });
}

/**
 * Gives what was wrong with the answer; nothing where it was as it should be.
 *
 * @param resend sends a request once more that was not taken
 */
async function faultOf(
  client: Client,
  method: Visit["method"],
  resend: (question: Question) => Promise<number>,
): Promise<string | undefined> {
  const [path, wanted] = method === "GET" ? ["/", 200] : ["/api/trainings", 201];
  const body = method === "GET" ? undefined : JSON.stringify({ player: "load", what: "load", minutes: 1 });
  const question: Question = { method, path, body };
  try {
    const status = await client.ask(question).catch((error: unknown) => {
      if (!(error instanceof NotTaken)) throw error;
      return resend(question);
    });
    return status === wanted ? undefined : `status ${status}`;
  } catch (error) {
    return (error as Error).message;
  }
}
