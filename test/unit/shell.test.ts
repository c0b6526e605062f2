import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { settingsOnServer } from "../../infra/components/Backups.ts";
import { RESTORE_STAGES, UPGRADE_STAGES } from "../../infra/model/journal.ts";
import { rawConfig, settings } from "./fixtures.ts";

const LIB = join(import.meta.dirname, "..", "..", "scripts", "server", "lib");

describe("the library of the scripts on the server", () => {
  let directory: string;
  let settingsFile: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "shell-test-"));
    settingsFile = join(directory, "settings");
    const { server } = rawConfig() as { server: object };
    const { content } = settingsOnServer(
      settings({
        server: { ...server, backupPath: join(directory, "backups") },
        backups: { query: "SELECT 1" },
      }),
    );
    await writeFile(settingsFile, content as string);
  });

  afterEach(() => rm(directory, { recursive: true, force: true }));

  /** The head of a script that sources the library and reads the settings. */
  const head = () => `set -euo pipefail
    shopt -s inherit_errexit
    HERE=${directory}
    for part in common settings postgres backups manifest bot journal; do source ${LIB}/$part.sh; done
    set_exit_traps
    read_settings ${settingsFile}
  `;

  /** Runs shell after that head. */
  async function sh(script: string): Promise<{ status: number; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      const child = execFile("bash", ["-c", head() + script], (_, stdout, stderr) => {
        resolve({ status: child.exitCode ?? -1, stdout: stdout.trim(), stderr: stderr.trim() });
      });
    });
  }

  async function answer(script: string): Promise<string> {
    const { status, stdout, stderr } = await sh(script);
    assert.equal(status, 0, stderr);
    return stdout;
  }

  describe("settings", () => {
    it("are all that the stack writes", async () => {
      assert.equal(
        await answer('echo "${setting[page]} ${setting[holdSeconds]} [${setting[remote]}]"'),
        "5000/health 71 []",
      );
      assert.equal((await stat(join(directory, "backups"))).mode & 0o777, 0o700);
    });

    for (const key of ["directory", "keepAtLeast", "upgradeHoldSeconds", "firstVersionedPostgres"]) {
      it(`without ${key} are refused`, async () => {
        const text = await readFile(settingsFile, "utf8");
        await writeFile(settingsFile, text.replace(new RegExp(`^${key}=.*\n`, "m"), ""));
        const { status, stderr } = await sh("");
        assert.equal(status, 1);
        assert.equal(
          stderr,
          `The settings file ${settingsFile} has no ${key}; run \`pulumi up\`, which writes it anew.`,
        );
      });
    }

    it("come with a lock that one script holds at a time", async () => {
      const script = `take_lock 0; (exec 9>&-; take_lock 0) && echo twice || echo "$?"`;
      const { stdout, stderr } = await sh(script);
      assert.equal(stdout, "75");
      assert.equal(stderr, "Another backup, restore or upgrade is running; try again when it has ended.");
    });
  });

  describe("a backup", () => {
    it("is as old as its name says", async () => {
      assert.equal(
        await answer('date() { command date "$@"; }; age_of hockey_db_2026-01-02_030405.sql.gz').then(
          (age) => Math.abs(Number(age) - (Date.now() / 1000 - Date.UTC(2026, 0, 2, 3, 4, 5) / 1000)) < 5,
        ),
        true,
      );
      assert.equal(
        await answer("for s in 7199 7200 172799 172800; do age_in_words $s; done"),
        "119 min\n2 h\n47 h\n2 days",
      );
    });

    const newer = "hockey_db_2026-01-02_000000.sql.gz";
    const older = "hockey_db_2026-01-01_000000.sql.gz";

    it("is listed by the time in its name, and no other file is", async () => {
      await answer(
        `cd "\${setting[directory]}"; touch ${older} ${newer} ${newer}.sha256 .partial chess_db_2026-01-02_000000.sql.gz`,
      );
      assert.equal(await answer("backups"), `${newer}\n${older}`);
    });

    it("is verified by its newest line in the manifest; a damaged line is none", async () => {
      await answer(`
        record "$(manifest_entry ${older} 10 sum 13.1 2 false '{"rows":{}}')"
        record "$(manifest_entry ${older} 10 sum 13.1 2 true '{"rows":{"a":1}}')"
        printf '{"file":"${newer}","verified":true,"cont' >>"\${setting[directory]}/manifest.jsonl"
        touch "\${setting[directory]}/"{${older},${newer}}
        record "$(manifest_entry other 10 sum 13.1 2 true '{}')"`);
      assert.equal(await answer(`is_verified ${older} && echo yes`), "yes");
      assert.equal(await answer(`is_verified ${newer} || echo no`), "no");
      assert.equal(await answer("latest_backup"), older);
      assert.equal(
        await answer(`line=$(manifest_line ${older}); file_in "$line"; contents_in "$line"`),
        `${older}\n{"rows":{"a":1}}`,
      );
      const list = JSON.parse(await answer("backups_json")) as { file: string; verified: boolean }[];
      assert.deepEqual(
        list.map(({ file, verified }) => [file, verified]),
        [
          [newer, false],
          [older, true],
        ],
      );
    });

    it("is described with all others at once, by few processes", async () => {
      const names = Array.from({ length: 50 }, (_, day) => {
        const time = new Date(Date.UTC(2026, 0, 1 + day)).toISOString();
        return `hockey_db_${time.slice(0, 10)}_000000.sql.gz`;
      });
      await answer(`
        for name in ${names.join(" ")}; do printf 12345 >"\${setting[directory]}/$name"; done
        record "$(manifest_entry ${names[1] ?? ""} 5 sum 13.1 2 true '{}')"`);
      const lines = (await answer("describe_backups")).split("\n").map((line) => line.split(" "));
      assert.deepEqual(
        lines.map(([name]) => name),
        [...names].reverse(),
      );
      assert.deepEqual(
        lines.filter(([, , , verified]) => verified === "true").map(([name]) => name),
        [names[1]],
      );
      const [, age, bytes] = lines[0] ?? [];
      assert.equal(bytes, "5");
      assert.ok(Math.abs(Number(age) - (Date.now() / 1000 - Date.UTC(2026, 1, 19) / 1000)) < 60);
      const called = await answer(`
        for tool in date find grep awk stat tail; do
          eval "$tool() { echo $tool >>${directory}/called; command $tool \\"\\$@\\"; }"
        done
        describe_backups >/dev/null; sort ${directory}/called`);
      assert.equal(called, "awk\ndate\nfind\nfind\ngrep");
    });

    it("with an impossible time in its name is refused", async () => {
      await answer('touch "${setting[directory]}/hockey_db_2026-13-01_000000.sql.gz"');
      const { status, stderr } = await sh("describe_backups");
      assert.equal(status, 1);
      assert.match(stderr, /A backup in .* has a time in its name that there is not \(see above\); /);
    });

    it("must exist before the newest is named", async () => {
      const { status, stderr } = await sh("latest_backup");
      assert.equal(status, 1);
      assert.match(stderr, /^There is no verified backup in .*; name one that `\.\/delivery backups` lists/);
    });
  });

  it("writes a failure as JSON, whatever is in the sentence", async () => {
    assert.deepEqual(JSON.parse(await answer(`error_json $'a "b" \\\\ c\\nd'`)), { error: "a b  cd" });
  });

  it("hands a query to psql as a value", async () => {
    const digest = await answer(`setting[query]="SELECT 'a\\\\b'"; query_digest`);
    assert.equal(
      digest,
      "\\set query 'SELECT ''a\\\\b'''\nSELECT md5(query_to_xml(:'query', true, true, '')::text);",
    );
  });

  it("says in a line how contents differ", async () => {
    assert.equal(
      await answer(`differences '{"a" : 1,"b" : 2}' '{"a" : 1,"b" : 3}'`),
      '< "b" : 2} > "b" : 3}',
    );
    assert.equal(
      await answer(`count_tables '{"rows":{},"objects":{"r" : 3, "p" : 2, "v" : 7}}'; count_tables '{}'`),
      "5\n0",
    );
  });

  it("returns with a status, because in a trap bash would take that of the command before the trap", async () => {
    const scripts = join(LIB, "..");
    const files = (await readdir(scripts, { recursive: true })).filter((name) => name.endsWith(".sh"));
    assert.ok(files.length > 10);
    for (const file of files) {
      const text = await readFile(join(scripts, file), "utf8");
      assert.doesNotMatch(text, /\breturn *(?:[;}|&\n]|$)/, file);
    }
  });

  describe("the journal", () => {
    const JOURNAL = () => join(directory, "backups", ".restore");
    const isThere = (path: string) => stat(path).then(Boolean, () => false);

    /** A script with a change of one value in a file; a stage each, and then whatever comes. */
    async function changing(rest: string): Promise<string> {
      const path = join(directory, "change.sh");
      const script = `#!/usr/bin/env bash
        ${head()}
        undo() {
          had_reached stopping && cp ${directory}/before ${directory}/value
          echo "undone while \${was[stage]}, \${was[old]}"
        }
        old=$(cat ${directory}/before)
        use_journal restore old
        if [[ \${2-} == watch ]]; then watch; exit; fi
        begin_change loading
        enter stopping
        echo new >${directory}/value
        ${rest}`;
      await writeFile(path, script, { mode: 0o755 });
      await writeFile(join(directory, "before"), "as it was");
      return path;
    }

    const value = () => readFile(join(directory, "value"), "utf8");

    it("knows the stages that the commands know, in their order", async () => {
      assert.deepEqual((await answer("echo ${setting[restoreStages]}")).split(" "), RESTORE_STAGES);
      assert.deepEqual((await answer("echo ${setting[upgradeStages]}")).split(" "), UPGRADE_STAGES);
    });

    for (const [change, stages] of [
      ["restore", RESTORE_STAGES],
      ["upgrade", UPGRADE_STAGES],
    ] as const) {
      it(`tells how far the ${change} had come`, async () => {
        const script = `use_journal ${change}
          for at in ${stages.join(" ")}; do was[stage]=$at
            for of in ${stages.join(" ")}; do had_reached $of && printf 1 || printf 0; done; echo
          done`;
        const expected = stages.map((_, at) => stages.map((__, of) => (of <= at ? "1" : "0")).join(""));
        assert.deepEqual((await answer(script)).split("\n"), expected);
      });
    }

    it("keeps the stage and the fields, and goes at the end", async () => {
      const path = await changing(`cat "$journal"; end_change; cat ${directory}/value`);
      const { stdout } = await run(path);
      assert.equal(stdout, "stage=stopping\nold=as it was\nnew");
      assert.equal(await isThere(JOURNAL()), false);
    });

    it("is undone by the failing script itself, which keeps its status", async () => {
      const { status, stdout } = await run(await changing("exit 7"));
      assert.equal(status, 7);
      assert.equal(stdout, "undone while stopping, as it was");
      assert.equal(await value(), "as it was");
      assert.equal(await isThere(JOURNAL()), false);
    });

    it("is undone by the watcher when the script is killed", async () => {
      const child = spawn(await changing("kill -KILL $$"), { stdio: "ignore" });
      const [, signal] = (await once(child, "exit")) as [number, string];
      assert.equal(signal, "SIGKILL");
      for (let tries = 0; (await isThere(JOURNAL())) && tries < 80; tries += 1) await sleep(100);
      assert.equal(await value(), "as it was");
      const log = await readFile(join(directory, "backups", "restore.log"), "utf8");
      assert.match(log, /^undone while stopping, as it was$/m);
    });

    it("stays while it cannot be undone", async () => {
      const path = await changing("exit 7");
      await writeFile(path, (await readFile(path, "utf8")).replace("undo() {", 'undo() { refuse "not yet"'));
      const { status, stderr } = await run(path);
      assert.equal(status, 1);
      assert.match(stderr, /not yet/);
      assert.equal(await isThere(JOURNAL()), true);
    });

    for (const [how, delay] of [
      ["leaves no watcher behind after success", 0],
      ["leaves none behind that is slow to start", 0.5],
    ] as const) {
      it(how, async () => {
        await slowSetsid(delay);
        const { stdout } = await run(await changing("end_change; echo $watcher"));
        assert.deepEqual(await livingMembers(Number(stdout)), []);
      });
    }

    it("begins once its watcher watches, and not without", async () => {
      await slowSetsid(0, "exit 1");
      const { status, stderr } = await run(await changing("end_change"));
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^The restore has not begun, because its watcher did not start; see .*restore\.log/,
      );
      assert.equal(await isThere(JOURNAL()), false);
      assert.equal(await isThere(join(directory, "value")), false);
    });

    /** The scripts find this setsid first: it waits some seconds, and then does its work or what it is told. */
    async function slowSetsid(seconds: number, then = 'exec /usr/bin/setsid "$@"'): Promise<void> {
      const script = `#!/bin/sh\nsleep ${String(seconds)}\n${then}\n`;
      await writeFile(join(directory, "setsid"), script, { mode: 0o755 });
    }

    /** The processes that run of the group that a process leads, or will lead; one that has ended may stay listed until its parent asks for its status. */
    async function livingMembers(leader: number): Promise<string[]> {
      const stats = (await readdir("/proc"))
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
      return (await Promise.all(stats)).filter((line) => {
        const [state, , members] = line.slice(line.lastIndexOf(")") + 2).split(" ");
        return [parseInt(line), Number(members)].includes(leader) && state !== "Z" && state !== "X";
      });
    }

    function run(path: string): Promise<{ status: number; stdout: string; stderr: string }> {
      return new Promise((resolve) => {
        const env = { ...process.env, PATH: `${directory}:${process.env.PATH ?? ""}` };
        const child = execFile(path, [settingsFile], { env }, (_, stdout, stderr) => {
          resolve({ status: child.exitCode ?? -1, stdout: stdout.trim(), stderr: stderr.trim() });
        });
      });
    }
  });
});
