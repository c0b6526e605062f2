// @ts-nocheck
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { parse } from "yaml";
import { bundle } from "../../../infra/model/scripts.ts";
import { TYPES } from "../../../infra/model/names.ts";
import { FakeProject } from "../fake-tools.ts";
import { answerRelease, DOCKER, exported, history, listed, NEW, OLD, urn } from "../live-stack.ts";

describe("deploy", function () {
  // Each command starts a process, which takes seconds on a busy machine.
  this.timeout(60_000);
  let project: FakeProject;

  beforeEach(() => {
    project = answerRelease(new FakeProject({ commit: OLD }));
  });
  afterEach(() => {
    project.close();
  });

  const released = () =>
    (parse(project.read("Pulumi.test.yaml")) as { config: Record<string, unknown> }).config;

  it("updates the stack to the commit that the server finds, waits for its health and writes it down", async () => {
    project.answer("pulumi up", {
      talk: `while [ "$1" != --config-file ]; do shift; done\ncp "$2" used.yaml; cp Pulumi.test.yaml meanwhile.yaml; echo updating`,
    });
    const { status, stdout, stderr } = await project.run(["deploy", "main"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(
      stdout,
      new RegExp(
        `^deploying ${NEW} to test \\(bot\\.example\\.org\\)\nupdating\ndeploy: b2b2b2b is live \\(before: a1a1a1a\\), `,
      ),
    );
    assert.deepEqual(project.called(), [
      "ssh find-commit.sh",
      ...project.called().slice(1, 3).sort(),
      "pulumi stack history",
      "pulumi up",
      "ssh await-healthy.sh",
    ]);
    assert.match(project.read("used.yaml"), new RegExp(`commit: ${NEW}`));
    // A copy is used: the stack's own file names the release only once that is healthy.
    assert.match(project.read("meanwhile.yaml"), new RegExp(`commit: ${OLD}`));
    assert.equal(released()["hockey:commit"], NEW);
    const [up] = project.calls("pulumi up");
    assert.deepEqual(
      ["--stack", "test", "--message", "deploy b2b2b2b, by ann", "--refresh"].filter(
        (word) => !up?.args.includes(word),
      ),
      [],
    );
  });

  it("asks the server over SSH with the pinned host key, arguments by name and the script on standard input", async () => {
    await project.run(["deploy", "v1'; reboot"]);
    const [find] = project.calls("ssh find-commit.sh");
    assert.ok(find);
    assert.equal(find.stdin, bundle("find-commit.sh"));
    assert.match(find.command, / 'COMMIT=v1'\\''; reboot' bash -s$/);
    assert.ok(find.args.includes("StrictHostKeyChecking=yes"));
    assert.deepEqual(find.args.slice(-6, -1), ["-p", "22", "-l", "deploy", "bot.example.org"]);
    assert.ok(find.args.some((arg) => arg.startsWith("KnownHostsCommand=/bin/echo %H ssh-ed25519 AAAA")));
  });

  it("changes nothing where the server does not know the commit", async () => {
    project.answer("ssh find-commit.sh", { status: 1, stderr: "one\nThere is no branch mian.\n" });
    const { status, stderr } = await project.run(["deploy", "mian"]);
    assert.deepEqual([status, stderr], [1, "error: There is no branch mian."]);
    assert.deepEqual(project.called(), ["ssh find-commit.sh"]);
  });

  it("says in a sentence why the server cannot be asked", async () => {
    project.answer("ssh find-commit.sh", { status: 255, stderr: "Host key verification failed." });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: The server at bot\.example\.org:22 shows another host key than the pinned one; /,
    );
  });

  it("puts the last release back, with its configuration, where the update fails", async () => {
    project.answer("pulumi up", { status: 1, stderr: "error: no image" }, {});
    const { status, stdout, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      new RegExp(`^error: no image\nerror: The deploy of ${NEW} failed after .* s; ${OLD} is back, `),
    );
    assert.match(stdout, /The release did not get as far as a container of b2b2b2b\.\nputting a1a1a1a back/);
    assert.deepEqual(
      project.calls("pulumi up").map(({ args }) => args[args.indexOf("--message") + 1]),
      ["deploy b2b2b2b, by ann", "put back a1a1a1a, by ann"],
    );
    assert.deepEqual([released()["hockey:commit"], released()["hockey:app"]], [OLD, { repository: "/old" }]);
  });

  it("shows the log of a release that does not become healthy, before it puts the last one back", async () => {
    project
      .answer("ssh await-healthy.sh", { status: 1, stderr: "The bot is not healthy." }, {})
      .answer("ssh list-containers.sh", { stdout: listed() }, { stdout: listed({ commit: NEW }) })
      .answer("ssh show-logs.sh", { stdout: "Traceback: no module\n" });
    const { status, stdout, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(
      stdout,
      /The last 100 log lines of \S+ at b2b2b2b:\nTraceback: no module\nputting a1a1a1a back/,
    );
    assert.match(stderr, /^The bot is not healthy\.\nerror: The deploy of /);
    assert.match(
      project.calls("ssh show-logs.sh")[0]?.command ?? "",
      /CONTAINER=training_bot LOG_LINES=100 /,
    );
    const names = project.called();
    assert.ok(names.indexOf("ssh show-logs.sh") < names.lastIndexOf("pulumi up"));
  });

  it("puts the last release back even where the log cannot be had", async () => {
    project
      .answer("ssh await-healthy.sh", { status: 1 }, {})
      .answer(
        "ssh list-containers.sh",
        { stdout: listed() },
        { status: 1, stderr: "no docker" },
        { stdout: listed() },
      );
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /The log cannot be shown: no docker/);
    assert.match(stderr, new RegExp(`${OLD} is back`));
  });

  it("says so where the last release cannot be put back either, and leaves the stack's file alone", async () => {
    const before = project.read("Pulumi.test.yaml");
    project.answer("pulumi up", { status: 1 });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      new RegExp(`The deploy of ${NEW} failed after .*, and ${OLD} could not be put back either`),
    );
    assert.equal(project.read("Pulumi.test.yaml"), before);
  });

  it("has nothing to put back where nothing was live before", async () => {
    project.answer("pulumi stack history", { stdout: "[]" }).answer("pulumi up", { status: 1 });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /; there is no earlier release to put back\.$/);
    assert.equal(project.calls("pulumi up").length, 1);
  });

  describe("repairs first:", () => {
    it("it refreshes after an update that was killed, then plans again", async () => {
      const pending = exported({ pending: [["creating", urn(TYPES.container, "bot-container")]] });
      project
        .answer("pulumi stack export", { stdout: pending }, { stdout: exported() })
        .answer("pulumi refresh", { stdout: "refreshing" });
      const { status, stdout } = await project.run(["deploy"]);
      assert.equal(status, 0);
      assert.match(
        stdout,
        /state and the server differ: creating bot-container was begun and not finished\./,
      );
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
      assert.match(
        stderr,
        /The container training_bot is left over and could not be removed: device is busy/,
      );
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

  describe("and another update", () => {
    it("that has the stack: it names the holder, and changes nothing", async () => {
      project.lock({ pid: process.pid, hostname: hostname() });
      const { status, stderr } = await project.run(["deploy", "--wait", "0"]);
      assert.equal(status, 3);
      assert.match(
        stderr,
        new RegExp(`^error: The stack is locked by ann@${hostname()} \\(process ${process.pid}, since 20`),
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
      assert.match(stderr, /The stack is locked by another update; wait for it/);
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

  describe("where the state is out of reach", () => {
    it("it cannot be read", async () => {
      project.answer("pulumi stack export", { status: 1, stderr: "error: wrong passphrase" });
      const { status, stderr } = await project.run(["deploy"]);
      assert.deepEqual(
        [status, stderr],
        [1, "error: The stack's state cannot be read: error: wrong passphrase"],
      );
    });

    it("nor its history", async () => {
      project.answer("pulumi stack history", { status: 1, stderr: "error: no bucket" });
      const { status, stderr } = await project.run(["deploy"]);
      assert.deepEqual([status, stderr], [1, "error: The stack's history cannot be read: error: no bucket"]);
    });

    it("nor is there a Pulumi", async () => {
      project.remove("pulumi");
      const { status, stderr } = await project.run(["deploy"], { PATH: "/usr/bin:/bin" });
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^error: There is no pulumi on this machine; install it with scripts\/bootstrap\.$/,
      );
    });
  });

  describe("with the deploy key in the configuration", () => {
    const KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
    beforeEach(() => {
      project.configure({ commit: OLD, sshPrivateKey: { secure: "v1:x" } });
    });

    it("takes it from there once, into a file of its own", async () => {
      project.answer("pulumi config get sshPrivateKey", { stdout: `${KEY}\n\n` });
      const { status } = await project.run(["deploy"]);
      assert.equal(status, 0);
      assert.equal(project.read(".ssh/deploy_key"), `${KEY}\n`);
      assert.equal(project.calls("pulumi config get sshPrivateKey").length, 1);
      for (const { name, args } of project.calls()) {
        if (name.startsWith("ssh ")) assert.ok(args.includes("IdentityFile=.ssh/deploy_key"), name);
        assert.ok(!args.join().includes("PRIVATE KEY"), name);
      }
    });

    it("says where to put it where Pulumi cannot tell", async () => {
      project.answer("pulumi config get sshPrivateKey", { status: 1, stderr: "error: incorrect passphrase" });
      const { status, stderr } = await project.run(["deploy"]);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /cannot be read from Pulumi\.test\.yaml \(error: incorrect passphrase\); put it into \.ssh\/deploy_key, mode 0600/,
      );
    });

    it("blames the key of the configuration where the server does not take it", async () => {
      project.write(".ssh/deploy_key", `${KEY}\n`);
      project.answer("ssh find-commit.sh", { status: 255, stderr: "Permission denied (publickey)." });
      const { stderr } = await project.run(["deploy"]);
      assert.match(stderr, /does not accept `sshPrivateKey` for the user deploy/);
    });
  });
});

describe("rollback", function () {
  this.timeout(60_000);
  let project: FakeProject;

  beforeEach(() => {
    project = answerRelease(new FakeProject({ commit: NEW })).answer("pulumi stack history", {
      stdout: history([NEW, "succeeded"], [OLD, "succeeded", { repository: "/old", port: 4000 }]),
    });
  });
  afterEach(() => {
    project.close();
  });

  it("goes back to the release before the running one, with the configuration that it had", async () => {
    const { status, stdout, stderr } = await project.run(["rollback"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, new RegExp(`^rolling test back to ${OLD}, live on 2026-01-19T00:00:00.000Z`));
    assert.match(stdout, /rollback: a1a1a1a is live \(before: b2b2b2b\)/);
    const { config } = parse(project.read("Pulumi.test.yaml")) as { config: Record<string, unknown> };
    assert.deepEqual(
      [config["hockey:commit"], config["hockey:app"]],
      [OLD, { repository: "/old", port: 4000 }],
    );
    // Nothing is compared that need not be: a rollback is in a hurry.
    assert.ok(!project.calls("pulumi up")[0]?.args.includes("--refresh"));
    assert.ok(!project.called().includes("ssh find-commit.sh"));
  });

  it("changes nothing where there is no such release", async () => {
    const { status, stderr } = await project.run(["rollback", "ffff"]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: No release of ffff is known\. What can be rolled back to:\n {2}b2b2/);
    assert.deepEqual(project.called(), ["pulumi stack history"]);
  });
});
