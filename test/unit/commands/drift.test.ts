import assert from "node:assert/strict";
import { hostname, userInfo } from "node:os";
import { relative } from "node:path";
import { FakeProject } from "../fake-tools.ts";
import { project, withProject } from "../project.ts";

describe("drift", function () {
  withProject(this, () => new FakeProject());

  const writes = () =>
    project.calls("ssh install").map(({ command, stdin }) => [command.split("/").at(-1), stdin]);
  beforeEach(() => {
    project.answer("ssh check-files.sh", {}).answer("pulumi refresh", {}).answer("ssh install", {});
  });

  it("finds none on a server that is as the stack left it, and remembers that", async () => {
    const { status, stdout } = await project.run(["drift"]);
    assert.equal(status, 0);
    assert.match(stdout, /^no drift/);
    assert.ok(project.calls("pulumi refresh")[0]?.args.includes("--preview-only"));
    const [[name, written] = [], ...more] = writes();
    assert.deepEqual([name, more], ["drift.json", []]);
    assert.equal((JSON.parse(written ?? "") as { drifted: boolean }).drifted, false);
  });

  it("names files that differ, and remembers since when for the next update", async () => {
    project.answer("ssh check-files.sh", { stdout: "changed bin/x.sh\nmissing proxy/Caddyfile\n" });
    const { status, stdout } = await project.run(["drift"]);
    assert.equal(status, 2);
    assert.match(stdout, /^changed bin\/x\.sh in \/home\/deploy\/hockey\nmissing proxy\/Caddyfile in /);
    assert.match(stdout, /pulumi up/);
    assert.deepEqual(
      writes().map(([name]) => name),
      ["damaged", "drift.json"],
    );
  });

  it("shows what Pulumi finds", async () => {
    project.answer("pulumi refresh", { status: 7, stdout: "~ docker:Container bot-container\n" });
    const { status, stdout } = await project.run(["drift"]);
    assert.equal(status, 2);
    assert.match(
      stdout,
      /^~ docker:Container bot-container\n\n.*differ from the stack; .*\.\/delivery deploy/,
    );
    assert.match(writes()[0]?.[1] ?? "", /"drifted":true/);
  });

  it("shows all that Pulumi says where it cannot compare, the last line last", async () => {
    project.answer("pulumi refresh", { status: 255, stdout: "Diagnostics:\n  one\n  two\n" });
    const { stderr } = await project.run(["drift"]);
    assert.equal(stderr, "Diagnostics:\n  one\nerror: Pulumi could not compare: two");
  });

  it("ends with 1 where Pulumi cannot compare, and remembers nothing", async () => {
    project.answer("pulumi refresh", { status: 255, stderr: "error: no plugin" });
    const { status, stderr } = await project.run(["drift"]);
    assert.deepEqual([status, stderr], [1, "error: Pulumi could not compare: error: no plugin"]);
    assert.deepEqual(writes(), []);
  });

  it("ends with 3 while an update has the stack", async () => {
    project.lock({ pid: process.pid, hostname: hostname() });
    const { status, stderr } = await project.run(["drift", "--wait", "0"]);
    assert.equal(status, 3);
    assert.match(stderr, /^error: The stack is locked by ann@/);
    assert.deepEqual(project.called(), []);
  });

  it("finds the update's lock on a backend that Pulumi names itself", async () => {
    project.lock({ pid: process.pid, hostname: hostname() });
    const home = relative(userInfo().homedir, project.directory);
    const backend = { url: `file://~/${home}/state?no_tmp_dir=true` };
    project.answer("pulumi whoami", { stdout: JSON.stringify(backend) });
    const { status } = await project.run(["drift", "--wait", "0"], { PULUMI_BACKEND_URL: undefined });
    assert.equal(status, 3);
  });

  it("says so where the backend is out of reach", async () => {
    project.answer("pulumi whoami", { status: 1, stderr: "error: no login" });
    const { status, stderr } = await project.run(["drift"], { PULUMI_BACKEND_URL: undefined });
    assert.deepEqual([status, stderr], [1, "error: Pulumi's backend is out of reach: error: no login"]);
  });

  it("takes no change of an update that began meanwhile for drift", async () => {
    project.answer("ssh check-files.sh", { stdout: "changed bin/x.sh\n" });
    project.answer("pulumi refresh", { talk: `${project.lockLater()}; exit 7` });
    const { status } = await project.run(["drift", "--wait", "0"]);
    assert.equal(status, 3);
    assert.deepEqual(writes(), []);
  });

  it("counts an unfinished operation as an update where the backend shows no locks", async () => {
    const pending = {
      deployment: { pending_operations: [{ type: "creating", resource: { urn: "a::bot" } }] },
    };
    project.answer("pulumi stack export", { stdout: JSON.stringify(pending) });
    const { status, stderr } = await project.run(["drift", "--wait", "0"], {
      PULUMI_BACKEND_URL: "https://x",
    });
    assert.equal(status, 3);
    assert.match(stderr, /The stack is locked by another update/);
  });
});
