/**
 * What ./delivery and the program talk about while `pulumi up` has the stack's lock: lines of JSON over a socket. What a
 * release rests on is read under that lock, by both of them side by side, and the program declares nothing before it
 * hears that it may.
 */

/** The environment variable with the socket's path; without it the update was not begun by ./delivery. */
export const SOCKET = "DELIVERY_SOCKET";

/** What the program says: that it asks for the server's report, then which it goes by, then what it is about. */
export type FromProgram = { asks: "report" } | { report: string } | { stage: Stage };

/** What the program is about: requests are held until the server itself lets them in again. */
export type Stage = "loaded" | "looked" | "planned" | "swapping" | "making";

/** What check-server.sh has printed for the command, which has asked the server while the program was loaded; if it did. */
export interface Seen {
  report?: string;
}

/** What the command answers to the report. */
export type FromCommand = { stop: string } | GoAhead;

export interface GoAhead {
  /** Docker's id of the image that the command had built. */
  imageId?: string;
  /** Whether the update is a release, so that it replaces the bot for certain. */
  isRelease?: boolean;
}
