import * as pulumi from "@pulumi/pulumi";
import { agree } from "./conversation.ts";
import { callServer } from "./call-server.ts";
import { skipsGitHub } from "./check-github.ts";
import type { Settings } from "./config.ts";
import { hasRepositoryKey } from "./model/git.ts";
import { answerSeconds } from "./model/limits.ts";
import { majorOf } from "./model/postgres.ts";
import { bundle, uploadedCall } from "./model/scripts.ts";
import { explain, writeDeployKey } from "./model/ssh.ts";

/** What the server says of itself before anything is declared. */
export interface ServerReport {
  /** When files on the server last differed from what the stack put there (ISO 8601); empty where they never did. */
  driftedAt: string;
  /** Docker's id of the commit's image, where it was built already. */
  imageId?: string;
}

/**
 * Asks the server, before anything is declared, whether this configuration can work there: reachable with this host
 * key and login, Docker answering, directories writable, repository and commit available, the database's data of the
 * configured version and in the configured volume. Changes nothing.
 *
 * @throws pulumi.RunError with one sentence: the cause, the key to correct, what to do
 */
export async function checkServer(settings: Settings): Promise<ServerReport> {
  const { server, app, commit, database, sshPrivateKey } = settings;
  writeDeployKey(sshPrivateKey);
  // The repository may still refuse a key that this very update publishes.
  const key = !hasRepositoryKey(settings) ? "none" : skipsGitHub() ? "published" : "publishing";
  const names = { COMMIT: commit, KEY: key, MAJOR: majorOf(database.image)?.toString() };
  const answer = await callServer(server, uploadedCall("check-server.sh", settings, names), {
    withKey: sshPrivateKey !== undefined,
    seconds: answerSeconds(app.startSeconds),
    input: bundle("check-server.sh"),
  });
  const fault = explain(answer, settings);
  if (fault !== undefined) throw new pulumi.RunError(`${fault} Nothing was changed.`);
  const { drifted: driftedAt = "", image } = Object.fromEntries(
    answer.stdout.split("\n").map((line) => line.split("=")),
  ) as Record<string, string | undefined>;
  const built = await agree(answer.stdout);
  return { driftedAt, imageId: image ?? built };
}
