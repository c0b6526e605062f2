import * as pulumi from "@pulumi/pulumi";
import { askServer } from "./ask-server.ts";
import type { Settings } from "./config.ts";
import { agree, seenByCommand } from "./conversation.ts";
import { explain, writeDeployKey } from "./model/ssh.ts";

/** What the server says of itself before anything is declared. */
export interface ServerReport {
  /** When files on the server last differed from what the stack put there (ISO 8601); empty where they never did. */
  driftedAt: string;
  /** When an update last found no certificate for the domain (ISO 8601); empty where that never was so. */
  uncertifiedAt: string;
  /** Docker's id of the commit's image, where it was built already. */
  imageId?: string;
  /** The id with which the stack's directory is claimed; undefined where none has claimed it. */
  claim?: string;
  /** The digest of the manifest of what the stack has put there. */
  manifest?: string;
  /** Whether ./delivery knows that this update replaces the bot. */
  isRelease: boolean;
}

/**
 * Asks the server, before anything is declared, whether this configuration can work there: reachable with this host
 * key and login, Docker answering, directories writable, repository and commit available, the database's data of the
 * configured version and in the configured volume. Changes nothing.
 *
 * @throws pulumi.RunError with one sentence: the cause, the key to correct, what to do
 */
export async function checkServer(settings: Settings): Promise<ServerReport> {
  writeDeployKey(pulumi.getStack(), settings.sshPrivateKey);
  const report = (await seenByCommand()) ?? (await look(settings));
  const {
    drifted: driftedAt = "",
    uncertified: uncertifiedAt = "",
    image,
    claim,
    manifest,
  } = Object.fromEntries(report.split("\n").map((line) => line.split("="))) as Record<
    string,
    string | undefined
  >;
  const { imageId: built, isRelease = false } = await agree(report);
  return { driftedAt, uncertifiedAt, imageId: image ?? built, claim, manifest, isRelease };
}

async function look(settings: Settings): Promise<string> {
  const answer = await askServer(
    settings,
    { project: pulumi.getProject(), stack: pulumi.getStack() },
    pulumi.runtime.isDryRun(),
  );
  const fault = explain(answer, settings);
  if (fault !== undefined) throw new pulumi.RunError(`${fault} Nothing was changed.`);
  return answer.stdout;
}
