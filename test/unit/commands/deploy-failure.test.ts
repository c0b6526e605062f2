import assert from "node:assert/strict";
import { history, LIVE, NEW, OLD } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

describe("deploy", function () {
  withProject(this);

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
      project.answer("pulumi stack history", { stdout: history([NEW, "failed"], LIVE) }).answer(
        "pulumi up",
        { update: { errors: [cause, "second"] } },
        // The copy of the configuration that the update goes by.
        { update: { then: 'cp "${DELIVERY_SOCKET%/*}/Pulumi.test.yaml" given.yaml' } },
      );
    });

    it("puts the last release back, with its configuration, and names the cause and what runs", async () => {
      const { status, stderr } = await project.run(["deploy"]);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^Traceback\nsecond\nerror: The deploy of b2b2b2b failed after \S+ s: training_bot ended with status 3; a1a1a1a is back\.$/,
      );
      assert.deepEqual(messages(), ["deploy b2b2b2b, by ann", "put back a1a1a1a, by ann"]);
      const config = project.configured("given.yaml");
      assert.deepEqual([config["hockey:commit"], config["hockey:app"]], [OLD, { repository: "/old" }]);
    });

    it("leaves the stack's file as the operator has edited it, to the last character", async () => {
      const edited = `${project.read("Pulumi.test.yaml")}  'hockey:proxy':   { port: 7000 } # not released yet\n`;
      project.write("Pulumi.test.yaml", edited);
      await project.run(["deploy"]);
      assert.equal(messages().length, 2);
      assert.equal(project.read("Pulumi.test.yaml"), edited);
    });

    it("changes nothing in it but the commit, where it named another one than what runs", async () => {
      project.configure({ commit: NEW, app: { repository: "/edited" } });
      await project.run(["deploy"]);
      assert.deepEqual(
        [project.configured()["hockey:commit"], project.configured()["hockey:app"]],
        [OLD, { repository: "/edited" }],
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
      assert.equal(project.configured()["hockey:commit"], other);
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
      assert.equal(project.configured()["hockey:commit"], OLD);
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
      assert.equal(project.configured()["hockey:commit"], OLD);
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
    assert.equal(project.configured()["hockey:commit"], OLD);
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
});
