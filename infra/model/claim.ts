import { serverPaths } from "./paths.ts";
import type { ServerSettings } from "./schema.ts";

/**
 * Why an update may not touch the stack's directories on the server: they bear the stack's name, but another state has
 * claimed them. Undefined where it may.
 *
 * @param claimed the id with which they are claimed; undefined where they are not
 * @param id the one that this state knows; undefined where it knows none yet
 * @param stack the stack's full name
 */
export function refuseClaim(
  claimed: string | undefined,
  id: string | undefined,
  stack: string,
  server: ServerSettings,
): string | undefined {
  if (claimed === undefined || claimed === id) return undefined;
  const { host, port, user, deployPath } = server;
  const remove = `ssh -p ${port} ${user}@${host} rm ${serverPaths(server).claim}`;
  return `The directory ${deployPath} on the server belongs to the stack ${stack} of another state than this one; use that state (PULUMI_BACKEND_URL names where it is), or, if it is lost for good, take the directory over with: ${remove}`;
}
