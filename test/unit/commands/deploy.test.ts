import assert from "node:assert/strict";
import { parse } from "yaml";
import { bundle } from "../../../infra/model/scripts.ts";
import { FakeProject } from "../fake-tools.ts";
import { answerRelease, listed, NEW, OLD } from "../live-stack.ts";

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
