import assert from "node:assert/strict";
import { hostname } from "node:os";
import { TYPES } from "../../../infra/model/names.ts";
import { FakeProject } from "../fake-tools.ts";
import { answerRelease, DOCKER, exported, history, listed, NEW, OLD, urn } from "../live-stack.ts";

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

  it("it refreshes after an update that was killed, then plans again", async () => {
    const pending = exported({ pending: [["creating", urn(TYPES.container, "bot-container")]] });
    project
      .answer("pulumi stack export", { stdout: pending }, { stdout: exported() })
      .answer("pulumi refresh", { stdout: "refreshing" });
    const { status, stdout } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.match(stdout, /state and the server differ: creating bot-container was begun and not finished\./);
    const [refresh] = project.calls("pulumi refresh");
    assert.ok(refresh?.args.includes("--clear-pending-creates"));
    assert.equal(project.calls("pulumi stack export").length, 2);
  });

  it("and says why where it cannot refresh", async () => {
    project
      .answer("ssh list-containers.sh", { stdout: listed({ without: ["id-bot"] }) })
      .answer("pulumi refresh", { status: 1, stderr: "error: no backend" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [1, "error: The state could not be refreshed: error: no backend"]);
    assert.equal(project.calls("pulumi up").length, 0);
  });

  it("it removes a bot that the state does not know, while the proxy holds the requests", async () => {
    const more = [`container ${DOCKER.bot} id-lost exited ${OLD}`];
    project
      .answer("ssh list-containers.sh", { stdout: listed({ more }) })
      .answer("pulumi refresh", {})
      .answer("ssh hold-requests.sh", { status: 1, stderr: "no proxy" })
      .answer("ssh docker stop", { status: 1 })
      .answer("ssh docker rm", {});
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [0, "The proxy could not hold the requests: no proxy"]);
    const calls = project
      .calls()
      .map(({ name, command }) => (name.startsWith("ssh docker") ? command : name));
    assert.deepEqual(calls.slice(calls.indexOf("ssh hold-requests.sh")), [
      "ssh hold-requests.sh",
      "docker stop id-lost",
      "docker rm --force id-lost",
      ...["pulumi stack history", "pulumi up", "ssh await-healthy.sh"],
    ]);
  });

  it("and stops where that cannot be removed", async () => {
    const more = [`container ${DOCKER.bot} id-lost exited ${OLD}`];
    project
      .answer("ssh list-containers.sh", { stdout: listed({ more }) })
      .answer("pulumi refresh", {})
      .answer("ssh hold-requests.sh", {})
      .answer("ssh docker stop", {})
      .answer("ssh docker rm", { status: 1, stderr: "device is busy" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /The container training_bot is left over and could not be removed: device is busy/);
    assert.equal(project.calls("pulumi up").length, 0);
  });

  it("it lets a data volume leave the stack that is not wanted any more", async () => {
    project.configure({ commit: OLD, database: { volume: "other_volume" } });
    project.answer(`pulumi state unprotect`, {});
    const { status } = await project.run(["deploy"]);
    assert.equal(status, 0);
    const [unprotect] = project.calls("pulumi state unprotect");
    assert.equal(unprotect?.args[2], urn(TYPES.volume, "database-data"));
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
      .answer("ssh list-containers.sh", { stdout: "" })
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
      .answer("ssh list-containers.sh", { stdout: "" })
      .answer("pulumi stack import", { status: 1, stderr: "error: no space" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [1, "error: The state could not be changed: error: no space"]);
  });

  it("it touches nothing that this stack did not make", async () => {
    const foreign = listed({
      without: ["id-proxy"],
      more: [`container ${DOCKER.proxy} id-other running -`],
    });
    const state = exported().replace('"id":"id-proxy"', '"id":""');
    project
      .answer("ssh list-containers.sh", { stdout: foreign })
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

  it("that has the stack: it names the holder, and changes nothing", async () => {
    project.lock({ pid: process.pid, hostname: hostname() });
    const { status, stderr } = await project.run(["deploy", "--wait", "0"]);
    assert.equal(status, 3);
    assert.match(
      stderr,
      new RegExp(
        `^error: The stack is locked by ann@${hostname()} \\(what it is doing .*; process ${process.pid}, since 20.* UTC\\), which still runs`,
      ),
    );
    assert.deepEqual(project.called(), ["ssh find-commit.sh"]);
  });

  it("that was killed: it says how to go on, and goes on with --recover", async () => {
    project.lock({ pid: 2 ** 22 + 1, hostname: hostname() });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 3);
    assert.match(stderr, /killed in the middle: ann@.* continue with: \.\/delivery deploy --recover/);
    project.answer("pulumi cancel", { talk: "rm -r state" });
    const recovered = await project.run(["deploy", "--recover"]);
    assert.deepEqual([recovered.status, recovered.stderr], [0, ""]);
    assert.ok(project.calls("pulumi cancel")[0]?.args.includes("--yes"));
  });

  it("that was killed: it says what that was doing, where it began here", async () => {
    // What was noted before may be damaged.
    project.write(".ssh/updates.json", "damaged");
    // Pulumi takes its lock, and is killed with its command.
    const locks = `${project.directory}/state/.pulumi/locks/organization/hockey/test`;
    const holder = `{"pid":$$,"username":"ann","hostname":"${hostname()}","timestamp":"$(date -u +%FT%TZ)"}`;
    const talk = `mkdir -p ${locks}; echo "${holder.replaceAll('"', '\\"')}" >${locks}/1.json; exit 255`;
    project.answer("pulumi up", { talk });
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

  it("on a backend that Pulumi names itself", async () => {
    project.lock({ pid: process.pid, hostname: hostname() });
    const backend = { url: `file://~/state?no_tmp_dir=true` };
    project.answer("pulumi whoami", { stdout: JSON.stringify(backend) });
    const { status } = await project.run(["deploy", "--wait", "0"], { PULUMI_BACKEND_URL: undefined });
    assert.equal(status, 3);
  });

  it("on a backend out of reach: it says so", async () => {
    project.answer("pulumi whoami", { status: 1, stderr: "error: no login" });
    const { status, stderr } = await project.run(["deploy"], { PULUMI_BACKEND_URL: undefined });
    assert.deepEqual([status, stderr], [1, "error: Pulumi's backend is out of reach: error: no login"]);
  });
});
