import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { publishedContent } from "../../infra/workflow-files.ts";
import { pulumi, pulumiOk } from "../../sandbox/stack.ts";
import { GitHubDriver, KEY_FILE, ONLY_GITHUB, PASSPHRASE, WORKFLOW } from "./github-driver.ts";

describe("GitHub's side of the stack", () => {
  let bot: GitHubDriver;

  before(async () => {
    bot = await GitHubDriver.create("github");
  });

  after(() => bot.close());

  afterEach("has spoken with GitHub only as GitHub describes it", () => {
    assert.deepEqual(bot.github.violations, []);
  });

  const published = () =>
    readdirSync(join(bot.world.stack.project, ".github", "workflows")).filter((file) => file !== "ci.yml");

  it("is refused without a token, before anything is asked or changed", async () => {
    const { result, all } = await bot.asked(() => pulumi(bot.world.stack, ["preview"], bot.environment({})));
    assert.notEqual(result.exitCode, 0);
    assert.match(
      result.output,
      /GITHUB_TOKEN is not set, and `github\.manage` needs .* Nothing was changed\./,
    );
    assert.deepEqual(all, []);
  });

  it("is refused with a token that lacks a scope, which is named", async () => {
    bot.github.addToken("ghp_repo", { scopes: ["repo"] });
    const { result, writes } = await bot.asked(() =>
      pulumi(bot.world.stack, ["preview"], bot.environment({ GITHUB_TOKEN: "ghp_repo" })),
    );
    assert.notEqual(result.exitCode, 0);
    assert.match(result.output, /GITHUB_TOKEN lacks the scope workflow; .* Nothing was changed\./);
    assert.deepEqual(writes, []);
  });

  it("is refused where there is no such repository", async () => {
    await pulumiOk(bot.world.stack, ["config", "set", "--path", "github.repository", "hokey"]);
    const { result, writes } = await bot.asked(() =>
      pulumi(bot.world.stack, ["preview"], bot.administrator()),
    );
    await pulumiOk(bot.world.stack, ["config", "set", "--path", "github.repository", "hockey"]);
    assert.notEqual(result.exitCode, 0);
    assert.match(result.output, /repository example\/hokey does not exist, .* Nothing was changed\./);
    assert.deepEqual(writes, []);
  });

  it("is in one preview with the server's, though the server cannot read the repository yet", async () => {
    const { result, writes } = await bot.asked(() =>
      pulumi(bot.world.stack, ["preview"], bot.administrator()),
    );
    assert.equal(result.exitCode, 0, result.output);
    assert.match(result.output, /docker:index:Container bot-container create/);
    assert.match(
      result.output,
      /github:index:ActionsEnvironmentSecret github-production-SSH_PRIVATE_KEY create/,
    );
    assert.match(result.output, /github:index:RepositoryFile github-deploy\.yml create/);
    assert.match(result.output, /github:index:RepositoryDeployKey github-deploy-key create/);
    assert.deepEqual(writes, []);
  });

  describe("once it is applied", () => {
    beforeEach(() => bot.apply());

    it("has every environment with its secrets, the repository none of its own, and the variable", () => {
      const { host, port, user, privateKeyFile } = bot.world.server;
      const needed = {
        SSH_PRIVATE_KEY: readFileSync(privateKeyFile, "utf8"),
        PULUMI_BACKEND_URL: "s3://states/hockey",
        PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
      };
      const address = { SSH_HOST: host, SSH_PORT: String(port), SSH_USERNAME: user };
      for (const name of ["production", "production-unattended"]) {
        const expected = { ...needed, ...address, DEPLOY_PATH: "/home/deploy/hockey" };
        assert.deepEqual(bot.github.secrets(name), expected);
      }
      assert.deepEqual(bot.github.secrets("production-preview"), needed);
      assert.deepEqual(bot.github.secrets(), {});
      const put = bot.github.requests.filter(
        ({ method, path }) => method === "PUT" && path.includes("secret"),
      );
      assert.ok(put.length > 0 && put.every(({ path }) => path.includes("/environments/")));
      assert.equal(bot.github.variables.get("INFRA_REPOSITORY")?.value, "example/hockey-delivery");
      const kept = [...bot.github.environments].map(([name, { reviewers, branches }]) => [
        ...[name, reviewers.map(({ id }) => id)],
        branches.map((branch) => branch.name),
      ]);
      assert.deepEqual(kept.sort(), [
        ["production", [583231], ["main"]],
        ["production-preview", [], ["main"]],
        ["production-unattended", [], ["main"]],
      ]);
    });

    it("lets the server read the repository with a key whose private half has never left it", async () => {
      const [published, ...others] = bot.github.deployKeys;
      assert.deepEqual(others, []);
      assert.equal(published?.read_only, true);
      assert.equal(published.title, "training_bot on 127.0.0.1");
      assert.equal(published.key, await bot.keyOnServer());
      assert.equal(await bot.world.onServer("stat", "-c", "%U %a", KEY_FILE), "deploy 600");
      // Without the two lines that every such key begins with.
      const privateHalf = (await bot.world.onServer("cat", KEY_FILE)).split("\n").slice(2, -1);
      assert.ok(privateHalf.length > 2);
      const everything = [
        await pulumiOk(bot.world.stack, ["stack", "export", "--show-secrets"]),
        await pulumiOk(bot.world.stack, ["stack", "output", "--show-secrets"]),
        await bot.sh(
          "find /home/deploy/hockey/manifest.sha256 /home/deploy/hockey/bin -type f -exec cat {} +",
        ),
      ].join("\n");
      assert.ok(everything.includes(published.key));
      for (const line of privateHalf) assert.ok(!everything.includes(line));
    });

    it("has the workflow files there, which name this program, one commit each, none of which starts a run", () => {
      assert.ok(published().includes("deploy.yml") && published().length > 4);
      for (const file of published()) {
        const there = bot.github.file(`.github/workflows/${file}`);
        assert.equal(there, publishedContent(file, "example/hockey-delivery"), file);
      }
      assert.equal(bot.github.file(".github/workflows/ci.yml"), undefined);
      assert.equal(bot.applied.length, published().length);
      for (const commit of bot.applied.map((sha) => bot.github.git.show(sha))) {
        assert.match(commit?.message ?? "", /hockey-delivery.*\[skip ci\]$/s);
        assert.equal(commit?.changes.length, 1);
      }
    });

    it("keeps the administrator's token and every secret out of the state", () => {
      for (const secret of ["ghp_administrator", PASSPHRASE, "s3://states/hockey"])
        assert.ok(!bot.state().includes(secret));
    });

    it("is clean in the second preview", async () => {
      const { result, writes } = await bot.asked(() =>
        pulumi(bot.world.stack, ["preview", "--expect-no-changes", "--diff"], bot.administrator()),
      );
      assert.equal(result.exitCode, 0, result.output);
      assert.deepEqual(writes, []);
    });

    it("sees what was changed on GitHub by hand, and puts it back", async () => {
      const before = bot.github.file(WORKFLOW);
      bot.github.edit(WORKFLOW, "name: by hand\n");
      bot.github.variables.delete("INFRA_REPOSITORY");
      bot.github.deployKeys.pop();
      await bot.letIn([]);
      const seen = await pulumi(
        bot.world.stack,
        ["preview", "--refresh", "--expect-no-changes", "--diff", ...ONLY_GITHUB],
        bot.administrator(),
      );
      assert.notEqual(seen.exitCode, 0);
      assert.match(seen.output, /name: by hand/);
      assert.match(seen.output, /github-INFRA_REPOSITORY/);
      assert.match(seen.output, /github-deploy-key/);
      const { result, writes } = await bot.asked(() => bot.up("--refresh", ...ONLY_GITHUB));
      assert.equal(result.exitCode, 0, result.output);
      assert.equal(bot.github.file(WORKFLOW), before);
      assert.equal(bot.github.variables.get("INFRA_REPOSITORY")?.value, "example/hockey-delivery");
      assert.deepEqual(bot.publicKeys(), [await bot.keyOnServer()]);
      assert.equal(writes.length, 3, writes.join("\n"));
    });

    it("is taken away by an administrator, the server's key on both sides", async () => {
      await pulumiOk(bot.world.stack, ["config", "set", "--path", "github.manage", "false"]);
      const { exitCode, output } = await bot.up();
      assert.equal(exitCode, 0, output);
      const { secrets, variables, environments, deployKeys } = bot.snapshot();
      assert.deepEqual([secrets, variables, environments, deployKeys], [[], [], [], []]);
      assert.equal(bot.github.file(WORKFLOW), undefined);
      assert.match(bot.github.git.show("main")?.message ?? "", /\[skip ci\]$/);
      assert.equal(await bot.world.onServer("sh", "-c", `ls ${KEY_FILE} 2>/dev/null || true`), "");
    });
  });
});
