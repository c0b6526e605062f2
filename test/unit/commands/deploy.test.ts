import assert from "node:assert/strict";
import { parse } from "yaml";
import { bundle } from "../../../infra/model/scripts.ts";
import { FakeProject } from "../fake-tools.ts";
import { answerRelease, history, listed, LIVE, NEW, OLD } from "../live-stack.ts";

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
      update: {
        first: "cp Pulumi.test.yaml meanwhile.yaml",
        notes: ["<{%reset%}>requests were held for 0.41 s<{%reset%}>\n"],
      },
    });
    const { status, stdout, stderr } = await project.run(["deploy", "main"]);
    assert.deepEqual([status, stderr], [0, ""]);
    const lines = stdout.split("\n");
    assert.deepEqual(lines.slice(0, 2), [
      "deploying b2b2b2b to test (bot.example.org)",
      "requests were held for 0.41 s",
    ]);
    assert.match(lines[2] ?? "", /^deploy: b2b2b2b is live \(before: a1a1a1a\), \d+\.\d s$/);
    assert.equal(lines.length, 3);
    const [up] = project.calls("pulumi up");
    const given = (option: string) => up?.args[up.args.indexOf(option) + 1];
    assert.deepEqual([given("--stack"), given("--message")], ["test", "deploy b2b2b2b, by ann"]);
    assert.ok(!up?.args.includes("--refresh"));
    // A copy is used: the stack's own file names the release only once that is healthy.
    assert.match(project.read("meanwhile.yaml"), new RegExp(`commit: ${OLD}`));
    assert.equal(released()["hockey:commit"], NEW);
  });

  it("builds the image while Pulumi starts, and reads the state while the update has its lock", async () => {
    project
      .answer("pulumi up", { update: { first: "touch begun" } })
      .answer("ssh build-image.sh", { talk: "until [ -e begun ]; do sleep 0.01; done; echo sha256:1" });
    const { status } = await project.run(["deploy"]);
    assert.equal(status, 0);
    const called = project.called();
    assert.ok(called.indexOf("pulumi up") < called.indexOf("pulumi stack export"));
    assert.deepEqual(called.slice(-2), ["ssh await-healthy.sh", "pulumi stack history"]);
    assert.equal(called.length, 7);
  });

  it("needs no search for a full hash", async () => {
    const { status } = await project.run(["deploy", NEW]);
    assert.equal(status, 0);
    assert.ok(!project.called().includes("ssh find-commit.sh"));
  });

  it("hands the program the image that it has built", async () => {
    project
      .answer("ssh check-server.sh", { stdout: listed().replace(/^image=.*\n/, "") })
      .answer("ssh build-image.sh", { stdout: "sha256:7\n", stderr: "step 1\n" })
      .answer("pulumi up", { update: { then: 'echo "$ANSWER" >heard' } });
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [0, "step 1"]);
    assert.deepEqual(JSON.parse(project.read("heard")), { imageId: "sha256:7", isRelease: true });
    assert.match(
      project.calls("ssh build-image.sh")[0]?.command ?? "",
      new RegExp(` IMAGE=training_bot COMMIT=${NEW} bash -s$`),
    );
  });

  it("asks the server while the program is loaded, for what the release is to be", async () => {
    await project.run(["deploy"]);
    const [look, another] = project.calls("ssh check-server.sh");
    assert.match(look?.command ?? "", new RegExp(` COMMIT=${NEW} KEY=none `));
    assert.equal(another, undefined);
  });

  it("leaves everything to the program, which has a new deploy key, where the server refuses the old one", async () => {
    const refused = { status: 255, stderr: "deploy@bot.example.org: Permission denied (publickey)." };
    project
      .answer("ssh check-server.sh", refused, { stdout: listed() })
      .answer("ssh build-image.sh", refused)
      .answer("pulumi up", { update: { then: 'echo "$ANSWER" >heard' } });
    assert.equal((await project.run(["deploy", NEW])).status, 0);
    assert.deepEqual(JSON.parse(project.read("heard")), { isRelease: true });
    assert.equal(project.calls("ssh check-server.sh").length, 2);
  });

  it("leaves the image to the first update, which makes the place for it", async () => {
    const empty = JSON.stringify({ deployment: {} });
    project
      .answer("ssh check-server.sh", { stdout: "" })
      .answer("ssh build-image.sh", {})
      .answer("pulumi stack export", { stdout: empty })
      .answer("pulumi stack history", { stdout: history([NEW, "succeeded"]) })
      .answer("pulumi up", { update: { then: 'echo "$ANSWER" >heard' } });
    const { status, stdout } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.match(stdout, /^deploy: b2b2b2b is live, \S+ s$/m);
    assert.deepEqual(JSON.parse(project.read("heard")), { isRelease: false });
  });

  it("says so where the commit was live already", async () => {
    project.answer("pulumi up", { update: { changes: { same: 10 } } });
    const { status, stdout } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.match(stdout, /^deploy: b2b2b2b was live already, \S+ s$/m);
  });

  it("shows what Pulumi says only where that is wanted", async () => {
    assert.doesNotMatch((await project.run(["deploy"])).stdout, /updating/);
    assert.match((await project.run(["deploy", "--verbose"])).stdout, /updating/);
  });

  it("says what took how long where that is wanted, in its order", async () => {
    const { stdout } = await project.run(["deploy", "--timings"]);
    const at = ["Pulumi has the stack's lock", "the swap begins", "asked once more", "is live"].map((words) =>
      stdout.indexOf(words),
    );
    assert.ok(!at.includes(-1), stdout);
    assert.deepEqual(
      at,
      at.toSorted((a, b) => a - b),
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

  describe("where the update fails", () => {
    it("has the server give up a swap for which no container was made", async () => {
      project.answer("pulumi up", { update: { errors: ["no plugin"] } }, {}).answer("ssh swap-bot.sh", {});
      assert.equal((await project.run(["deploy"])).status, 1);
      const swaps = project.calls("ssh swap-bot.sh").map(({ command }) => command.split(" ").at(-1));
      assert.deepEqual(swaps, ["abandon"]);
    });

    /** What the verdict says, as Pulumi tells it. */
    const cause =
      'Process exited with status 1: running "x":\nTraceback\ntraining_bot ended with status 3.\n';
    const messages = () => project.calls("pulumi up").map(({ args }) => args[args.indexOf("--message") + 1]);
    beforeEach(() => {
      project
        .answer("pulumi stack history", { stdout: history([NEW, "failed"], LIVE) })
        .answer("pulumi up", { update: { errors: [cause, "second"] } }, { update: {} });
    });

    it("puts the last release back, with its configuration, and names the cause and what runs", async () => {
      const { status, stderr } = await project.run(["deploy"]);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^Traceback\nsecond\nerror: The deploy of b2b2b2b failed after \S+ s: training_bot ended with status 3; a1a1a1a is back\.$/,
      );
      assert.deepEqual(messages(), ["deploy b2b2b2b, by ann", "put back a1a1a1a, by ann"]);
      assert.deepEqual(
        [released()["hockey:commit"], released()["hockey:app"]],
        [OLD, { repository: "/old" }],
      );
    });

    it("builds the image of the release that it puts back, should that be gone", async () => {
      await project.run(["deploy"]);
      const built = project
        .calls("ssh build-image.sh")
        .map(({ command }) => / COMMIT=(\S+) /.exec(command)?.[1]);
      assert.deepEqual(built, [NEW, OLD]);
    });

    it("puts back what was live when the update had the lock, not when the command began", async () => {
      const other = "c3".repeat(20);
      const now = history([NEW, "failed"], [other, "succeeded"], LIVE);
      project.answer("pulumi stack history", { stdout: history(LIVE) }).answer(
        "pulumi up",
        {
          update: { first: project.answerLater("pulumi stack history", { stdout: now }), errors: [cause] },
        },
        { update: {} },
      );
      const { stderr } = await project.run(["deploy"]);
      assert.match(stderr, /; c3c3c3c is back\.$/);
      assert.equal(released()["hockey:commit"], other);
    });

    it("puts the last release back too where the new one is not healthy after all", async () => {
      project
        .answer("pulumi stack history", { stdout: history([NEW, "succeeded"], LIVE) })
        .answer("pulumi up", { update: {} })
        .answer("ssh await-healthy.sh", { status: 1, stderr: "training_bot is gone." }, {});
      const { status, stderr } = await project.run(["deploy"]);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^training_bot is gone\.\nerror: The deploy of b2b2b2b failed after \S+ s; a1a1a1a is back\.$/,
      );
      assert.equal(released()["hockey:commit"], OLD);
    });

    it("says so where the last release cannot be put back either, and leaves the stack's file alone", async () => {
      const before = project.read("Pulumi.test.yaml");
      project.answer("pulumi up", { update: { errors: [cause] } }, { update: { errors: ["no space left"] } });
      const { status, stderr } = await project.run(["deploy"]);
      assert.equal(status, 1);
      assert.match(stderr, /^no space left$/m);
      assert.match(stderr, /: training_bot ended with status 3; and a1a1a1a could not be put back either/);
      assert.equal(project.read("Pulumi.test.yaml"), before);
    });

    it("has nothing to put back where nothing was live before", async () => {
      project.answer("pulumi stack history", { stdout: history([NEW, "failed"]) });
      const { status, stderr } = await project.run(["deploy"]);
      assert.equal(status, 1);
      assert.match(stderr, /; there is no earlier release to put back\.$/);
      assert.equal(messages().length, 1);
    });

    it("has nothing to put back where nothing was changed", async () => {
      project.answer("pulumi up", {
        update: { errors: ["The database is being restored."], changes: { same: 9 } },
      });
      const { status, stderr } = await project.run(["deploy"]);
      assert.equal(status, 1);
      assert.match(stderr, /failed after \S+ s: The database is being restored$/);
      assert.equal(messages().length, 1);
      assert.equal(released()["hockey:commit"], OLD);
    });
  });

  it("names what Pulumi itself says where it fails before the program runs", async () => {
    project
      .answer("pulumi stack history", { stdout: history(LIVE) })
      .answer("pulumi up", { status: 255, stderr: "error: no backend\n" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: The deploy of b2b2b2b failed after \S+ s: no backend$/);
    assert.equal(project.calls("pulumi up").length, 1);
  });

  it("has no empty line for a Pulumi that was killed and says nothing", async () => {
    project
      .answer("pulumi stack history", { stdout: history(LIVE) })
      .answer("pulumi up", { talk: "kill -KILL $$" });
    const { stderr } = await project.run(["deploy"]);
    assert.match(stderr, /^error: The deploy of b2b2b2b failed after \S+ s$/);
  });

  it("changes nothing where the image cannot be built, and says why", async () => {
    project.answer("ssh build-image.sh", {
      status: 1,
      stderr: "step 1\nThe image cannot be built: no Dockerfile.\n",
    });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /^step 1\n.*\nerror: The image cannot be built: no Dockerfile\.$/);
    assert.equal(project.calls("pulumi up").length, 1);
    assert.ok(!project.called().includes("ssh await-healthy.sh"));
    assert.equal(released()["hockey:commit"], OLD);
  });

  it("leaves an image to the update whose repository takes the server's key only then", async () => {
    const github = { owner: "me", repository: "hockey", manage: true };
    const app = { repository: "git@github.com:me/hockey.git" };
    const secret = { secure: "v1:…" };
    const githubSecrets = { PULUMI_BACKEND_URL: secret, PULUMI_CONFIG_PASSPHRASE: secret };
    project.configure({ commit: OLD, app, github, sshPrivateKey: secret, githubSecrets });
    project
      .answer("pulumi config get sshPrivateKey", { stdout: "the key" })
      .answer("ssh build-image.sh", { status: 1, stderr: "Permission denied (publickey)." });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 0, stderr);
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
        // The program, which has the whole configuration, is played by the fake.
        if (name.startsWith("ssh ") && name !== "ssh check-server.sh")
          assert.ok(args.includes("IdentityFile=.ssh/deploy_key"), name);
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
