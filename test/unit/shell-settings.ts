import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settingsOnServer } from "../../infra/components/Backups.ts";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { settingsIn } from "./fixtures.ts";
import { bash, type Ended } from "./server-shell.ts";

const PARTS = "common settings words redact postgres contents backups manifest retention copies bot journal";

/** The scratch directory of the test that runs, in a suite with `withSettings`, and the settings file in it. */
export let directory: string;
export let settingsFile: string;

/** Gives each test of a suite the settings that a stack writes on its server, for directories of the test's own. */
export function withSettings(suite: Mocha.Suite): void {
  suite.beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "shell-test-"));
    settingsFile = join(directory, "settings");
    const { content } = settingsOnServer(settingsIn(directory, { backups: { query: "SELECT 1" } }));
    await writeFile(settingsFile, content as string);
  });
  suite.afterEach(() => rm(directory, { recursive: true, force: true }));
}

/** The head of a script that sources the library and reads the settings. */
export const head = () => `set -euo pipefail
  shopt -s inherit_errexit
  HERE=${directory}
  for part in ${PARTS}; do source ${SERVER_SCRIPTS}/lib/$part.sh; done
  set_exit_traps
  read_settings ${settingsFile}
`;

/** Runs shell after that head. */
export const sh = (script: string): Promise<Ended> => bash(["-c", head() + script], "");

/** What that prints; it must not fail. */
export async function answer(script: string): Promise<string> {
  const { status, stdout, stderr } = await sh(script);
  assert.equal(status, 0, stderr);
  return stdout;
}
