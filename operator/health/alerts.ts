import type { AlertSettings } from "../../infra/model/schema.ts";
import type { Verdict } from "./checks.ts";
import type { AlertState } from "./report.ts";

/** Seconds within which a channel, or Telegram, must answer. */
const SECONDS = 15;
/** Characters; Telegram's own limit is 4096. */
const LONGEST_MESSAGE = 4000;

/** What has changed since the last run; each change is reported once. */
interface News {
  broken: Verdict[];
  /** Names of checks that failed in the last run and do no more. */
  recovered: string[];
}

/** What has changed; warnings are shown, but raise no alert. */
export function findNews(verdicts: Verdict[], last: AlertState | null): News {
  const known = last?.failing ?? {};
  const failing = verdicts.filter(({ level }) => level === "critical");
  return {
    broken: failing.filter(({ check }) => !(check in known)),
    recovered: Object.keys(known).filter((check) => !failing.some((verdict) => verdict.check === check)),
  };
}

/** The state to keep until the next run. @param pending updates that wait at Telegram, if it could be asked */
export function nextState(
  verdicts: Verdict[],
  last: AlertState | null,
  now: Date,
  pending?: number,
): AlertState {
  const failing = verdicts.filter(({ level }) => level === "critical").map(({ check }) => check);
  const since = (check: string) => last?.failing[check] ?? now.toISOString();
  const pendingSince = pending ? (last?.pendingSince ?? now.toISOString()) : undefined;
  return { failing: Object.fromEntries(failing.map((check) => [check, since(check)])), pendingSince };
}

/** The message of an alert. */
export function describeNews(title: string, { broken, recovered }: News): string {
  const lines = [
    ...broken.map(({ check, text }) => `broken: ${check} ${text}`),
    ...recovered.map((check) => `recovered: ${check}`),
  ];
  return `${title}\n${lines.join("\n")}`.slice(0, LONGEST_MESSAGE);
}

/**
 * Sends a message over every configured channel.
 *
 * @param token the bot's; undefined if it is out of reach
 * @returns a sentence for each channel that failed: an alert that cannot be sent must not hide its subject
 */
export async function sendAlert(
  { telegramChat, telegramApiUrl, webhook }: AlertSettings,
  token: string | undefined,
  text: string,
  news: News,
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
  if (webhook !== undefined) {
    // The receivers of earlier versions know the list by this name.
    const body = { text, broken: news.broken, mended: news.recovered };
    channels.push(post("the webhook", webhook, body));
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
    const { cause, message } = error as Error;
    return failed(cause instanceof Error && cause.message ? cause.message : message);
  }
}

/** How many updates wait at Telegram for the bot; undefined if Telegram cannot be asked. Disturbs no poller. */
export async function pendingUpdates(apiUrl: string, token: string | undefined): Promise<number | undefined> {
  if (token === undefined) return undefined;
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
