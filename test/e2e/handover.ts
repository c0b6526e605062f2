import type { Visit } from "./load.ts";
import type { World } from "./world.ts";

/**
 * Caddy goes over to another configuration in a millisecond: new servers listen beside the old ones, which then stop. What
 * has connected to an old one and has not been read by then is closed without an answer, by Go's net/http (`conn.serve`)
 * and, in the socket's queue, by the kernel. Where that happens between the two hops, the first one answers 503.
 */
export interface Handover {
  /** Milliseconds since 1970. */
  from: number;
  to: number;
}

const OLD_STOP = "servers shutting down with eternal grace period";
const NEW_SERVE = "load complete";
/** Caddy says so once it has told the old servers to stop, and not when they have; milliseconds. */
const STOPPING = 50;
/** What Node's client says of a connection that was closed before any answer, or the first hop's answer. */
const DROPPED = /^(socket hang up|(connect|read|write) ECONNRESET\b.*|status 503)$/;

/** The handovers in a log of Caddy's, a JSON object a line. */
export function handoversIn(log: string): Handover[] {
  const lines = log
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { ts: number; msg: string });
  const times = (msg: string) => lines.filter((line) => line.msg === msg).map(({ ts }) => ts * 1000);
  const ends = times(NEW_SERVE);
  return times(OLD_STOP).flatMap((from) => {
    const to = ends.find((end) => end >= from);
    return to === undefined ? [] : [{ from, to }];
  });
}

/** The handovers of a world's proxy. */
export async function handoversOf(world: World): Promise<Handover[]> {
  return handoversIn(await world.onServer("sh", "-c", "docker logs training_bot_proxy 2>&1"));
}

/** Whether a request was under way in a handover and was dropped then. */
export function isDropped(
  { at, milliseconds, fault = "" }: Omit<Visit, "method">,
  handovers: Handover[],
): boolean {
  // The clock counts whole milliseconds, and cuts the rest off.
  const end = at + milliseconds + 1;
  return DROPPED.test(fault) && handovers.some(({ from, to }) => at <= to + STOPPING && from <= end);
}
