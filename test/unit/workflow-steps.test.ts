import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { workflow } from "./workflow-files.ts";

/** What steps of the workflows do with what comes from outside. */

describe("a push", () => {
  const step = workflow("deploy.yml").jobs.deploy?.steps.find(({ name }) =>
    name?.startsWith("Refuse what is older"),
  );
  const directory = mkdtempSync(join(tmpdir(), "push-"));
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", ...args], {
      cwd: directory,
      encoding: "utf8",
    }).trim();
  const commit = () => {
    git("commit", "--quiet", "--allow-empty", "--message", "x");
    return git("rev-parse", "HEAD");
  };
  /** The step, with `running` as what Pulumi says that runs. */
  const push = (sha: string, running: string) => {
    const pulumi = join(directory, "pulumi");
    writeFileSync(pulumi, running ? `#!/bin/sh\necho ${running}\n` : "#!/bin/sh\nexit 1\n", {
      mode: 0o755,
    });
    return spawnSync("bash", ["-eo", "pipefail", "-c", step?.run ?? "false"], {
      cwd: directory,
      env: { PATH: `${directory}:${process.env.PATH ?? ""}`, GITHUB_SHA: sha },
      encoding: "utf8",
    });
  };

  after(() => {
    rmSync(directory, { recursive: true });
  });

  it("that follows on what runs is deployed, an older or a stray one is refused", () => {
    git("init", "--quiet", "--initial-branch=main");
    const older = commit();
    const newer = commit();
    assert.equal(push(newer, older).status, 0);
    assert.equal(push(newer, newer).status, 0);
    assert.equal(push(newer, "").status, 0, "the first of all");
    for (const running of [newer, "0".repeat(40)]) {
      const { status, stdout } = push(older, running);
      assert.equal(status, 1);
      assert.ok(
        stdout.startsWith(`::error::${older} does not follow on ${running}, which runs; to deploy it `),
      );
    }
  });
});

describe("the inputs of a run by hand", () => {
  const step = (wanted: string) =>
    workflow("manual-deploy.yml").jobs.run?.steps.find(({ name }) => name === wanted);
  const check = step("Check the inputs");
  const good = { ACTION: "deploy", COMMIT: "", LINES_WANTED: "100", RECOVER: "false" };
  const run = (env: Partial<typeof good>) =>
    spawnSync("bash", ["-eo", "pipefail", "-c", check?.run ?? "false"], {
      env: { PATH: process.env.PATH, ...good, ...env },
      encoding: "utf8",
    });

  it("pass as they should", () => {
    for (const env of [
      {},
      { COMMIT: "3f78685" },
      { COMMIT: "3f78".repeat(10) },
      { ACTION: "logs", LINES_WANTED: "5" },
      { RECOVER: "true" },
      // A run that a program starts may leave an input out.
      { RECOVER: "" },
      { ACTION: "rollback", RECOVER: "true" },
    ]) {
      assert.equal(run(env).status, 0, JSON.stringify(env));
    }
  });

  const HOSTILE = {
    COMMIT: [
      "; rm -rf /",
      "$(reboot)",
      "`id`",
      "3f78685\n3f78685",
      "HEAD",
      "main",
      "--force",
      "a".repeat(5000),
      "3F78685",
    ],
    LINES_WANTED: ["0", "-1", "1e9", "100; id", "", "100000", "5\n5"],
    ACTION: ["", "destroy", "deploy\nrollback", "$(id)"],
    RECOVER: ["yes", "TRUE", "true; id", "true\nfalse"],
  };
  for (const [name, values] of Object.entries(HOSTILE)) {
    for (const value of values) {
      it(`${name}=${JSON.stringify(value).slice(0, 40)} is refused`, () => {
        const { status, stdout } = run({ [name]: value });
        assert.equal(status, 1);
        assert.match(stdout, /^::error::The (action|commit|number of log lines|recovery) must be/);
      });
    }
  }

  it("recover nothing where nothing is released", () => {
    for (const ACTION of ["restart", "logs"]) {
      const { status, stdout } = run({ ACTION, RECOVER: "true" });
      assert.equal(status, 1);
      assert.match(stdout, /^::error::The recovery must be of a deploy or a rollback\./);
    }
  });

  it("reach the command as they are meant", () => {
    const directory = mkdtempSync(join(tmpdir(), "by-hand-"));
    writeFileSync(join(directory, "delivery"), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const SHA = "3f78".repeat(10);
    const typed = (env: Partial<typeof good>) =>
      spawnSync("bash", ["-eo", "pipefail", "-c", step("Do it")?.run ?? "false"], {
        cwd: directory,
        env: { PATH: process.env.PATH, GITHUB_SHA: SHA, ...good, ...env },
        encoding: "utf8",
      }).stdout.trim();
    try {
      assert.equal(typed({}), `deploy ${SHA}`);
      assert.equal(typed({ COMMIT: "3f78685", RECOVER: "true" }), "deploy 3f78685 --recover");
      assert.equal(typed({ ACTION: "rollback" }), "rollback");
      assert.equal(typed({ ACTION: "rollback", RECOVER: "true" }), "rollback --recover");
      assert.equal(typed({ ACTION: "restart" }), "restart");
      assert.equal(typed({ ACTION: "logs", LINES_WANTED: "5" }), "logs 5");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
