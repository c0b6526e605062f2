// @ts-nocheck
import type { Server } from "../server.ts";

/** Whether the bot is healthy after an update; an update with nothing to do runs no health check itself. */
export async function isHealthy(server: Server): Promise<boolean> {
  const { status, stderr } = await server.script("await-healthy.sh", {}, { words: ["bot"] });
  if (status !== 0) console.error(stderr);
  return status === 0;
}
