import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BRANCH, PullRequestDriver } from "./pull-request-driver.ts";
import { STACK_FILE } from "./workflow-driver.ts";

const ENVIRONMENTS = ["production", "production-preview", "production-unattended"];

describe("what a run on GitHub is given", function () {
  this.timeout(600_000);
  let pulls: PullRequestDriver;
  /** Where hostile code writes what it gets. */
  let loot: string;

  before(async () => {
    pulls = await PullRequestDriver.create("workflows-secrets");
    loot = join(pulls.bot.world.directory, "loot");
  });

  after(() => pulls.bot.close());

  beforeEach(() => {
    rmSync(loot, { force: true });
  });

  afterEach("has spoken with GitHub only as GitHub describes it", () => {
    assert.deepEqual(pulls.bot.github.violations, []);
  });

  /** A workflow that takes all that there is. */
  const greedy = (environment: string) => `name: Greedy
on: [push, pull_request]
jobs:
  greedy:
    runs-on: ubuntu-24.04
    environment: ${environment}
    steps:
      - run: echo "$ALL" > ${loot}
        env:
          ALL: \${{ secrets.SSH_PRIVATE_KEY }}\${{ secrets.PULUMI_CONFIG_PASSPHRASE }}\${{ secrets.PULUMI_BACKEND_URL }}
`;

  it("was never put into the repository, where each branch could read it", () => {
    const put = pulls.bot.github.requests.filter(
      ({ method, path }) => method === "PUT" && path.includes("/secrets/"),
    );
    assert.ok(put.length >= 9);
    for (const { path } of put) assert.match(path, /\/environments\/[\w-]+\/secrets\/\w+$/);
    assert.deepEqual(pulls.bot.github.secrets(), {});
  });

  it("is nothing on another branch and in a pull request, and all on the deployed one", async () => {
    const file = join(pulls.bot.world.directory, "greedy.yml");
    for (const environment of ENVIRONMENTS) {
      writeFileSync(file, greedy(environment));
      for (const [event, ref] of [
        ["push", `refs/heads/${BRANCH}`],
        ["push", "refs/tags/main"],
        ["pull_request", "refs/pull/77/merge"],
      ] as const) {
        const { isGreen, log } = await pulls.start(event, file, { ref });
        assert.ok(isGreen, log);
        assert.equal(readFileSync(loot, "utf8"), "\n", `${event} ${ref} ${environment}`);
      }
      const { isGreen, log } = await pulls.start("push", file);
      assert.ok(isGreen, log);
      const { PULUMI_CONFIG_PASSPHRASE = "?" } = pulls.bot.secrets;
      assert.ok(readFileSync(loot, "utf8").includes(PULUMI_CONFIG_PASSPHRASE));
    }
  });

  it("is enough for a deployment and for a check on a schedule", async () => {
    const commit = await pulls.bot.nextCommit();
    const pushed = await pulls.start("push", "deploy.yml");
    assert.ok(pushed.isGreen, pushed.log);
    assert.equal(await pulls.bot.running(), commit);
    const permissions = { issues: "write" } as const;
    const checked = await pulls.start("schedule", "health-check.yml", { permissions });
    assert.ok(checked.isGreen, checked.log);
  });

  it("is not in the hands of a pull request's program, whose plain configuration is previewed", async () => {
    const steal = `env > ${loot}\n`;
    const encrypted = /telegramToken:\s*(?<map>secure: \S+)/.exec(
      readFileSync(join(pulls.bot.world.repository.directory, STACK_FILE), "utf8"),
    )?.groups?.map;
    assert.ok(encrypted);
    const commit = await pulls.open({
      "infra/index.ts": (text) =>
        `import { writeFileSync } from "node:fs";\nwriteFileSync("${loot}", JSON.stringify(process.env));\n${text}`,
      ".github/workflows/preview.yml": (text) => text.replace("status=0", steal),
      ".github/scripts/github-waits.sh": (text) => text.replace("set -euo pipefail", steal),
      ".github/scripts/report-to-github.ts": (text) => `throw new Error("theirs");\n${text}`,
      ".github/actions/setup/action.yml": (text) => text.replace("scripts/bootstrap", steal),
      "scripts/bootstrap": (text) => text.replace("set -euo pipefail", steal),
      [STACK_FILE]: (text) =>
        text
          .replace(
            "environment:\n",
            `environment:\n      LOG_LEVEL: debug\n      STOLEN:\n        ${encrypted}\n`,
          )
          .replace(/host: \S+/, "host: evil.example.org"),
    });
    const { isGreen, log } = await pulls.preview(commit);
    assert.ok(isGreen, log);
    assert.ok(!existsSync(loot));
    assert.match(pulls.comment(), /1 to replace/);
    assert.match(pulls.comment(), /These keys stay .*: `server`, `app\.environment\.STOLEN`\.\n/);
    for (const [key, secret] of Object.entries(pulls.bot.world.secrets))
      assert.ok(!pulls.comment().includes(secret), key);
  });

  it("is given to a pull request's program once a reviewer has let it run, exactly as it was seen", async () => {
    const commit = await pulls.open({
      "infra/index.ts": (text) => `${text}console.log("The pull request's own program.");\n`,
    });
    const environment = pulls.bot.github.environments.get("production-preview");
    assert.ok(environment);
    const before = await pulls.preview(commit);
    assert.ok(before.isGreen, before.log);
    assert.doesNotMatch(pulls.comment(), /own program\./);
    environment.reviewers = [{ type: "User", id: 583231 }];
    const { isGreen, log } = await pulls.preview(commit);
    environment.reviewers = [];
    assert.ok(isGreen, log);
    assert.match(pulls.comment(), /The pull request's own program\./);
  });
});
