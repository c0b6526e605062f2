import { createHash } from "node:crypto";

/** The SHA-256 of a text, in hexadecimal, as sha256sum writes it. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
