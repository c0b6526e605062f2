import assert from "node:assert/strict";
import { OLD } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

describe("deploy with the deploy key in the configuration", function () {
  withProject(this);

  const KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
  beforeEach(() => {
    project.configure({ commit: OLD, sshPrivateKey: { secure: "v1:x" } });
  });

  it("takes it from there once, into a file of its own", async () => {
    project.answer("pulumi config get sshPrivateKey", { stdout: `${KEY}\n\n` });
    const { status } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.equal(project.read(".ssh/deploy_key.test"), `${KEY}\n`);
    assert.equal(project.calls("pulumi config get sshPrivateKey").length, 1);
    for (const { name, args } of project.calls()) {
      // The program, which has the whole configuration, is played by the fake.
      if (name.startsWith("ssh ") && name !== "ssh check-server.sh")
        assert.ok(args.includes("IdentityFile=.ssh/deploy_key.test"), name);
      assert.ok(!args.join().includes("PRIVATE KEY"), name);
    }
  });

  const asked = () => project.calls("pulumi config get sshPrivateKey").length;

  it("takes it from there no second time, and once more when it was replaced there", async () => {
    project.answer(
      "pulumi config get sshPrivateKey",
      { stdout: KEY },
      { stdout: KEY.replace("AAAA", "BBBB") },
    );
    project.answer("ssh restart-bot.sh", {});
    await project.run(["deploy"]);
    await project.run(["restart"]);
    assert.equal(asked(), 1);
    project.configure({ commit: OLD, sshPrivateKey: { secure: "v1:y" } });
    await project.run(["restart"]);
    assert.equal(asked(), 2);
    assert.match(project.read(".ssh/deploy_key.test"), /^BBBB$/m);
  });

  it("takes nothing of another stack's, as of a demo in the same clone", async () => {
    project.write(".ssh/deploy_key.demo", "the demo's\n");
    project.write(".ssh/deploy_key", "the demo's\n");
    project.answer("pulumi config get sshPrivateKey", { stdout: KEY });
    const { status } = await project.run(["deploy"]);
    assert.deepEqual([status, project.read(".ssh/deploy_key.test")], [0, `${KEY}\n`]);
    assert.equal(project.read(".ssh/deploy_key.demo"), "the demo's\n");
  });

  it("goes on with one that is there where Pulumi cannot tell, as without the passphrase", async () => {
    project.write(".ssh/deploy_key.test", `${KEY}\n`);
    project.answer("pulumi config get sshPrivateKey", { status: 1, stderr: "error: incorrect passphrase" });
    const { status } = await project.run(["deploy"]);
    assert.equal(status, 0);
  });

  it("says where to put it where Pulumi cannot tell", async () => {
    project.answer("pulumi config get sshPrivateKey", { status: 1, stderr: "error: incorrect passphrase" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /cannot be read from Pulumi\.test\.yaml \(error: incorrect passphrase\); put it into \.ssh\/deploy_key\.test, mode 0600/,
    );
  });

  it("blames the key of the configuration where the server does not take it", async () => {
    project.answer("pulumi config get sshPrivateKey", { stdout: KEY });
    project.answer("ssh find-commit.sh", { status: 255, stderr: "Permission denied (publickey)." });
    const { stderr } = await project.run(["deploy"]);
    assert.match(stderr, /does not accept `sshPrivateKey` for the user deploy/);
  });
});
