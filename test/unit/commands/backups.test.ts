import assert from "node:assert/strict";
import { FakeProject } from "../fake-tools.ts";
import { project, withProject } from "../project.ts";

describe("commands for backups", function () {
  withProject(this, () => new FakeProject());

  it("backup runs the installed script with the stack's settings, and shows what it reports", async () => {
    project.answer("ssh backup-db.sh", { stdout: "verified: a.sql.gz\n" });
    const { status, stdout, stderr } = await project.run(["backup"]);
    assert.deepEqual([status, stdout, stderr], [0, "verified: a.sql.gz", ""]);
    assert.match(
      project.calls()[0]?.command ?? "",
      /\/home\/deploy\/hockey\/bin\/backup-db\.sh\b.*|.*\/bin\/backup-db\.sh.*\/home\/deploy\/hockey\/backups\/settings/,
    );
  });

  it("backup says what the script says when it fails", async () => {
    project.answer("ssh backup-db.sh", { status: 1, stderr: "dumping\nThe disk is full.\n" });
    const { status, stderr } = await project.run(["backup"]);
    assert.equal(status, 1);
    assert.match(stderr, /error: The disk is full\.$/);
  });

  it("backup names the status of a script that says nothing", async () => {
    project.answer("ssh backup-db.sh", { status: 9 });
    assert.match((await project.run(["backup"])).stderr, /^error: backup-db\.sh ended with 9\.$/);
  });

  it("backup says how the script gets to the server where it is not there", async () => {
    project.answer("ssh backup-db.sh", { status: 127, stderr: "bash: no such file" });
    const { status, stderr } = await project.run(["backup"]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: The server has no backup-db\.sh yet; run `pulumi up`/);
  });

  it("backup makes none where one is young enough, and waits where that is wanted", async () => {
    project.answer("ssh backup-db.sh", {});
    const { status } = await project.run(["backup", "--if-older-than", "25", "--wait", "900"]);
    assert.equal(status, 0);
    assert.match(project.calls()[0]?.command ?? "", /settings --if-older-than 25 --wait 900$/);
    assert.equal((await project.run(["backup", "--wait", "soon"])).status, 64);
    assert.equal(project.calls().length, 1);
  });

  it("backups lists them, as JSON where that is wanted", async () => {
    project.answer("ssh restore-db.sh", { stdout: "a.sql.gz\n" });
    assert.equal((await project.run(["backups"])).stdout, "a.sql.gz");
    await project.run(["backups", "--json"]);
    const [table, json] = project.calls().map(({ command }) => command);
    assert.match(table ?? "", / list$/);
    assert.match(json ?? "", / list --json$/);
  });

  it("restore puts the named backup back with --yes", async () => {
    project.answer("ssh restore-db.sh", { stdout: "restored\n" });
    const { status, stdout } = await project.run(["restore", "latest", "--yes"]);
    assert.deepEqual([status, stdout], [0, "restored"]);
    assert.match(project.calls()[0]?.command ?? "", /\blatest\b/);
  });

  it("restore touches nothing without a terminal to ask on and without --yes", async () => {
    const { status, stderr } = await project.run(["restore", "latest"]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: Nothing was restored; answer yes, or .*--yes\.$/);
    assert.deepEqual(project.called(), []);
  });

  for (const [answer, status, called] of [
    ["yes", 0, ["ssh restore-db.sh"]],
    ["y", 1, []],
  ] as const) {
    it(`restore asks on a terminal, and takes "${answer}" for ${status === 0 ? "a yes" : "a no"}`, async () => {
      project.answer("ssh restore-db.sh", { stdout: "restored\n" });
      const ended = await project.run(["restore", "latest"], {}, `${answer}\n`);
      assert.match(
        ended.stdout,
        /Replace the database hockey_db on bot\.example\.org by latest\? \(yes\/no\)/,
      );
      assert.deepEqual([ended.status, project.called()], [status, called]);
    });
  }

  it("restore needs a backup's name", async () => {
    const { status, stderr } = await project.run(["restore"]);
    assert.equal(status, 64);
    assert.match(stderr, /^error: .*backup/);
  });

  it("restore --drop-old names what it would remove, and removes it with --yes", async () => {
    const script = {
      talk: `case " $* " in *' list-old '*) printf 'db_1\\ndb_2\\n' ;; *) echo removed ;; esac`,
    };
    project.answer("ssh restore-db.sh", script);
    const asked = await project.run(["restore", "--drop-old"]);
    assert.equal(asked.status, 1);
    assert.match(asked.stderr, /^error: Nothing was removed; answer yes, or .*--yes\.$/);
    assert.equal(project.calls().length, 1);
    const done = await project.run(["restore", "--drop-old", "--yes"]);
    assert.deepEqual([done.status, done.stdout], [0, "removed"]);
    assert.match(project.calls()[2]?.command ?? "", /\bdrop-old\b/);
  });

  it("restore --drop-old says so where there is nothing to remove", async () => {
    project.answer("ssh restore-db.sh", {});
    const { status, stdout } = await project.run(["restore", "--drop-old"]);
    assert.deepEqual([status, stdout], [0, "There is no replaced database on bot.example.org."]);
  });
});
