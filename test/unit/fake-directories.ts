import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Arguments, bundle, type ScriptName, uploadedCall } from "../../infra/model/scripts.ts";
import { settingsFile } from "../../infra/model/server-settings.ts";
import { settingsIn } from "./fixtures.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

export const COMMIT = "0".repeat(40);

/** Answers what `inventory`, `volume` and `there` say of containers. */
const DOCKER = `#!/bin/sh
cd "$WORLD"
case $* in
  version*) echo 1 ;;
  'container inspect --format'*State.Status*) cat inventory 2>/dev/null ;;
  'container inspect --format'*Mounts*) cat volume 2>/dev/null ;;
  'container inspect'*) [ -e there ] ;;
  'image inspect'*) exit 1 ;;
esac`;
/** The repository has every commit that is asked for. */
const GIT = `#!/bin/sh\necho '${COMMIT} refs/heads/main'`;
const CRONTAB = `#!/bin/sh\n[ ! -e "$WORLD/crontab" ] || cat "$WORLD/crontab"`;

/** A server's directories, with the few programs that the scripts ask. */
export class Directories extends TemporaryDirectory {
  constructor() {
    super("ownership-");
    for (const [tool, text] of Object.entries({ docker: DOCKER, git: GIT, crontab: CRONTAB })) {
      this.write(`bin/${tool}`, text);
      spawnSync("chmod", ["+x", join(this.directory, "bin", tool)]);
    }
  }

  remove(path: string): void {
    rmSync(join(this.directory, path));
  }

  /** A configuration with its directories here. */
  stack(changes?: Record<string, unknown>, directories?: [string, string]) {
    return settingsIn(this.directory, changes, directories);
  }

  /** Uploads a script, as a caller with that configuration does. */
  run<S extends ScriptName>(script: S, names: Arguments<S>, stack = this.stack(), words: string[] = []) {
    const [command = "", ...args] = uploadedCall(script, stack, names, words);
    const env = { PATH: `${this.directory}/bin:${process.env.PATH ?? ""}`, WORLD: this.directory };
    const ended = spawnSync(command, args, { env, input: bundle(script), encoding: "utf8" });
    return { status: ended.status, stdout: ended.stdout.trim(), stderr: ended.stderr.trim() };
  }

  check(stack = this.stack(), name = "hockey/test") {
    return this.run("check-server.sh", { STACK: name, COMMIT, KEY: "none", MAJOR: "13" }, stack);
  }

  /** Another stack on the server, which its crontab names. */
  neighbour(changes: Record<string, unknown>, directories: [string, string], claim?: string): void {
    const [deploy] = directories;
    this.write(`${deploy}/backups/settings`, settingsFile(this.stack(changes, directories)));
    if (claim !== undefined) this.write(`${deploy}/stack`, `${claim} id-other\n`);
    const path = join(this.directory, deploy);
    const block = `# BEGIN backups of ${path} (written by the stack; changes are lost)\n`;
    this.write("crontab", block);
  }
}
