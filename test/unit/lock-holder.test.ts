import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";
import { describeLock, findProcess, type Process } from "../../operator/lock-holder.ts";
import { notedUpdate } from "../../operator/update-notes.ts";

/** Above every process id that Linux gives. */
const NO_PROCESS = 2 ** 22 + 1;
const SINCE = "2026-01-01T00:00:00Z";

describe("the holder of a lock", () => {
  const of = (found: Process | undefined, changes = {}) =>
    describeLock(
      { username: "ann", hostname: hostname(), pid: 42, timestamp: SINCE, ...changes },
      () => found,
      () => undefined,
    );
  const PULUMI = ["/home/ann/.tools/bin/pulumi", "up", "--yes"];
  const at = (seconds: number) => Date.parse(SINCE) / 1000 + seconds;

  for (const [command, words] of [
    [[...PULUMI, "--message", "deploy 4f2c91e, by ann", "--stack", "x"], "deploy 4f2c91e, by ann"],
    [["pulumi", "--non-interactive", "refresh", "--yes"], "pulumi refresh"],
    [[...PULUMI, "--message"], "pulumi up"],
    [["pulumi"], "what it is doing is not known here"],
    [["node", "cli.ts"], "what it is doing is not known here"],
    [[], "what it is doing is not known here"],
  ] as [string[], string][]) {
    it(`does: ${words} (${command.join(" ")})`, () => {
      assert.deepEqual(of({ command, began: at(-1) }), {
        holder: `ann@${hostname()} (${words}; process 42, since 2026-01-01 00:00:00 UTC)`,
        state: "running",
      });
    });
  }

  it("did what this machine has noted, where its process is gone", () => {
    const file = { username: "ann", hostname: hostname(), pid: 42, timestamp: SINCE };
    const began = Date.parse(SINCE);
    const notes = [
      { pid: 41, message: "deploy other", began },
      { pid: 42, message: "deploy later", began: began + 60_000 },
      { pid: 42, message: "deploy 4f2c91e, by ann", began: began - 59_000 },
      { pid: 42, message: "deploy earlier", began: began - 60_000 },
    ];
    const noted = (pid: number, since: string) => notedUpdate(pid, since, notes);
    const { holder, state } = describeLock(file, () => undefined, noted);
    assert.equal(state, "dead");
    assert.match(holder, /\(deploy 4f2c91e, by ann; process 42, /);
    assert.match(describeLock({ ...file, pid: 43 }, () => undefined, noted).holder, /not known here/);
    assert.match(
      describeLock({ ...file, hostname: "elsewhere" }, () => undefined, noted).holder,
      /not known here/,
    );
  });

  it("is not a process that began later with its id, and does what that says no more", () => {
    const later = { command: ["sshd", "--message", "x"], began: at(61) };
    const { holder, state } = of(later);
    assert.equal(state, "dead");
    assert.match(holder, /\(what it is doing is not known here; process 42,/);
    assert.equal(of({ ...later, began: at(59) }).state, "running");
  });

  it("may be any process where nothing says otherwise, and any of Pulumi's", () => {
    assert.equal(of({}).state, "running");
    assert.equal(of({ command: ["sshd"] }).state, "running");
    assert.equal(of({ command: PULUMI, began: at(1e6) }).state, "running");
    assert.equal(of({ command: ["sshd"], began: at(1e6) }, { timestamp: "?" }).state, "running");
  });

  it("is looked for on this machine alone", () => {
    assert.equal(of({ command: PULUMI }, { hostname: "elsewhere" }).state, "unknown");
    assert.equal(of(undefined).state, "dead");
  });

  it("has a time in words, or as it was given", () => {
    assert.match(
      of(undefined, { timestamp: "2026-01-01T02:03:04.5+01:00" }).holder,
      /since 2026-01-01 01:03:04 UTC/,
    );
    assert.match(of(undefined, { timestamp: "noon" }).holder, /since noon\)/);
  });

  it("is a process with a command and a beginning", () => {
    const { command, began = 0 } = findProcess(process.pid) ?? {};
    assert.equal(command?.[0], process.argv0);
    assert.ok(Math.abs(began - (Date.now() / 1000 - process.uptime())) < 5, String(began));
    assert.equal(findProcess(NO_PROCESS), undefined);
    assert.ok(findProcess(1));
  });

  it("is none any more once it is dead, even where nothing asks for its end", async () => {
    // sleep takes the place of the shell, and does not ask for the end of the child that it gets with that. The shell would,
    // so the child lives until then. A shell gives what runs beside it no standard input of its own.
    const parent = spawn("sh", ["-c", "exec 3<&0; sh -c 'read end <&3; exit' & echo $!; exec sleep 60"]);
    const stat = (pid = 0) => readFileSync(`/proc/${pid}/stat`, "utf8");
    try {
      const [line] = (await once(parent.stdout, "data")) as [Buffer];
      const child = Number(line);
      assert.ok(findProcess(child));
      while (!stat(parent.pid).includes(" (sleep) ")) await setTimeout(10);
      parent.stdin.end("\n");
      while (!stat(child).includes(" (sh) Z ")) await setTimeout(10);
      assert.equal(findProcess(child), undefined);
    } finally {
      parent.kill();
    }
  });
});
