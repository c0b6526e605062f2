import assert from "node:assert/strict";
import { bundle } from "../../../infra/model/scripts.ts";
import { history, LIVE, NEW, OLD } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

describe("deploy backs the database up first", function () {
  withProject(this);

  const FILE = "hockey_db_2026-01-02_030405.sql.gz";

  it("beside the build and the start of Pulumi, and goes ahead when that is verified", async () => {
    project
      .answer("pulumi up", { update: { first: "touch begun", then: "test -e made && touch after" } })
      .answer("ssh backup-db.sh", {
        talk: `until [ -e begun ]; do sleep 0.01; done; sleep 0.5; touch made; echo ${FILE}`,
      });
    const { status, stdout } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^backed up before: ${FILE}\ndeploy: b2b2b2b is live`, "m"));
    project.read("after");
    const [call, another] = project.calls("ssh backup-db.sh");
    assert.equal(another, undefined);
    assert.equal(call?.stdin, bundle("backup-db.sh"));
    assert.match(
      call.command,
      new RegExp(
        `^env STACK=hockey/test bash -s -- \\S+/settings --before-release ${NEW} --log \\S+/backup\\.log --wait 60$`,
      ),
    );
  });

  it("unless that is not wanted, now or ever", async () => {
    assert.equal((await project.run(["deploy", "--no-backup"])).status, 0);
    project.configure({ commit: OLD, backups: { beforeRelease: false } });
    assert.equal((await project.run(["deploy"])).status, 0);
    assert.ok(!project.called().includes("ssh backup-db.sh"));
  });

  it("and is refused where that fails, with the cause and what to do", async () => {
    project.answer("ssh backup-db.sh", { status: 1, stderr: "one\nThe disk has 3 MB left.\n" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.equal(
      stderr,
      "error: The database could not be backed up before the release: The disk has 3 MB left; put that right, or release without it: ./delivery deploy --no-backup",
    );
    assert.equal(project.configured()["hockey:commit"], OLD);
    assert.ok(!project.called().includes("ssh await-healthy.sh"));
  });

  it("but not for longer than a release may wait, nor where the server does not let it in", async () => {
    project.answer(
      "ssh backup-db.sh",
      { status: 75, stderr: "it takes longer than 60 seconds\n" },
      { status: 255, stderr: "deploy@bot.example.org: Permission denied (publickey)." },
    );
    for (const why of ["it takes longer than 60 seconds", "the server could not be asked for it"]) {
      const { status, stdout } = await project.run(["deploy"]);
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^not backed up before: ${why}$`, "m"));
    }
  });

  it("and names the backup where the release fails after it", async () => {
    project
      .answer("ssh backup-db.sh", { stdout: `${FILE}\n` })
      .answer("pulumi stack history", { stdout: history([NEW, "failed"], LIVE) })
      .answer("pulumi up", { update: { errors: ["the bot ended"] } }, { update: {} });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^backed up before: ${FILE}\nerror: .*; a1a1a1a is back\\.$`, "m"));
    assert.equal(project.calls("ssh backup-db.sh").length, 1);
  });

  it("and waits for it no longer where there is no release", async () => {
    project
      .answer("ssh backup-db.sh", { talk: "exec sleep 600" })
      .answer("pulumi up", { status: 255, stderr: "error: no backend\n" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /: no backend$/);
  });
});
