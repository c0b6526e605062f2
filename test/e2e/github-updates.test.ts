import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { pulumi, pulumiOk } from "../../sandbox/stack.ts";
import { GitHubDriver, KEY_FILE, ONLY_GITHUB, WORKFLOW } from "./github-driver.ts";
import { operate } from "./operator.ts";

const ENVIRONMENTS = ["production", "production-preview", "production-unattended"];

describe("GitHub's side of the stack, in later updates", () => {
  let bot: GitHubDriver;
  /** What an earlier version had on GitHub, and what the first update of this one asked there. */
  let earlier: { secrets: Record<string, string>; writes: string[] };

  before(async () => {
    bot = await GitHubDriver.create("github-updates");
    const useThisProgram = bot.useEarlierProgram();
    await bot.apply();
    const secrets = bot.github.secrets();
    useThisProgram();
    const { result, writes } = await bot.asked(() => bot.up(...ONLY_GITHUB));
    assert.equal(result.exitCode, 0, result.output);
    earlier = { secrets, writes };
  });

  after(() => bot.close());

  afterEach("has spoken with GitHub only as GitHub describes it", () => {
    assert.deepEqual(bot.github.violations, []);
  });

  it("has moved the secrets of an earlier version into environments, and no run in between was without them", () => {
    const { secrets, writes } = earlier;
    const names = Object.keys(secrets);
    assert.ok(names.includes("SSH_PRIVATE_KEY") && names.length > 6);
    for (const name of ["production", "production-unattended"]) {
      assert.deepEqual(
        Object.keys(bot.github.secrets(name))
          .filter((key) => key !== "ADDED")
          .sort(),
        names.sort(),
      );
    }
    assert.deepEqual(bot.github.secrets(), {});
    const given = writes.flatMap((line, at) =>
      /^PUT .*\/environments\/.*\/secrets\//.test(line) ? [at] : [],
    );
    const taken = writes.flatMap((line, at) => (/^DELETE .*\/actions\/secrets\//.test(line) ? [at] : []));
    assert.deepEqual([given.length, taken.length], [2 * names.length + 3, names.length]);
    assert.ok((given.at(-1) ?? 0) < (taken[0] ?? 0), writes.join("\n"));
  });

  it("says in a run without a token that the server's key is not let in, before anything is changed", async () => {
    await bot.letIn([]);
    const commit = await bot.world.release("README.md", (text) => `${text}\n`);
    await pulumiOk(bot.world.stack, ["config", "set", "commit", commit]);
    const { exitCode, output } = await pulumi(bot.world.stack, ["preview"], bot.unattended());
    await bot.letIn(bot.github.deployKeys);
    assert.notEqual(exitCode, 0);
    assert.match(
      output,
      /cannot read the repository ssh:\S+ \(.*Permission denied \(publickey\)\); have its key published again with: pulumi up --refresh/,
    );
    assert.match(output, /Nothing was changed\./);
  });

  it("has a key that was lost on the server made anew, and the old one taken away", async () => {
    const [lost] = bot.publicKeys();
    await bot.world.onServer("rm", KEY_FILE);
    const drift = await operate(bot.world.stack, "drift", [], bot.unattended().env);
    assert.equal(drift.exitCode, 2, drift.output);
    assert.match(drift.output, /missing repository_key in \/home\/deploy\/hockey/);
    const { exitCode, output } = await bot.up();
    assert.equal(exitCode, 0, output);
    assert.deepEqual(bot.publicKeys(), [await bot.keyOnServer()]);
    assert.notDeepEqual(bot.publicKeys(), [lost]);
    // The new commit was fetched with it.
    const { release } = (await (await fetch(`${bot.world.url}/health`)).json()) as { release: string };
    assert.equal(release, await bot.world.repository.head());
  });

  it("sets a secret again that was set by hand, when told to replace it", async () => {
    bot.github.setSecret("SSH_HOST", "elsewhere.example.org", "production");
    const one = "**-SSH_HOST";
    const { exitCode, output } = await bot.up("--replace", one, "--target", one);
    assert.equal(exitCode, 0, output);
    assert.equal(bot.github.secrets("production").SSH_HOST, bot.world.server.host);
  });

  it("passes a rotated secret on, and nothing else", async () => {
    await bot.setSecret("PULUMI_BACKEND_URL", "s3://states/rotated");
    const { result, writes } = await bot.asked(() => bot.up(...ONLY_GITHUB));
    assert.equal(result.exitCode, 0, result.output);
    const written = ENVIRONMENTS.map(
      (name) => `PUT /api/v3/repositories/4711/environments/${name}/secrets/PULUMI_BACKEND_URL 204`,
    );
    assert.deepEqual(writes.sort(), written.sort());
    for (const name of ENVIRONMENTS)
      assert.equal(bot.github.secrets(name).PULUMI_BACKEND_URL, "s3://states/rotated");
  });

  it("is passed over in a run without a token, which says what waits, and an operator applies it", async () => {
    const before = bot.snapshot();
    const file = join(bot.world.stack.project, WORKFLOW);
    const content = readFileSync(file, "utf8");
    writeFileSync(file, `${content}# changed\n`);
    await bot.setSecret("PULUMI_BACKEND_URL", "s3://states/later");
    await bot.setSecret("ADDED", "later");
    await pulumiOk(bot.world.stack, ["config", "set", "--path", "app.environment.LOG_LEVEL", "debug"]);
    const { result, all } = await bot.asked(async () => [
      await pulumi(bot.world.stack, ["preview"], bot.unattended()),
      await pulumi(bot.world.stack, ["up", "--yes", "--skip-preview", "--refresh"], bot.unattended()),
    ]);
    for (const { exitCode, output } of result) assert.equal(exitCode, 0, output);
    assert.match(
      await bot.world.onServer("docker", "inspect", "--format", "{{.Config.Env}}", "training_bot"),
      /LOG_LEVEL=debug/,
    );
    assert.deepEqual(bot.snapshot(), before);
    // The plugin looks the account up when it starts; nothing of the repository is asked for.
    assert.deepEqual([...new Set(all)], ["GET /api/v3/orgs/example 200"]);

    const script = join(bot.world.stack.project, ".github", "scripts", "github-waits.sh");
    const say = () =>
      run(script, [], {
        cwd: bot.world.stack.project,
        env: { ...bot.world.stack.env, ...bot.unattended().env, PULUMI_STACK: bot.world.stack.name },
      });
    const waits = await bot.asked(say);
    assert.match(waits.result, /github-production-PULUMI_BACKEND_URL/);
    assert.match(waits.result, /github-production-preview-ADDED/);
    assert.match(
      waits.result,
      /::notice::GitHub's part of the stack has a change that waits for an operator/,
    );
    assert.ok(!waits.result.includes("s3://states"));
    assert.deepEqual([...new Set(waits.all)], ["GET /api/v3/orgs/example 200"]);
    const { exitCode, output } = await bot.up(...ONLY_GITHUB);
    assert.equal(exitCode, 0, output);
    assert.equal(bot.github.secrets("production").ADDED, "later");
    assert.match(bot.github.file(WORKFLOW) ?? "", /# changed\n$/);
    assert.equal(await say(), "");
  });

  it("cannot be taken away by a run without a token", async () => {
    const before = bot.snapshot();
    await pulumiOk(bot.world.stack, ["config", "set", "--path", "github.manage", "false"]);
    const { exitCode, output } = await pulumi(
      bot.world.stack,
      ["up", "--yes", "--skip-preview"],
      bot.unattended(),
    );
    await pulumiOk(bot.world.stack, ["config", "set", "--path", "github.manage", "true"]);
    assert.equal(exitCode, 0, output);
    assert.deepEqual(bot.snapshot(), before);
    assert.match(bot.state(), /actionsEnvironmentSecret:ActionsEnvironmentSecret/);
  });

  it("gets over short faults and rate limits of GitHub's", async () => {
    bot.github.fail({ status: 502, times: 3, method: "PUT", path: /secrets/ });
    bot.github.fail({ status: 403, method: "PUT", path: /secrets/ });
    bot.github.fail({ status: 429, method: "GET", path: /public-key/ });
    await bot.setSecret("ADDED", "after a bad day");
    const { exitCode, output } = await bot.up(...ONLY_GITHUB);
    assert.equal(exitCode, 0, output);
    assert.equal(bot.github.secrets("production").ADDED, "after a bad day");
  });

  it("says what GitHub says when a fault lasts, and the next update repairs it @slow", async () => {
    // Each environment has a copy; the one of a single environment is tried four times.
    bot.github.fail({ status: 502, times: 4, method: "PUT", path: /environments\/production\/secrets/ });
    await bot.setSecret("ADDED", "after a worse day");
    const failed = await bot.up(...ONLY_GITHUB);
    assert.notEqual(failed.exitCode, 0);
    assert.match(failed.output, /PUT .*secrets\/ADDED: 502/);
    const next = await bot.up(...ONLY_GITHUB);
    assert.equal(next.exitCode, 0, next.output);
    assert.equal(bot.github.secrets("production").ADDED, "after a worse day");
  });

  it("leaves a protected branch alone and says so", async () => {
    bot.github.protect(true);
    const before = bot.snapshot();
    const file = join(bot.world.stack.project, WORKFLOW);
    writeFileSync(file, `${readFileSync(file, "utf8")}# protected\n`);
    const refused = await bot.up(...ONLY_GITHUB);
    bot.github.protect(false);
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.output, /409 .*Changes must be made through a pull request/s);
    assert.deepEqual(bot.snapshot(), before);
    const next = await bot.up(...ONLY_GITHUB);
    assert.equal(next.exitCode, 0, next.output);
    assert.match(bot.github.file(WORKFLOW) ?? "", /# changed\n# protected\n$/);
  });
});
