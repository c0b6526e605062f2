/**
 * What ./delivery and the program talk about while `pulumi up` has the stack's lock: lines of JSON over a socket. What a
 * release rests on is read under that lock, by both of them side by side, and the program declares nothing before it
 * hears that it may.
 */

/** The environment variable with the socket's path; without it the update was not begun by ./delivery. */
export const SOCKET = "DELIVERY_SOCKET";

/** What the program says: what check-server.sh has printed, then what it is about. */
export type FromProgram = { report: string } | { stage: Stage };

/** What the program is about: requests are held until the server itself lets them in again. */
export type Stage = "loaded" | "looked" | "planned" | "swapping" | "making";

/** What the command answers to the report: why there can be no update now, or Docker's id of the image that it had built. */
export type FromCommand = { stop: string } | { imageId?: string };
