import type { Repository } from "./repository.ts";

/** Requests and answers, as the parts of the fake hand them to each other. */

/** A classic token has scopes; fine-grained tokens and those of workflow runs have permissions. */
export type TokenRights =
  { scopes: string[] } | { permissions: Record<string, "read" | "write">; kind: "personal" | "installation" };

export interface Request {
  parameters: Record<string, string>;
  query: URLSearchParams;
  body: Record<string, unknown>;
  rights?: TokenRights;
}

export interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** What answers an operation of the repository: `METHOD /path`, below the repository's path in GitHub's description. */
export type Routes = Record<string, (repository: Repository, request: Request) => Answer>;

export class Refusal extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export const NOT_FOUND = new Refusal(404, "Not Found");

export function ok(body: unknown): Answer {
  return { status: 200, body };
}

export function gone(wasThere: boolean): Answer {
  if (!wasThere) throw NOT_FOUND;
  return { status: 204 };
}

export function found<T>(value: T | undefined): T {
  if (value === undefined) throw NOT_FOUND;
  return value;
}

export function byId<T extends { id: number }>(list: T[], id: string | undefined): T | undefined {
  return list.find((one) => String(one.id) === id);
}

export function removeFrom(list: { id: number }[], id: string | undefined): boolean {
  const index = list.findIndex((one) => String(one.id) === id);
  if (index >= 0) list.splice(index, 1);
  return index >= 0;
}

export const text = (value: unknown) => (typeof value === "string" ? value : "");
/** GitHub stores the names of secrets and variables in upper case. */
export const upper = (value: unknown) => text(value).toUpperCase();
