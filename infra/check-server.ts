import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { execa } from "execa";
import { skipsGitHub } from "./check-github.ts";
import type { Settings } from "./config.ts";
import { gitSsh, hasRepositoryKey } from "./model/git.ts";
import { majorOf } from "./model/postgres.ts";
import { databaseVolume } from "./model/schema.ts";
import { explain, shellCommand, sshOptions, writeDeployKey } from "./model/ssh.ts";

const SCRIPT = join(import.meta.dirname, "..", "scripts", "server", "check-server.sh");
/** Milliseconds for the whole answer; the longest question in it is to a git server. */
const TIMEOUT = 60_000;
/** ssh's own status for "no connection", also given where ssh itself was ended. */
const NO_CONNECTION = 255;

/**
 * Asks the server, before anything is declared, whether this configuration can work there: reachable with this host
 * key and login, Docker answering, directories writable, repository and commit available, the database's data of the
 * configured version and in the configured volume. Changes nothing.
 *
 * @returns when files on the server last differed from what the stack put there (ISO 8601); empty where they never did
 * @throws pulumi.RunError with one sentence: the cause, the key to correct, what to do
 */
export async function checkServer(settings: Settings): Promise<string> {
  const { server, app, name, commit, database, sshPrivateKey } = settings;
  writeDeployKey(sshPrivateKey);
  // A key that this very update publishes need not open the repository yet.
  const key = !hasRepositoryKey(settings) ? "none" : skipsGitHub() ? "published" : "publishing";
  const repository = [app.repository, commit, gitSsh(settings), key];
  const data = [String(majorOf(database.image) ?? ""), databaseVolume(settings)];
  const args = [server.deployPath, server.backupPath, name, ...repository, ...data];
  const command = shellCommand(["bash", "-s", "--", ...args]);
  const options = sshOptions(server, sshPrivateKey !== undefined);
  const {
    exitCode = NO_CONNECTION,
    stdout,
    stderr,
  } = await execa("ssh", [...options, "-p", String(server.port), "-l", server.user, server.host, command], {
    input: readFileSync(SCRIPT, "utf8"),
    reject: false,
    timeout: TIMEOUT,
  });
  const fault = explain({ status: exitCode, stdout, stderr }, settings);
  if (fault !== undefined) throw new pulumi.RunError(`${fault} Nothing was changed.`);
  return stdout.trim();
}
