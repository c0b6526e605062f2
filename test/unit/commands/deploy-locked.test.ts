import assert from "node:assert/strict";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { history, listed, NEW, OLD } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

describe("deploy and another update", function () {
  withProject(this);

  /** What Pulumi says of the lock of a process of this machine, which is there. */
  const locked = (pid: number) => {
    project.lock({ pid, hostname: hostname() });
    return { status: 255, stderr: saidOf(String(pid), new Date().toISOString()) };
  };
  const LOCK = "state/.pulumi/locks/organization/hockey/test/1.json";
  const saidOf = (pid: string, since: string) =>
    `error: the stack is currently locked by 1 lock(s).\n  file://${project.directory}/${LOCK}: created by ann@${hostname()} (pid ${pid}) at ${since}`;

  it("that has the stack: it names the holder, and changes nothing", async () => {
    project.answer("pulumi up", locked(process.pid));
    const { status, stderr } = await project.run(["deploy", "--wait", "0"]);
    assert.equal(status, 3);
    assert.match(
      stderr,
      new RegExp(
        `^error: The stack is locked by ann@${hostname()} \\(what it is doing .*; process ${process.pid}, since 20.* UTC\\), which still runs`,
      ),
    );
    assert.equal(project.calls("pulumi up").length, 1);
    assert.ok(!project.called().includes("ssh await-healthy.sh"));
  });

  it("that was killed: it says how to go on, and goes on with --recover", async () => {
    project.answer("pulumi up", locked(2 ** 22 + 1), { update: {} });
    const { status, stderr } = await project.run(["deploy", "--new-server"]);
    assert.equal(status, 3);
    assert.match(stderr, /killed in the middle: ann@.* continue with: \.\/delivery deploy --recover/);
    project.answer("pulumi cancel", {});
    const recovered = await project.run(["deploy", "--recover"]);
    assert.deepEqual([recovered.status, recovered.stderr], [0, ""]);
    assert.ok(project.calls("pulumi cancel")[0]?.args.includes("--yes"));
    const called = project.called();
    assert.ok(called.indexOf("pulumi cancel") < called.lastIndexOf("pulumi up"));
  });

  it("that comes between a repair and what follows it: it names the holder", async () => {
    project
      .answer("ssh check-server.sh", { stdout: listed({ without: ["id-bot"] }) })
      .answer("pulumi refresh", locked(process.pid));
    const { status, stderr } = await project.run(["deploy", "--wait", "0"]);
    assert.equal(status, 3);
    assert.match(stderr, /^error: The stack is locked by ann@/);
  });

  it("that was killed: it says what that was doing, where it began here", async () => {
    // What was noted before may be damaged.
    project.write(".ssh/updates.json", "damaged");
    // Pulumi takes its lock, and is killed with its command.
    const holder = `{"pid":$$,"username":"ann","hostname":"${hostname()}","timestamp":"$(date -u +%FT%TZ)"}`;
    const lock = join(project.directory, LOCK);
    const take = `mkdir -p ${dirname(lock)}; echo "${holder.replaceAll('"', '\\"')}" >${lock}; exit 255`;
    const read = (key: string) => `$(sed 's/.*"${key}":"\\?\\([^",]*\\).*/\\1/' ${lock})`;
    const meet = `echo "${saidOf(read("pid"), read("timestamp"))}" >&2; exit 255`;
    project.answer("pulumi up", { talk: take }, { talk: meet });
    await project.run(["deploy", "--new-server"]);
    const { status, stderr } = await project.run(["deploy", "--new-server"]);
    assert.equal(status, 3);
    assert.match(
      stderr,
      /^error: An earlier update was killed in the middle: ann@\S+ \(deploy b2b2b2b, by ann; process \d+, since /m,
    );
  });

  it("that runs: --recover does not take its lock", async () => {
    project.lock({ pid: process.pid, hostname: hostname() });
    for (const args of [["deploy"], ["rollback"], ["database", "upgrade", "17"]]) {
      project.answer("ssh upgrade-db.sh", { stdout: "13 training_bot_db_data\n" });
      project.answer("pulumi stack history", { stdout: history([OLD, "succeeded"], [NEW, "succeeded"]) });
      const { status, stderr } = await project.run([...args, "--recover"]);
      assert.equal(status, 3);
      assert.match(
        stderr,
        /^error: --recover takes the stack from an update that was killed, and ann@.* still runs; wait/,
      );
    }
    assert.deepEqual(project.calls("pulumi cancel"), []);
  });

  it("on another machine: --recover takes its lock, as the operator says that it was killed", async () => {
    project.lock({ pid: process.pid, hostname: "elsewhere" });
    project.answer("pulumi cancel", { talk: "rm -r state" });
    assert.equal((await project.run(["deploy", "--recover"])).status, 0);
    assert.equal(project.calls("pulumi cancel").length, 1);
  });

  it("whose lock cannot be taken: it says why", async () => {
    project.answer("pulumi cancel", { status: 1, stderr: "error: not yours" });
    const { status, stderr } = await project.run(["deploy", "--recover"]);
    assert.deepEqual([status, stderr], [1, "error: The stack's lock cannot be taken: error: not yours"]);
  });

  it("that Pulumi finds: it says so, without another name where the backend tells none", async () => {
    project.answer("pulumi up", {
      status: 255,
      stderr: "error: [409] Conflict: Another update is currently in progress.",
    });
    const { status, stderr } = await project.run(["deploy", "--wait", "0"], {
      PULUMI_BACKEND_URL: "https://x",
    });
    assert.equal(status, 3);
    assert.match(stderr, /The stack is locked by another update \(.*\); wait for it/);
    assert.equal(project.calls("pulumi up").length, 1);
  });
});
