import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { publishedContent, publishedWorkflows } from "../../infra/workflow-files.ts";
import { VERBS } from "../../operator/verbs.ts";
import {
  action,
  ACTIONS,
  actionText,
  JOBS,
  DIRECTORY,
  FILES,
  type Step,
  text,
  usesSecrets,
  type Workflow,
  workflow,
} from "./workflow-files.ts";

/** What neither a linter asks for nor a local run would show: rules of this house. */

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
    const used = [...FILES.map(text), ...ACTIONS.map(actionText)].join("\n").match(/uses: .*/g) ?? [];
    const others = used.filter((line) => !line.startsWith("uses: ./"));
    assert.ok(others.length > 10);
    for (const line of others) assert.match(line, /^uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    // One version of each, and a version is one commit.
    const distinct = new Set(others);
    assert.equal(new Set(others.map((line) => line.split("@")[0])).size, distinct.size);
  });

  it("trust no cache that a pull request can write, where there are secrets", () => {
    const caching = (steps: Step[]) =>
      steps.filter(({ uses }) => /\bcache@|actions\/built$/.test(uses ?? ""));
    for (const { at, job } of JOBS.filter(({ job }) => usesSecrets(job)))
      assert.deepEqual(caching(job.steps), [], at);
    assert.deepEqual(
      caching(action("setup")).map((step) => step.if),
      [`contains(fromJSON('["push", "schedule", "workflow_dispatch"]'), github.event_name)`],
    );
    // Only the one hash of all that goes into it finds it, never an older or another one.
    const { key, path, ...others } = caching(action("built"))[0]?.with ?? {};
    assert.equal(key, "${{ runner.os }}-${{ runner.arch }}-${{ steps.built.outputs.key }}");
    assert.match(String(path), /^(~\/\.cache\/hockey-delivery\/(pulumi|plugins)-\*\n){2}$/);
    assert.deepEqual(others, {});
  });

  it("have no fault that shellcheck finds in what they run, nor have the actions that they share", () => {
    const steps = [...JOBS.flatMap(({ job }) => job.steps), ...ACTIONS.flatMap(action)];
    const scripts = steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
    assert.ok(scripts.length > 20);
    for (const input of scripts) {
      const { status, stdout } = spawnSync("shellcheck", ["--shell=bash", "-"], { input, encoding: "utf8" });
      assert.equal(status, 0, `${input}\n${stdout}`);
    }
  });

  it("publish no text of others outside of a fence, and no log", () => {
    const reports =
      FILES.map(text)
        .join("\n")
        .match(/report-to-github\.ts .*/g) ?? [];
    assert.equal(reports.length, 4);
    assert.equal(reports.filter((line) => line.includes('--fenced "$REPORT"')).length, 3);
    assert.doesNotMatch(text("health-check.yml"), /\.\/delivery logs \d/);
    assert.match(text("health-check.yml"), /\.\/delivery health --no-logs/);
  });

  it("start when they should, those of a schedule not at the full hour", () => {
    assert.deepEqual(workflow("deploy.yml").on, { push: { branches: ["main"] } });
    assert.deepEqual(workflow("backup.yml").on.schedule, [{ cron: "17 7 * * *" }]);
    assert.deepEqual(workflow("health-check.yml").on.schedule, [{ cron: "23 1,7,13,19 * * *" }]);
    const { inputs } = workflow("manual-deploy.yml").on.workflow_dispatch as {
      inputs: Record<string, { type: string; options?: string[]; default?: string | boolean }>;
    };
    assert.deepEqual(inputs.action?.options, ["deploy", "rollback", "restart", "logs"]);
    assert.equal(inputs.lines?.default, "100");
    assert.deepEqual([inputs.recover?.type, inputs.recover?.default], ["boolean", false]);
  });

  it("are published with their README, which needs no change", () => {
    assert.deepEqual(
      publishedWorkflows(),
      [...FILES.filter((file) => file !== "ci.yml"), "README.md"].sort(),
    );
    const readme = readFileSync(join(DIRECTORY, "README.md"), "utf8");
    assert.equal(publishedContent("README.md", "me/program"), readme);
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
});
