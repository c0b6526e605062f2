import assert from "node:assert/strict";
import { bundle } from "../../../infra/model/scripts.ts";
import { history, listed, NEW, OLD } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

describe("deploy", function () {
  withProject(this);

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
    assert.equal(project.configured()["hockey:commit"], NEW);
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
    assert.equal(called.length, 8);
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
      new RegExp(` IMAGE=training_bot COMMIT=${NEW} STACK=hockey/test bash -s$`),
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
});
