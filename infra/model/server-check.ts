import { hasRepositoryKey } from "./git.ts";
import { majorOf } from "./postgres.ts";
import { bundle, uploadedCall } from "./scripts.ts";
import type { StackSettings } from "./server-settings.ts";

/**
 * The call of check-server.sh that asks whether a configuration can work on the server: the program's before it declares
 * anything, or ./delivery's while the program is loaded.
 *
 * @param stack the stack's full name
 * @param withGitHub whether the update makes what the stack has on GitHub, too
 */
export function checkCall(
  stack: string,
  settings: StackSettings & { commit: string },
  { withGitHub }: { withGitHub: boolean },
): { words: string[]; input: string } {
  const { commit, database } = settings;
  // The repository may still refuse a key that this very update publishes.
  const key = !hasRepositoryKey(settings) ? "none" : withGitHub ? "publishing" : "published";
  const names = { STACK: stack, COMMIT: commit, KEY: key, MAJOR: majorOf(database.image)?.toString() };
  return { words: uploadedCall("check-server.sh", settings, names), input: bundle("check-server.sh") };
}
