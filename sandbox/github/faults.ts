import type { Answer } from "./exchange.ts";

/** A fault that the next matching requests get. */
export interface Fault {
  /** A rate limit adds GitHub's rate-limit headers. */
  status: 403 | 409 | 429 | 500 | 502 | 503;
  /** How many requests get the fault. Default: 1. */
  times?: number;
  method?: string;
  path?: RegExp;
}

/** The faults that are still to come. */
export class Faults {
  private readonly ahead: (Fault & { times: number })[] = [];

  add(fault: Fault): void {
    this.ahead.push({ times: 1, ...fault });
  }

  /** The fault that this request gets; undefined if none. */
  take(method: string, path: string): Answer | undefined {
    const fault = this.ahead.find(
      (one) => one.times > 0 && (one.method ?? method) === method && (one.path ?? /./).test(path),
    );
    if (fault === undefined) return undefined;
    fault.times -= 1;
    return faultAnswer(fault.status);
  }
}

/** GitHub's answers to faults: rate limits, conflicts and server errors. */
function faultAnswer(status: Fault["status"]): Answer {
  if (status === 403) {
    const reset = String(Math.ceil(Date.now() / 1000) + 1);
    const headers = { "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
    return { status, headers, body: { message: "API rate limit exceeded for user ID 1." } };
  }
  if (status === 429) {
    const message =
      "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    const rest = "https://docs.github.com/en/free-pro-team@latest/rest/using-the-rest-api";
    // Clients recognize a secondary limit by the end of this address.
    const documentation_url = `${rest}/rate-limits-for-the-rest-api#about-secondary-rate-limits`;
    return { status, headers: { "retry-after": "1" }, body: { message, documentation_url } };
  }
  const messages: Record<number, string> = { 409: "Conflict", 500: "Server Error", 502: "Bad Gateway" };
  return { status, body: { message: messages[status] ?? "Service Unavailable" } };
}
