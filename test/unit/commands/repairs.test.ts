import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { TYPES } from "../../../infra/model/names.ts";
import { FakeProject, type Reply } from "../fake-tools.ts";
import { answerRelease, DOCKER, exported, history, listed, LIVE, NEW, OLD, urn } from "../live-stack.ts";

describe("deploy, where state and server differ:", function () {
  // Each command starts a process, which takes seconds on a busy machine.
  this.timeout(60_000);
  let project: FakeProject;

  beforeEach(() => {
    project = answerRelease(new FakeProject({ commit: OLD }));
  });
  afterEach(() => {
    project.close();
  });

  const updates = () => project.calls("pulumi up");
  /** The flags of the last update beside those that each one has. */
  const flags = () => {
    const args = updates().at(-1)?.args ?? [];
    return ["--refresh", "--replace"].filter((flag) => args.includes(flag));
  };

  it("it ends the update that it has begun, refreshes after one that was killed, then begins another", async () => {
    const pending = exported({ pending: [["creating", urn(TYPES.container, "bot-container")]] });
    project
      .answer("pulumi up", { update: { then: "touch gone-ahead" } })
      .answer("pulumi stack export", { stdout: pending }, { stdout: exported() })
      .answer("pulumi refresh", { talk: "[ ! -e gone-ahead ]" });
    const { status, stdout, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /state and the server differ: creating bot-container was begun and not finished\./);
    assert.match(stdout, /^deploy: b2b2b2b is live/m);
    const [refresh] = project.calls("pulumi refresh");
    assert.ok(refresh?.args.includes("--clear-pending-creates"));
    assert.equal(updates().length, 2);
    // The image was built beside the first one.
    assert.equal(project.calls("ssh build-image.sh").length, 1);
  });

  it("and says why where it cannot refresh", async () => {
    project
      .answer("ssh check-server.sh", { stdout: listed({ without: ["id-bot"] }) })
      .answer("pulumi up", { update: { then: "touch gone-ahead" } })
      .answer("pulumi refresh", { status: 1, stderr: "error: no backend" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [1, "error: The state could not be refreshed: error: no backend"]);
    assert.ok(!existsSync(join(project.directory, "gone-ahead")));
  });

  it("it has the state follow a bot that the server has put back by itself", async () => {
    const replaced = exported({ replacedBot: "id-failed" });
    project
      .answer("pulumi stack export", { stdout: replaced }, { stdout: replaced }, { stdout: exported() })
      .answer("pulumi stack import", {});
    const { status, stdout } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.match(stdout, /^The server has put a1a1a1a back by itself; Pulumi's state follows\.$/m);
    const [imported] = project.calls("pulumi stack import");
    assert.deepEqual(JSON.parse(imported?.stdin ?? ""), JSON.parse(exported()));
    assert.deepEqual(project.calls("pulumi refresh"), []);
  });

  it("it has the state follow so after its own update that failed, before it puts the last release back", async () => {
    project
      .answer("pulumi up", { update: { errors: ["ended with status 3"] } }, { update: {} })
      .answer("pulumi stack history", { stdout: history([NEW, "failed"], LIVE) })
      .answer("pulumi stack import", {});
    const replaced = { stdout: exported({ replacedBot: "id-failed" }) };
    project
      .answer("pulumi stack export", { stdout: exported() }, replaced, replaced, { stdout: exported() })
      .answer("ssh docker inspect", { stdout: "id-bot\n" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /: ended with status 3; a1a1a1a is back\.$/);
    const [imported, ...more] = project.calls("pulumi stack import");
    assert.deepEqual(JSON.parse(imported?.stdin ?? ""), JSON.parse(exported()));
    assert.deepEqual([more, updates().length], [[], 2]);
  });

  it("and leaves that to the plan where it cannot be done at once", async () => {
    project
      .answer("pulumi up", { update: { errors: ["ended with status 3"] } }, { update: {} })
      .answer("pulumi stack history", { stdout: history([NEW, "failed"], LIVE) })
      .answer("pulumi stack import", {})
      .answer("ssh docker inspect", { status: 255, stderr: "Connection refused" });
    const replaced = { stdout: exported({ replacedBot: "id-failed" }) };
    project.answer("pulumi stack export", { stdout: exported() }, ...Array<Reply>(3).fill(replaced), {
      stdout: exported(),
    });
    const { stderr } = await project.run(["deploy"]);
    assert.match(stderr, /; a1a1a1a is back\.$/);
    assert.equal(project.calls("pulumi stack import").length, 1);
  });

  it("it compares everything where a container has stopped, and builds an image anew that is gone", async () => {
    const stopped = listed().replace("id-proxy running", "id-proxy exited");
    project.answer("ssh check-server.sh", { stdout: stopped });
    assert.equal((await project.run(["deploy"])).status, 0);
    assert.deepEqual([flags(), updates().length], [["--refresh"], 2]);
    project
      .answer("ssh check-server.sh", { stdout: listed().replace(/^image=.*\n/, "") })
      .answer("ssh build-image.sh", {});
    assert.equal((await project.run(["deploy", OLD])).status, 0);
    assert.deepEqual([flags(), updates().length], [["--replace"], 4]);
  });

  it("it leaves a bot that the state does not know to the swap", async () => {
    const more = [`container=${DOCKER.bot} id-lost exited ${OLD}`];
    project
      .answer("ssh check-server.sh", { stdout: listed({ without: ["id-bot"], more }) })
      .answer("pulumi stack export", { stdout: exported() }, { stdout: exported({ without: "id-bot" }) })
      .answer("pulumi refresh", {});
    const { status } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.deepEqual(project.calls("ssh docker rm"), []);
  });

  /** The copy of a container that an upgrade of the database makes. */
  const copy = listed({ more: [`container=${DOCKER.database} id-copy exited copy`] });

  it("it removes what else the state does not know, while the proxy holds the requests", async () => {
    project
      .answer("ssh check-server.sh", { stdout: copy }, { stdout: copy }, { stdout: listed() })
      .answer("pulumi refresh", {})
      .answer("ssh hold-requests.sh", { status: 1, stderr: "no proxy" })
      .answer("ssh docker stop", { status: 1 })
      .answer("ssh docker rm", {});
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [0, "The proxy could not hold the requests: no proxy"]);
    const calls = project
      .calls()
      .map(({ name, command }) => (name.startsWith("ssh docker") ? command : name));
    const at = calls.indexOf("ssh hold-requests.sh");
    assert.deepEqual(calls.slice(at, at + 4), [
      "ssh hold-requests.sh",
      "docker stop id-copy",
      "docker rm --force id-copy",
      "pulumi up",
    ]);
  });

  it("and stops where that cannot be removed", async () => {
    project
      .answer("ssh check-server.sh", { stdout: copy })
      .answer("pulumi up", { update: { then: "touch gone-ahead" } })
      .answer("pulumi refresh", {})
      .answer("ssh hold-requests.sh", {})
      .answer("ssh docker stop", {})
      .answer("ssh docker rm", { status: 1, stderr: "device is busy" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /The container training_bot_db is left over and could not be removed: device is bu/);
    assert.ok(!existsSync(join(project.directory, "gone-ahead")));
  });

  it("it lets a data volume leave the stack that is not wanted any more", async () => {
    project.configure({ commit: OLD, database: { volume: "other_volume" } });
    project
      .answer("pulumi stack export", { stdout: exported() }, { stdout: exported({ unprotected: true }) })
      .answer("pulumi state unprotect", {});
    const { status } = await project.run(["deploy"]);
    assert.equal(status, 0);
    const [unprotect] = project.calls("pulumi state unprotect");
    assert.equal(unprotect?.args[2], urn(TYPES.volume, "database-data"));
  });

  it("and does not begin again and again where that has no effect", async () => {
    project.configure({ commit: OLD, database: { volume: "other_volume" } });
    project.answer("pulumi state unprotect", {});
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: What had to be put right first \(unprotect\) was done and is still not right\./,
    );
    assert.equal(updates().length, 2);
  });

  it("and stops where it cannot", async () => {
    project.configure({ commit: OLD, database: { volume: "other_volume" } });
    project.answer("pulumi state unprotect", { status: 1, stderr: "error: no such urn" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: The volume database-data cannot leave the stack: error: no such urn$/);
  });

  it("it forgets another server's resources, and keeps GitHub's", async () => {
    const elsewhere = exported({ hostKey: "ssh-ed25519 AAAAOTHER" });
    const empty = JSON.stringify({ deployment: {} });
    project
      .answer("pulumi stack export", { stdout: elsewhere }, { stdout: elsewhere }, { stdout: empty })
      .answer("ssh check-server.sh", { stdout: "" })
      .answer("pulumi stack import", {});
    const { status, stdout } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.match(stdout, /another server than that of the last update/);
    const [imported] = project.calls("pulumi stack import");
    const { deployment } = JSON.parse(imported?.stdin ?? "") as {
      deployment: { resources: { urn: string }[] };
    };
    assert.deepEqual(
      deployment.resources.map((resource) => resource.urn.split("::").at(-1)),
      ["hockey-test", "github-SSH_HOST", "release"],
    );
  });

  it("and says why where the state cannot be changed", async () => {
    project
      .answer("pulumi stack export", { stdout: exported({ hostKey: "ssh-ed25519 AAAAOTHER" }) })
      .answer("ssh check-server.sh", { stdout: "" })
      .answer("pulumi stack import", { status: 1, stderr: "error: no space" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [1, "error: The state could not be changed: error: no space"]);
  });

  it("it touches nothing that this stack did not make", async () => {
    const foreign = listed({
      without: ["id-proxy"],
      more: [`container=${DOCKER.proxy} id-other running -`],
    });
    const state = exported().replace('"id":"id-proxy"', '"id":""');
    project
      .answer("ssh check-server.sh", { stdout: foreign })
      .answer("pulumi stack export", { stdout: state })
      .answer("pulumi refresh", {});
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /has a container training_bot_proxy that this stack did not make/);
    assert.deepEqual(project.calls("ssh docker rm"), []);
  });
});

describe("deploy and another update", function () {
  // Each command starts a process, which takes seconds on a busy machine.
  this.timeout(60_000);
  let project: FakeProject;

  beforeEach(() => {
    project = answerRelease(new FakeProject({ commit: OLD }));
  });
  afterEach(() => {
    project.close();
  });

  /** As Pulumi refuses on a backend of files. */
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
    const { status, stderr } = await project.run(["deploy"]);
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
    await project.run(["deploy"]);
    const { status, stderr } = await project.run(["deploy"]);
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
