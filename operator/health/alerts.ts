import { type AlertSettings, ENCRYPTED } from "../../infra/model/schema.ts";
import type { Verdict } from "./verdict.ts";

/** What only a machine beside the server can tell: that the server does not answer. All else the server tells itself. */

/** Seconds within which a channel must answer. */
const SECONDS = 15;

interface News {
  text: string;
  broken: Verdict[];
  /** Names of checks that do not fail any more. */
  recovered: string[];
}

/** The message that the server does not answer. @param since ISO 8601 */
export function lossOf(title: string, verdict: Verdict, since: string): News {
  const text = `${title}\nbroken: ${verdict.check} ${verdict.text} (since ${minute(since)})`;
  return { text, broken: [verdict], recovered: [] };
}

/** The message that it answers again. */
export function returnOf(title: string, check: string, since: string): News {
  const text = `${title}\nrecovered: ${check}, which could not be asked since ${minute(since)}`;
  return { text, broken: [], recovered: [check] };
}

const minute = (time: string) => `${time.slice(0, 16).replace("T", " ")} UTC`;

/** Whether there is anyone to tell. */
export const hasChannel = ({ telegramChat, webhook }: Pick<AlertSettings, "telegramChat" | "webhook">) =>
  telegramChat !== undefined || webhook !== undefined;

/**
 * Sends a message over every configured channel.
 *
 * @param webhook `ENCRYPTED` if its address is out of reach
 * @param token the bot's; undefined if it is out of reach
 * @returns a sentence for each channel that failed: an alert that cannot be sent must not hide its subject
 */
export async function sendAlert(
  { telegramChat, telegramApiUrl, webhook }: Omit<AlertSettings, "warningHours">,
  token: string | undefined,
  { text, broken, recovered }: News,
): Promise<string[]> {
  const channels: Promise<string | undefined>[] = [];
  if (telegramChat !== undefined && token !== undefined) {
    // The token is part of the address, so no error message may repeat that.
    const url = `${telegramApiUrl}/bot${token}/sendMessage`;
    channels.push(post("Telegram", url, { chat_id: telegramChat, text }));
  } else if (telegramChat !== undefined) {
    channels.push(
      Promise.resolve("The alert could not be sent by Telegram: the bot's token is out of reach."),
    );
  }
  if (webhook === ENCRYPTED) {
    channels.push(
      Promise.resolve(
        "The alert could not be sent by the webhook: its address is encrypted and out of reach.",
      ),
    );
  } else if (webhook !== undefined) {
    // The receivers of earlier versions know the list by this name.
    channels.push(post("the webhook", webhook, { text, broken, mended: recovered }));
  }
  return (await Promise.all(channels)).filter((fault) => fault !== undefined);
}

async function post(channel: string, url: string, body: unknown): Promise<string | undefined> {
  const failed = (cause: string) => `The alert could not be sent by ${channel}: ${cause}.`;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(SECONDS * 1000),
    });
    return response.ok ? undefined : failed(`it answered ${response.status}`);
  } catch (error) {
    // Never the error's own message, which may repeat the address: that is secret with both.
    const { name, cause } = error as Error;
    if (name === "TimeoutError") return failed(`no answer in ${SECONDS} seconds`);
    return failed(cause instanceof Error && cause.message ? cause.message : "no connection");
  }
}
