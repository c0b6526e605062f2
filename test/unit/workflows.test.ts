import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { DEPLOY_KEY } from "../../infra/model/ssh.ts";

/** What neither a linter asks for nor a local run would show: rules of this house. */

interface Step {
  name?: string;
  uses?: string;
  run?: string;
  if?: string;
  with?: Record<string, unknown>;
  env?: Record<string, string>;
}

interface Job {
  if?: string;
  "timeout-minutes"?: number;
  environment?: string;
  permissions?: Record<string, string>;
  concurrency?: Record<string, unknown>;
  env?: Record<string, string>;
  steps: Step[];
}

interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  concurrency?: Record<string, unknown>;
  jobs: Record<string, Job>;
}
import { VERBS } from "../../operator/verbs.ts";

const DIRECTORY = join(import.meta.dirname, "..", "..", ".github", "workflows");
const FILES = readdirSync(DIRECTORY).filter((file) => file.endsWith(".yml"));
const text = (file: string) => readFileSync(join(DIRECTORY, file), "utf8");
const workflow = (file: string) => parse(text(file)) as Workflow;
const jobs = (file: string) => Object.entries(workflow(file).jobs);
const all = FILES.flatMap((file) => jobs(file).map(([name, job]) => ({ at: `${file} ${name}`, file, job })));
const usesSecrets = (job: Job) => JSON.stringify(job).includes("secrets.");

