import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FakeProject } from "../fake-tools.ts";
import { answerRelease, history, NEW, OLD } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

const RELEASES = [
  [NEW, "succeeded"],
  [OLD, "succeeded", { repository: "/old", port: 4000 }],
] as const;

describe("rollback", function () {
  withProject(this, () =>
    answerRelease(new FakeProject({ commit: NEW })).answer(
      "pulumi stack history",
      // When the command begins, under the update's lock, and when the update has ended.
      { stdout: history(...RELEASES) },
      { stdout: history(...RELEASES) },
      { stdout: history([OLD, "succeeded"], ...RELEASES) },
    ),
  );

  it("goes back to the release before the running one, with the configuration that it had", async () => {
    const { status, stdout, stderr } = await project.run(["rollback"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, new RegExp(`^rolling test back to ${OLD}, live on 2026-01-19T00:00:00.000Z`));
    assert.match(stdout, /^rollback: a1a1a1a is live \(before: b2b2b2b\)/m);
    const config = project.configured();
    assert.deepEqual(
      [config["hockey:commit"], config["hockey:app"]],
      [OLD, { repository: "/old", port: 4000 }],
    );
    assert.ok(!project.called().includes("ssh backup-db.sh"), "no backup stands in its way");
    // Nothing is compared that need not be: a rollback is in a hurry.
    assert.ok(!project.calls("pulumi up")[0]?.args.includes("--refresh"));
    assert.ok(!project.called().includes("ssh find-commit.sh"));
  });

  it("changes nothing where there is no such release", async () => {
    const { status, stderr } = await project.run(["rollback", "ffff"]);
    assert.equal(status, 1);
    assert.match(stderr, /^What can be rolled back to:\n {2}b2b2[^]*\nerror: No release of ffff is known\.$/);
    assert.deepEqual(project.called(), ["pulumi stack history"]);
  });

  it("is refused where another release was made while it waited for the lock", async () => {
    const now = history(["c3".repeat(20), "succeeded"], ...RELEASES);
    project.answer("pulumi stack history", { stdout: history(...RELEASES) }).answer("pulumi up", {
      update: { first: project.answerLater("pulumi stack history", { stdout: now }), then: "touch released" },
    });
    const { status, stderr } = await project.run(["rollback"]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: Another release was made meanwhile; look at .* Nothing was changed\.$/);
    assert.equal(project.calls("pulumi up").length, 1);
    assert.ok(!existsSync(join(project.directory, "released")));
  });

  it("goes on where an update failed meanwhile: what is wanted is the same", async () => {
    const now = history(["c3".repeat(20), "failed"], ...RELEASES);
    project.answer("pulumi stack history", { stdout: history(...RELEASES) }, { stdout: now });
    const { status } = await project.run(["rollback"]);
    assert.equal(status, 0);
  });

  it("is refused where the history cannot be read under the lock", async () => {
    project.answer(
      "pulumi stack history",
      { stdout: history(...RELEASES) },
      { status: 1, stderr: "error: no bucket" },
    );
    const { status, stderr } = await project.run(["rollback"]);
    assert.deepEqual([status, stderr], [1, "error: The stack's history cannot be read: error: no bucket"]);
  });
});
