import { RELEASE_BACKUP_SECONDS } from "../../infra/model/limits.ts";
import { serverPaths } from "../../infra/model/paths.ts";
import { OperatorError } from "../command.ts";
import { lastLine } from "../run.ts";
import { type Server, UnreachableError } from "../server.ts";
import type { Stack } from "../stack.ts";
import { identityOf } from "./state.ts";

/** Exit status of a script that has given up waiting (scripts/server/lib/settings.sh). */
const BUSY = 75;

/**
 * Makes a verified backup before a release, beside everything else: the release may migrate the database, and going back to
 * the old commit does not bring the old data back.
 *
 * @param signal ends the wait, not the backup
 * @returns what to tell of it; undefined where the release puts no data at risk
 * @throws OperatorError where there could be no backup
 */
export async function backUpBefore(
  stack: Stack,
  server: Server,
  commit: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { settings, backupLog } = serverPaths(stack.settings.server);
  const words = [
    ...[settings, "--before-release", commit, "--log", backupLog],
    ...["--wait", String(RELEASE_BACKUP_SECONDS)],
  ];
  // Uploaded: that on the server may be of a version that knows no releases.
  const made = await server
    .script("backup-db.sh", identityOf(stack), { words, signal })
    .catch((error: unknown) => {
      if (error instanceof UnreachableError) return undefined;
      throw error;
    });
  if (made === undefined) return notBackedUp("the server could not be asked for it");
  const { status, stdout, stderr } = made;
  const said = lastLine(stderr).replace(/\.$/, "");
  if (status === 0) return stdout.trim() ? `backed up before: ${stdout.trim()}` : undefined;
  if (status === BUSY) return notBackedUp(said);
  throw new OperatorError(
    `The database could not be backed up before the release: ${said}; put that right, or release without it: ./delivery deploy --no-backup`,
  );
}

const notBackedUp = (why: string) => `not backed up before: ${why}`;
