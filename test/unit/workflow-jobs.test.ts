import assert from "node:assert/strict";
import { parse } from "yaml";
import { ENVIRONMENTS } from "../../infra/model/names.ts";
import { DEPLOY_KEYS } from "../../infra/model/ssh.ts";
import { publishedContent } from "../../infra/workflow-files.ts";
import { JOBS, text, usesSecrets, type Workflow, workflow } from "./workflow-files.ts";

/** What neither a linter asks for nor a local run would show: rules of this house. */

/** What opens the stack's state and the secrets in it. */
const STATE = [
  "PULUMI_BACKEND_URL",
  "PULUMI_CONFIG_PASSPHRASE",
  "PULUMI_ACCESS_TOKEN",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
];

describe("the jobs of the workflows", () => {
  for (const { at, file, job } of JOBS) {
    describe(at, () => {
      it("ends at some time", () => {
        assert.ok(Number(job["timeout-minutes"]) <= 60);
      });

      it("may read the code, and write only what it is for", () => {
        assert.deepEqual(workflow(file).permissions, { contents: "read" });
        const extra = Object.entries(job.permissions ?? {}).filter(([key]) => key !== "contents");
        const expected: Record<string, [string, string][]> = {
          "health-check.yml health": [["issues", "write"]],
          "preview.yml preview": [
            ["actions", "read"],
            ["pull-requests", "write"],
          ],
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

      it("takes its turn, and is never cancelled unless it is a preview", () => {
        const turn = (group: string) => ({ group, "cancel-in-progress": false, queue: "max" });
        const ofPull = "preview-${{ github.event.pull_request.number }}";
        const turns: Record<string, object> = {
          [ENVIRONMENTS.attended]: turn("production"),
          // A run that waits for a reviewer keeps its turn, so those that wait for none have another.
          [ENVIRONMENTS.unattended]: turn("production-unattended"),
          [ENVIRONMENTS.preview]: { group: ofPull, "cancel-in-progress": true },
        };
        assert.deepEqual(job.concurrency, turns[job.environment ?? ""]);
      });

      it("gives its secrets to the steps that need them, and none to what installs things", () => {
        const { steps, ...others } = job;
        assert.doesNotMatch(JSON.stringify(others), /secrets\.|github\.token/);
        for (const step of steps) {
          const { env = {}, with: inputs = {}, run = "" } = step;
          const used = [...JSON.stringify(step).matchAll(/secrets\.(\w+)/g)].map(([, name]) => name ?? "");
          const passed = [...JSON.stringify({ env, inputs }).matchAll(/secrets\.(\w+)/g)];
          assert.equal(passed.length, used.length, "through env and with only");
          const allowed = step.uses?.startsWith("actions/checkout@")
            ? ["INFRA_TOKEN"]
            : step.uses === "./delivery/.github/actions/setup"
              ? ["SSH_PRIVATE_KEY"]
              : /pulumi |\.\/delivery (deploy|health|rollback)|github-waits/.test(run)
                ? STATE
                : [];
          assert.deepEqual(new Set(used), new Set(allowed.filter((name) => used.length && name)), step.name);
        }
      });

      it("runs the program of its own repository, or where it is published the one that the stack names", () => {
        const program = job.steps.find(({ with: inputs }) => inputs?.path === "delivery")?.with ?? {};
        assert.equal(program.repository, "${{ env.INFRA_REPOSITORY }}");
        assert.equal(program.ref, "${{ env.INFRA_REPOSITORY == github.repository && github.sha || '' }}");
        assert.equal(job.env?.INFRA_REPOSITORY, "${{ github.repository }}");
        const published = parse(publishedContent(file, "me/program")) as Workflow;
        const programs = Object.values(published.jobs).flatMap(({ env }) => env?.INFRA_REPOSITORY ?? []);
        assert.deepEqual(programs, ["me/program"]);
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
        // The program puts it there for ssh, too, in a file for each stack (infra/model/ssh.ts).
        const forget = last.run ?? "";
        assert.ok(forget.startsWith(`rm -f delivery/${DEPLOY_KEYS}*\n`));
        assert.match(forget, /kill "\$SSH_AGENT_PID"/);
        assert.doesNotMatch(text(file), /ssh-keyscan|StrictHostKeyChecking=(no|accept-new)/);
      });
    });
  }

  it("run in an environment: with reviewers after a push or by hand, without on a schedule, and one for previews", () => {
    const environments = JOBS.filter(({ job }) => usesSecrets(job)).map(({ at, job }) => [
      at,
      job.environment,
    ]);
    assert.deepEqual(Object.fromEntries(environments), {
      "backup.yml backup": "production-unattended",
      "deploy.yml deploy": "production",
      "health-check.yml health": "production-unattended",
      "manual-deploy.yml run": "production",
      "preview.yml preview": "production-preview",
    });
  });

  it("give a fork's pull request no secrets, and say so", () => {
    const { preview, fork } = workflow("preview.yml").jobs;
    assert.match(preview?.if ?? "", /head\.repo\.full_name == github\.repository/);
    assert.match(fork?.if ?? "", /head\.repo\.full_name != github\.repository/);
    assert.ok(fork && !usesSecrets(fork));
  });

  it("run nothing of a pull request with a secret, unless a reviewer has approved it", () => {
    assert.deepEqual(Object.keys(workflow("preview.yml").on), ["pull_request_target"]);
    // No other file sees both a pull request and a secret.
    for (const { file, job } of JOBS.filter(({ file }) => "pull_request" in workflow(file).on))
      assert.ok(!usesSecrets(job), file);
    const steps = workflow("preview.yml").jobs.preview?.steps ?? [];
    const ofPull = steps.filter((step) => JSON.stringify(step).includes("pull_request.head"));
    assert.deepEqual(
      ofPull.map(({ name, if: condition }) => [name, condition]),
      [
        ["Take the pull request's own program", "steps.approval.outputs.reviewed == 'true'"],
        [
          "Take the pull request's plain configuration",
          "env.INFRA_REPOSITORY == github.repository && steps.approval.outputs.reviewed != 'true'",
        ],
      ],
    );
    const [own, data] = ofPull;
    // Exactly what the reviewer has seen; a branch may have moved on.
    assert.equal(own?.with?.ref, "${{ github.event.pull_request.head.sha }}");
    assert.ok(!JSON.stringify(data).includes("checkout"));
  });
});
