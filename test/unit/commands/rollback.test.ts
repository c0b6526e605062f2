import assert from "node:assert/strict";
import { parse } from "yaml";
import { FakeProject } from "../fake-tools.ts";
import { answerRelease, history, NEW, OLD } from "../live-stack.ts";

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
    assert.match(stderr, /^What can be rolled back to:\n {2}b2b2[^]*\nerror: No release of ffff is known\.$/);
    assert.deepEqual(project.called(), ["pulumi stack history"]);
  });
});
