import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RESTORE_STAGES, UPGRADE_STAGES } from "../../infra/model/journal.ts";
import type { Ended } from "./server-shell.ts";
import { answer, directory, head, settingsFile, withSettings } from "./shell-settings.ts";

describe("the journal of a change on the server", function () {
  withSettings(this);

  const JOURNAL = () => join(directory, "backups", ".restore");
  const isThere = (path: string) => stat(path).then(Boolean, () => false);

  const UNDO = () => `undo() {
        had_reached stopping && cp ${directory}/before ${directory}/value
        echo "undone while \${was[stage]}, \${was[old]}"
      }`;

  /** A script with a change of one value in a file; a stage each, and then whatever comes. */
  async function changing(rest: string, undo = UNDO()): Promise<string> {
    const path = join(directory, "change.sh");
    const script = `#!/usr/bin/env bash
      ${head()}
      ${undo}
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

  it("is undone by the watcher where something of that fails in the script", async () => {
    const once = `undo() {
        if mkdir ${directory}/tried; then false; touch ${directory}/went-on; fi
        cp ${directory}/before ${directory}/value
      }`;
    const { status } = await run(await changing("exit 7", once));
    assert.equal(status, 1);
    for (let tries = 0; (await isThere(JOURNAL())) && tries < 80; tries += 1) await sleep(100);
    assert.equal(await value(), "as it was");
    assert.equal(await isThere(join(directory, "went-on")), false);
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
    assert.match(stderr, /^The restore has not begun, because its watcher did not start; see .*restore\.log/);
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

  function run(path: string): Promise<Ended> {
    return new Promise((resolve) => {
      const env = { ...process.env, PATH: `${directory}:${process.env.PATH ?? ""}` };
      const child = execFile(path, [settingsFile], { env }, (_, stdout, stderr) => {
        resolve({ status: child.exitCode ?? -1, stdout: stdout.trim(), stderr: stderr.trim() });
      });
    });
  }
});
