// @ts-nocheck
import type { AlertSettings } from "../../infra/model/schema.ts";
import type { Remembered, Verdict } from "./checks.ts";

/** Seconds that a channel gets. */
const SECONDS = 15;
const LONGEST_MESSAGE = 4000;

/** What is new since the last look: told once when it breaks and once when it is mended. */
interface News {
  broken: Verdict[];
  /** Names of checks. */
  mended: string[];
}

/** Compares what is found with what was known; a warning is shown, but wakes nobody. */
export function findNews(verdicts: Verdict[], remembered: Remembered | null): News {
  const known = remembered?.failing ?? {};
  const failing = verdicts.filter(({ level }) => level === "critical");
  return {
    broken: failing.filter(({ check }) => !(check in known)),
    mended: Object.keys(known).filter((check) => !failing.some((verdict) => verdict.check === check)),
  };
}

/** What is to be remembered until the next look. */
export function remember(
  verdicts: Verdict[],
  remembered: Remembered | null,
  now: Date,
  pending?: number,
): Remembered {
  const failing = verdicts.filter(({ level }) => level === "critical").map(({ check }) => check);
  const since = (check: string) => remembered?.failing[check] ?? now.toISOString();
  const pendingSince = pending ? (remembered?.pendingSince ?? now.toISOString()) : undefined;
  return { failing: Object.fromEntries(failing.map((check) => [check, since(check)])), pendingSince };
}

/** The message, for people. */
export function tell(title: string, { broken, mended }: News): string {
  const lines = [
    ...broken.map(({ check, text }) => `broken: ${check} ${text}`),
    ...mended.map((check) => `mended: ${check}`),
  ];
  return `${title}\n${lines.join("\n")}`.slice(0, LONGEST_MESSAGE);
}

/**
 * Sends a message over every channel that is configured. Gives the faults of those that failed, a sentence each: an
 * alert that cannot be sent must never hide what it was about.
 *
 * @param token the bot's; undefined where nobody knows it
 */
export async function sendAlert(
  { telegramChat, telegramApiUrl, webhook }: AlertSettings,
  token: string | undefined,
  text: string,
  news: News,
): Promise<string[]> {
  const channels: Promise<string | undefined>[] = [];
  if (telegramChat !== undefined && token !== undefined) {
    // The token is in the address: no fault may repeat that.
    const url = `${telegramApiUrl}/bot${token}/sendMessage`;
    channels.push(post("Telegram", url, { chat_id: telegramChat, text }));
  } else if (telegramChat !== undefined) {
    channels.push(
      Promise.resolve("The alert could not be sent by Telegram: the bot's token is out of reach."),
    );
  }
  if (webhook !== undefined) channels.push(post("the webhook", webhook, { text, ...news }));
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
    const { cause, message } = error as Error;
    return failed(cause instanceof Error && cause.message ? cause.message : message);
  }
}

/** How many updates wait at Telegram for the bot; undefined where that cannot be asked. Disturbs no poller. */
export async function pendingUpdates(apiUrl: string, token: string): Promise<number | undefined> {
  try {
    const response = await fetch(`${apiUrl}/bot${token}/getWebhookInfo`, {
      signal: AbortSignal.timeout(SECONDS * 1000),
    });
    const { result } = (await response.json()) as { result?: { pending_update_count?: number } };
    return result?.pending_update_count;
  } catch {
    return undefined;
  }
}
