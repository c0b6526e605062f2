import { hasRepositoryKey } from "../../infra/model/git.ts";
import { OperatorError } from "../command.ts";
import { lastLine } from "../run.ts";
import { type Server, UnreachableError } from "../server.ts";
import type { Stack } from "../stack.ts";
import { identityOf } from "./state.ts";

/**
 * Builds a commit's image on the server, beside everything else, and gives Docker's id of it. One that is there is not
 * built again.
 *
 * @returns undefined where only the update itself can build it: the first one claims the place for it, one that publishes
 *   the server's key lets it read the repository, and one with another deploy key gets in
 * @throws OperatorError with the script's last words
 */
export async function buildImage(stack: Stack, server: Server, commit: string): Promise<string | undefined> {
  const { settings } = stack;
  const names = { IMAGE: settings.name, COMMIT: commit, ...identityOf(stack) };
  const built = await server.script("build-image.sh", names, { show: ["stderr"] }).catch((error: unknown) => {
    if (error instanceof UnreachableError) return undefined;
    throw error;
  });
  if (built === undefined) return undefined;
  const { status, stdout, stderr } = built;
  if (status === 0) return stdout.trim() || undefined;
  if (hasRepositoryKey(settings)) return undefined;
  throw new OperatorError(lastLine(stderr));
}
