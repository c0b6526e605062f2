// @ts-nocheck
import { createHash } from "node:crypto";

/** The SHA-256 of a text, in hexadecimal, as sha256sum writes it. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The digest of a value; the order of keys in its objects does not count. */
export function fingerprint(value: unknown): string {
  return digest(JSON.stringify(value, sortKeys));
}

function sortKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