describe("the workflows", () => {
  it("are the six of the house", () => {
    assert.deepEqual(FILES.sort(), [
      "backup.yml",
      "ci.yml",
      "deploy.yml",
      "health-check.yml",
      "manual-deploy.yml",
      "preview.yml",
    ]);
  });

  it("test this program in parts that are all of the end-to-end tests, and with those that take long every night", () => {
    const { on, jobs } = workflow("ci.yml") as Workflow & {
      jobs: Record<string, { strategy?: { matrix: { part: number[] } } }>;
    };
    assert.deepEqual(on.push, { branches: ["main"], tags: ["v*"] });
    for (const event of ["pull_request", "schedule", "workflow_dispatch"]) assert.ok(event in on, event);
    const commands = Object.values(jobs).map(({ steps }) => steps.at(-1)?.run);
    const part = jobs["end-to-end"]?.strategy?.matrix.part ?? [];
    assert.deepEqual(commands, [
      "scripts/test --unit ${ALL:+--all}",
      `scripts/test --shard "$PART/${part.length}" \${ALL:+--all}`,
    ]);
    assert.deepEqual(
      part,
      part.map((_, at) => at + 1),
    );
  });

  it("pin every action by its commit, with the version beside it", () => {
    const action = readFileSync(join(DIRECTORY, "..", "actions", "setup", "action.yml"), "utf8");
    const used = [...FILES.map(text), action].join("\n").match(/uses: .*/g) ?? [];
    const others = used.filter((line) => !line.startsWith("uses: ./"));
    assert.ok(others.length > 10);
    for (const line of others) assert.match(line, /^uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    // One version of each, and a version is one commit.
    const distinct = new Set(others);
    assert.equal(new Set(others.map((line) => line.split("@")[0])).size, distinct.size);
  });

  it("have no fault that shellcheck finds in what they run, nor has the action that they share", () => {
    const action = parse(readFileSync(join(DIRECTORY, "..", "actions", "setup", "action.yml"), "utf8")) as {
      runs: { steps: Step[] };
    };
    const steps = [...all.flatMap(({ job }) => job.steps), ...action.runs.steps];
    const scripts = steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
    assert.ok(scripts.length > 20);
    for (const input of scripts) {
      const { status, stdout } = spawnSync("shellcheck", ["--shell=bash", "-"], { input, encoding: "utf8" });
      assert.equal(status, 0, `${input}\n${stdout}`);
    }
  });

  for (const { at, file, job } of all) {
    describe(at, () => {
      it("ends at some time", () => {
        assert.ok(Number(job["timeout-minutes"]) <= 60);
      });

      it("may read the code, and write only what it is for", () => {
        assert.deepEqual(workflow(file).permissions, { contents: "read" });
        const extra = Object.entries(job.permissions ?? {}).filter(([key]) => key !== "contents");
        const expected: Record<string, [string, string][]> = {
          "health-check.yml health": [["issues", "write"]],
          "preview.yml preview": [["pull-requests", "write"]],
        };
        assert.deepEqual(extra, expected[at] ?? []);
      });

      it("leaves no credential in the checked-out code", () => {
        for (const step of job.steps.filter(({ uses }) => uses?.startsWith("actions/checkout@"))) {
          assert.equal(step.with?.["persist-credentials"], false);
        }
      });

      it("puts nothing that others write into a shell line", () => {
        for (const { run = "" } of job.steps) assert.doesNotMatch(run, /\$\{\{/);
      });

      if (!usesSecrets(job)) return;

      it("takes its turn with all that touches the server, and is never cancelled", () => {
        const turn = { group: "production", "cancel-in-progress": false, queue: "max" };
        assert.deepEqual(job.concurrency, turn);
      });

      it("does nothing where nothing is set up", () => {
        const needs = workflow(file).jobs.test?.if ?? job.if;
        assert.match(needs ?? "", /vars\.INFRA_REPOSITORY != ''/);
      });

      it("gets no administrator's token, and passes GitHub over", () => {
        assert.doesNotMatch(JSON.stringify(job), /ADMIN|GH_PAT|secrets\.GITHUB_TOKEN/);
        const calls = JSON.stringify(job.steps);
        if (!/\.\/delivery (deploy|rollback|drift)|pulumi preview/.test(calls)) return;
        const passedOver =
          job.env?.PULUMI_OPTION_EXCLUDE ?? /PULUMI_OPTION_EXCLUDE='([^']*)' pulumi/.exec(calls)?.[1];
        assert.equal(passedOver, "**hockey:index:Repository**");
      });

      it("forgets the deploy key at its end, whatever happened", () => {
        const last = job.steps.at(-1);
        assert.equal(last?.if, "always()");
        // The program puts it there for ssh, too (infra/model/ssh.ts).
        const forget = last.run ?? "";
        assert.ok(forget.startsWith(`rm -f delivery/${DEPLOY_KEY}\n`));
        assert.match(forget, /kill "\$SSH_AGENT_PID"/);
        assert.doesNotMatch(text(file), /ssh-keyscan|StrictHostKeyChecking=(no|accept-new)/);
      });
    });
  }

  it("run in an environment: with reviewers after a push or by hand, without on a schedule", () => {
    const environments = all
      .filter(({ job }) => usesSecrets(job))
      .map(({ at, job }) => [at, job.environment]);
    assert.deepEqual(Object.fromEntries(environments), {
      "backup.yml backup": "production-unattended",
      "deploy.yml deploy": "production",
      "health-check.yml health": "production-unattended",
      "manual-deploy.yml run": "production",
      // Environments are open to the deployed branch alone.
      "preview.yml preview": undefined,
    });
  });

  it("give a fork's pull request no secrets, and say so", () => {
    const { preview, fork } = workflow("preview.yml").jobs;
    assert.match(preview?.if ?? "", /head\.repo\.full_name == github\.repository/);
    assert.match(fork?.if ?? "", /head\.repo\.full_name != github\.repository/);
    assert.ok(fork && !usesSecrets(fork));
    assert.deepEqual(Object.keys(workflow("preview.yml").on), ["pull_request"]);
  });

  it("start when they should", () => {
    assert.deepEqual(workflow("deploy.yml").on, { push: { branches: ["main"] } });
    assert.deepEqual(workflow("backup.yml").on.schedule, [{ cron: "0 6 * * *" }]);
    assert.deepEqual(workflow("health-check.yml").on.schedule, [{ cron: "*/30 * * * *" }]);
    const { inputs } = workflow("manual-deploy.yml").on.workflow_dispatch as {
      inputs: Record<string, { type: string; options?: string[]; default?: string | boolean }>;
    };
    assert.deepEqual(inputs.action?.options, ["deploy", "rollback", "restart", "logs"]);
    assert.equal(inputs.lines?.default, "100");
    assert.deepEqual([inputs.recover?.type, inputs.recover?.default], ["boolean", false]);
  });

  it("call only commands that there are", () => {
    const called = FILES.flatMap((file) =>
      [...text(file).matchAll(/(?<!\.)\.\/delivery ([a-z]+)/g)].map(([, name]) => name ?? ""),
    );
    assert.ok(called.length > 8);
    for (const name of called) assert.ok(name in VERBS, `./delivery ${name}`);
  });

  it("are explained, with every secret and variable they use", () => {
    const readme = readFileSync(join(DIRECTORY, "README.md"), "utf8");
    for (const file of FILES) assert.ok(readme.includes(`\`${file}\``), file);
    for (const [, name] of FILES.map(text)
      .join("")
      .matchAll(/(?:secrets|vars)\.(\w+)/g)) {
      assert.ok(name && readme.includes(`\`${name}\``), name);
    }
  });

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
});
