// @ts-nocheck
import * as pulumi from "@pulumi/pulumi";
import { execa } from "execa";
import { skipsGitHub } from "./check-github.ts";
import type { Settings } from "./config.ts";
import { hasRepositoryKey } from "./model/git.ts";
import { majorOf } from "./model/postgres.ts";
import { bundle, uploadedCall } from "./model/scripts.ts";
import { explain, NO_CONNECTION, shellCommand, sshOptions, writeDeployKey } from "./model/ssh.ts";

/** Milliseconds for the whole answer; the longest question in it is to a git server. */
const TIMEOUT = 60_000;

/**
 * Asks the server, before anything is declared, whether this configuration can work there: reachable with this host
 * key and login, Docker answering, directories writable, repository and commit available, the database's data of the
 * configured version and in the configured volume. Changes nothing.
 *
 * @returns when files on the server last differed from what the stack put there (ISO 8601); empty where they never did
 * @throws pulumi.RunError with one sentence: the cause, the key to correct, what to do
 */
export async function checkServer(settings: Settings): Promise<string> {
  const { server, commit, database, sshPrivateKey } = settings;
  writeDeployKey(sshPrivateKey);
  // The repository may still refuse a key that this very update publishes.
  const key = !hasRepositoryKey(settings) ? "none" : skipsGitHub() ? "published" : "publishing";
  const names = { COMMIT: commit, KEY: key, MAJOR: majorOf(database.image)?.toString() };
  const command = shellCommand(uploadedCall("check-server.sh", settings, names));
  const options = sshOptions(server, sshPrivateKey !== undefined);
  const {
    exitCode = NO_CONNECTION,
    stdout,
    stderr,
  } = await execa("ssh", [...options, "-p", String(server.port), "-l", server.user, server.host, command], {
    input: bundle("check-server.sh"),
    reject: false,
    timeout: TIMEOUT,
  });
  const fault = explain({ status: exitCode, stdout, stderr }, settings);
  if (fault !== undefined) throw new pulumi.RunError(`${fault} Nothing was changed.`);
  return stdout.trim();
}
