import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { type DeployKey, type FakeGitHub, startFakeGitHub } from "../../sandbox/github.ts";
import { serverExec } from "../../sandbox/server.ts";
import { pulumi, pulumiOk } from "../../sandbox/stack.ts";
import { operate } from "./operator.ts";
import { createWorld, type World } from "./world.ts";

const TOKEN = "ghp_administrator";
const GITHUB = "**hockey:index:Repository**";
const WORKFLOW = ".github/workflows/deploy.yml";
const PASSPHRASE = "the passphrase of the state";
const KEY_FILE = "/home/deploy/hockey/repository_key";

/** The bot's repository is private: the server reads it over SSH, with a key that GitHub must have. */
describe("GitHub's side of the stack", () => {
  let world: World;
  let github: FakeGitHub;

  before(async () => {
    const repository = { owner: "example", repository: "hockey", isPrivate: true };
    github = await startFakeGitHub({ ...repository, onDeployKeys: letIn });
    github.addToken(TOKEN, { scopes: ["repo", "workflow"] });
    github.edit(WORKFLOW, "name: docker-compose down\n");
    world = await createWorld("github");
    await serverExec(world.server, ["bash", "-s", "--", "/srv/git/hockey.git", "example/hockey"], {
      input: readFileSync(join(import.meta.dirname, "serve-git.sh"), "utf8"),
    });
    const plain = {
      "app.repository": "ssh://git@127.0.0.1/srv/git/example/hockey.git",
      "github.manage": "true",
      "github.owner": "example",
      "github.repository": "hockey",
      "github.infraRepository": "example/hockey-delivery",
      "github.reviewers[0]": "583231",
    };
    const pairs = Object.entries(plain).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
    await pulumiOk(world.stack, ["config", "set-all", "--path", ...pairs]);
    await setSecret("PULUMI_BACKEND_URL", "s3://states/hockey");
    await setSecret("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE);
  });

  after(async () => {
    await world.close();
    await github.close();
  });

  afterEach("has spoken with GitHub only as GitHub describes it", () => {
    assert.deepEqual(github.violations, []);
  });

  /** What GitHub does with a repository's deploy keys. */
  async function letIn(keys: DeployKey[]): Promise<void> {
    const input = keys.map(({ key }) => `${key}\n`).join("");
    await serverExec(world.server, ["tee", "/home/git/.ssh/authorized_keys"], { user: "git", input });
  }

  const environment = (more: Record<string, string>) => ({
    env: { GITHUB_BASE_URL: github.url, GITHUB_TOKEN: "", GH_PATH: "/bin/false", ...more },
  });
  const administrator = () => environment({ GITHUB_TOKEN: TOKEN });
  /** As in a workflow run: without a token, GitHub passed over. */
  const unattended = () => environment({ PULUMI_OPTION_EXCLUDE: GITHUB });

  const setSecret = (name: string, input: string) =>
    pulumiOk(world.stack, ["config", "set", "--path", "--secret", `githubSecrets.${name}`], { input });
  const up = (...args: string[]) =>
    pulumi(world.stack, ["up", "--yes", "--skip-preview", ...args], administrator());
  /** Quicker than all: the server is left out. */
  const onlyGitHub = ["--target", GITHUB];
  const publicKeys = () => github.deployKeys.map(({ key }) => key);
  const keyOnServer = () => world.onServer("sh", "-c", `ssh-keygen -y -f ${KEY_FILE}`);
  const state = () =>
    readFileSync(join(world.directory, "state", ".pulumi", "stacks", "hockey", "test.json"), "utf8");

  /** What was asked of GitHub during an action, and changed there. */
  async function asked<T>(action: () => Promise<T>): Promise<{ result: T; all: string[]; writes: string[] }> {
    const before = github.requests.length;
    const result = await action();
    const all = github.requests
      .slice(before)
      .map(({ method, path, status }) => `${method} ${path} ${status}`);
    return { result, all, writes: all.filter((line) => !line.startsWith("GET ")) };
  }

  /** Everything that is on GitHub, to compare. */
  const snapshot = () => ({
    head: github.git.resolve("main"),
    secrets: github.secrets(),
    variables: [...github.variables],
    environments: structuredClone([...github.environments]),
    deployKeys: [...github.deployKeys],
  });

  const published = () =>
    readdirSync(join(world.stack.project, ".github", "workflows")).filter((file) => file !== "ci.yml");
  const local = (file: string) => readFileSync(join(world.stack.project, file), "utf8");

  it("is refused without a token, before anything is asked or changed", async () => {
    const { result, all } = await asked(() => pulumi(world.stack, ["preview"], environment({})));
    assert.notEqual(result.exitCode, 0);
    assert.match(
      result.output,
      /GITHUB_TOKEN is not set, and `github\.manage` needs .* Nothing was changed\./,
    );
    assert.deepEqual(all, []);
  });

  it("is refused with a token that lacks a scope, which is named", async () => {
    github.addToken("ghp_repo", { scopes: ["repo"] });
    const { result, writes } = await asked(() =>
      pulumi(world.stack, ["preview"], environment({ GITHUB_TOKEN: "ghp_repo" })),
    );
    assert.notEqual(result.exitCode, 0);
    assert.match(result.output, /GITHUB_TOKEN lacks the scope workflow; .* Nothing was changed\./);
    assert.deepEqual(writes, []);
  });

  it("is refused where there is no such repository", async () => {
    await pulumiOk(world.stack, ["config", "set", "--path", "github.repository", "hokey"]);
    const { result, writes } = await asked(() => pulumi(world.stack, ["preview"], administrator()));
    await pulumiOk(world.stack, ["config", "set", "--path", "github.repository", "hockey"]);
    assert.notEqual(result.exitCode, 0);
    assert.match(result.output, /repository example\/hokey does not exist, .* Nothing was changed\./);
    assert.deepEqual(writes, []);
  });

  it("is in one preview with the server's, though the server cannot read the repository yet", async () => {
    const { result, writes } = await asked(() => pulumi(world.stack, ["preview"], administrator()));
    assert.equal(result.exitCode, 0, result.output);
    assert.match(result.output, /docker:index:Container bot-container create/);
    assert.match(result.output, /github:index:ActionsSecret github-SSH_PRIVATE_KEY create/);
    assert.match(result.output, /github:index:RepositoryFile github-deploy\.yml create/);
    assert.match(result.output, /github:index:RepositoryDeployKey github-deploy-key create/);
    assert.deepEqual(writes, []);
  });

  describe("once it is applied", () => {
    before(async () => {
      const began = Date.now();
      const { exitCode, output } = await up();
      assert.equal(exitCode, 0, output);
      console.log(`      first up, server and GitHub: ${((Date.now() - began) / 1000).toFixed(1)} s`);
    });

    it("has every secret, variable and environment", () => {
      const { host, port, user, privateKeyFile } = world.server;
      assert.deepEqual(github.secrets(), {
        SSH_HOST: host,
        SSH_PORT: String(port),
        SSH_USERNAME: user,
        SSH_PRIVATE_KEY: readFileSync(privateKeyFile, "utf8"),
        DEPLOY_PATH: "/home/deploy/hockey",
        PULUMI_BACKEND_URL: "s3://states/hockey",
        PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
      });
      assert.equal(github.variables.get("INFRA_REPOSITORY")?.value, "example/hockey-delivery");
      const [attended, unattended] = ["production", "production-unattended"].map((name) =>
        github.environments.get(name),
      );
      assert.deepEqual(attended?.reviewers, [{ type: "User", id: 583231 }]);
      assert.deepEqual(unattended?.reviewers, []);
      for (const one of [attended, unattended]) {
        assert.deepEqual(
          one.branches.map(({ name }) => name),
          ["main"],
        );
      }
    });

    it("lets the server read the repository with a key whose private half has never left it", async () => {
      const [published, ...others] = github.deployKeys;
      assert.deepEqual(others, []);
      assert.equal(published?.read_only, true);
      assert.equal(published.title, "training_bot on 127.0.0.1");
      assert.equal(published.key, (await keyOnServer()).trim());
      assert.equal(await world.onServer("stat", "-c", "%U %a", KEY_FILE), "deploy 600");
      // Without the two lines that every such key begins with.
      const privateHalf = (await world.onServer("cat", KEY_FILE)).split("\n").slice(2, -1);
      assert.ok(privateHalf.length > 2);
      const everything = [
        await pulumiOk(world.stack, ["stack", "export", "--show-secrets"]),
        await pulumiOk(world.stack, ["stack", "output", "--show-secrets"]),
        await world.onServer("sh", "-c", "cat /home/deploy/hockey/manifest.sha256 /home/deploy/hockey/bin/*"),
      ].join("\n");
      assert.ok(everything.includes(published.key));
      for (const line of privateHalf) assert.ok(!everything.includes(line));
    });

    it("has the workflow files there as they are here, one commit each, none of which starts a run", () => {
      assert.ok(published().includes("deploy.yml") && published().length > 4);
      for (const file of published()) {
        assert.equal(github.file(`.github/workflows/${file}`), local(`.github/workflows/${file}`), file);
      }
      assert.equal(github.file(".github/workflows/ci.yml"), undefined);
      const commits = github.git.log("main", ".github/workflows").map((sha) => github.git.show(sha));
      const ours = commits.filter((commit) => commit?.message.includes("hockey-delivery"));
      assert.equal(ours.length, published().length);
      for (const commit of ours) {
        assert.match(commit?.message ?? "", /\[skip ci\]$/);
        assert.equal(commit?.changes.length, 1);
      }
    });

    it("keeps the administrator's token and every secret out of the state", () => {
      for (const secret of [TOKEN, PASSPHRASE, "s3://states/hockey"]) assert.ok(!state().includes(secret));
    });

    it("is clean in the second preview", async () => {
      const { result, writes } = await asked(() =>
        pulumi(world.stack, ["preview", "--expect-no-changes", "--diff"], administrator()),
      );
      assert.equal(result.exitCode, 0, result.output);
      assert.deepEqual(writes, []);
    });

    it("sees what was changed on GitHub by hand, and puts it back", async () => {
      const before = github.file(WORKFLOW);
      github.edit(WORKFLOW, "name: by hand\n");
      github.variables.delete("INFRA_REPOSITORY");
      github.deployKeys.pop();
      await letIn([]);
      const seen = await pulumi(
        world.stack,
        ["preview", "--refresh", "--expect-no-changes", "--diff", "--target", GITHUB],
        administrator(),
      );
      assert.notEqual(seen.exitCode, 0);
      assert.match(seen.output, /name: by hand/);
      assert.match(seen.output, /github-INFRA_REPOSITORY/);
      assert.match(seen.output, /github-deploy-key/);
      const { result, writes } = await asked(() => up("--refresh", "--target", GITHUB));
      assert.equal(result.exitCode, 0, result.output);
      assert.equal(github.file(WORKFLOW), before);
      assert.equal(github.variables.get("INFRA_REPOSITORY")?.value, "example/hockey-delivery");
      assert.deepEqual(publicKeys(), [(await keyOnServer()).trim()]);
      assert.equal(writes.length, 3, writes.join("\n"));
    });

    it("says in a run without a token that the server's key is not let in, before anything is changed", async () => {
      await letIn([]);
      const commit = await world.release("README.md", (text) => `${text}\n`);
      await pulumiOk(world.stack, ["config", "set", "commit", commit]);
      const { exitCode, output } = await pulumi(world.stack, ["preview"], unattended());
      await letIn(github.deployKeys);
      assert.notEqual(exitCode, 0);
      assert.match(
        output,
        /cannot read the repository ssh:\S+ \(.*Permission denied \(publickey\)\); have its key published again with: pulumi up --refresh/,
      );
      assert.match(output, /Nothing was changed\./);
    });

    it("has a key that was lost on the server made anew, and the old one taken away", async () => {
      const [lost] = publicKeys();
      await world.onServer("rm", KEY_FILE);
      const drift = await operate(world.stack, "drift", [], unattended().env);
      assert.equal(drift.exitCode, 2, drift.output);
      assert.match(drift.output, /missing repository_key in \/home\/deploy\/hockey/);
      const { exitCode, output } = await up();
      assert.equal(exitCode, 0, output);
      assert.deepEqual(publicKeys(), [(await keyOnServer()).trim()]);
      assert.notDeepEqual(publicKeys(), [lost]);
      // The new commit was fetched with it.
      const { release } = (await (await fetch(`${world.url}/health`)).json()) as { release: string };
      assert.equal(release, await world.repository.head());
    });

    it("sets a secret again that was set by hand, when told to replace it", async () => {
      github.setSecret("SSH_HOST", "elsewhere.example.org");
      const one = "**github-SSH_HOST";
      const { exitCode, output } = await up("--replace", one, "--target", one);
      assert.equal(exitCode, 0, output);
      assert.equal(github.secrets().SSH_HOST, world.server.host);
    });

    it("passes a rotated secret on, and nothing else", async () => {
      await setSecret("PULUMI_BACKEND_URL", "s3://states/rotated");
      const { result, writes } = await asked(() => up(...onlyGitHub));
      assert.equal(result.exitCode, 0, result.output);
      assert.deepEqual(writes, ["PUT /api/v3/repos/example/hockey/actions/secrets/PULUMI_BACKEND_URL 204"]);
      assert.equal(github.secrets().PULUMI_BACKEND_URL, "s3://states/rotated");
    });

    it("is passed over in a run without a token, which says what waits, and an operator applies it", async () => {
      const before = snapshot();
      const file = join(world.stack.project, WORKFLOW);
      const content = readFileSync(file, "utf8");
      writeFileSync(file, `${content}# changed\n`);
      await setSecret("PULUMI_BACKEND_URL", "s3://states/later");
      await setSecret("ADDED", "later");
      await pulumiOk(world.stack, ["config", "set", "--path", "app.environment.LOG_LEVEL", "debug"]);
      const { result, all } = await asked(async () => [
        await pulumi(world.stack, ["preview"], unattended()),
        await pulumi(world.stack, ["up", "--yes", "--skip-preview", "--refresh"], unattended()),
      ]);
      for (const { exitCode, output } of result) assert.equal(exitCode, 0, output);
      assert.match(
        await world.onServer("docker", "inspect", "--format", "{{.Config.Env}}", "training_bot"),
        /LOG_LEVEL=debug/,
      );
      assert.deepEqual(snapshot(), before);
      // The plugin looks the account up when it starts; nothing of the repository is asked for.
      assert.deepEqual([...new Set(all)], ["GET /api/v3/orgs/example 404"]);

      const script = join(world.stack.project, ".github", "scripts", "github-waits.sh");
      const say = () =>
        run(script, [], {
          cwd: world.stack.project,
          env: { ...world.stack.env, ...unattended().env, PULUMI_STACK: world.stack.name },
        });
      const waits = await asked(say);
      assert.match(waits.result, /github-PULUMI_BACKEND_URL/);
      assert.match(waits.result, /github-ADDED/);
      assert.match(
        waits.result,
        /::notice::GitHub's part of the stack has a change that waits for an operator/,
      );
      assert.ok(!waits.result.includes("s3://states"));
      assert.deepEqual([...new Set(waits.all)], ["GET /api/v3/orgs/example 404"]);
      const { exitCode, output } = await up(...onlyGitHub);
      assert.equal(exitCode, 0, output);
      assert.equal(github.secrets().ADDED, "later");
      assert.match(github.file(WORKFLOW) ?? "", /# changed\n$/);
      assert.equal(await say(), "");
    });

    it("cannot be taken away by a run without a token", async () => {
      const before = snapshot();
      await pulumiOk(world.stack, ["config", "set", "--path", "github.manage", "false"]);
      const { exitCode, output } = await pulumi(world.stack, ["up", "--yes", "--skip-preview"], unattended());
      await pulumiOk(world.stack, ["config", "set", "--path", "github.manage", "true"]);
      assert.equal(exitCode, 0, output);
      assert.deepEqual(snapshot(), before);
      assert.match(state(), /actionsSecret:ActionsSecret/);
    });

    it("gets over short faults and rate limits of GitHub's", async () => {
      github.fail({ status: 502, times: 3, method: "PUT", path: /secrets/ });
      github.fail({ status: 403, method: "PUT", path: /secrets/ });
      github.fail({ status: 429, method: "GET", path: /public-key/ });
      await setSecret("ADDED", "after a bad day");
      const { exitCode, output } = await up(...onlyGitHub);
      assert.equal(exitCode, 0, output);
      assert.equal(github.secrets().ADDED, "after a bad day");
    });

    it("says what GitHub says when a fault lasts, and the next update repairs it @slow", async () => {
      github.fail({ status: 502, times: 4, method: "PUT", path: /secrets/ });
      await setSecret("ADDED", "after a worse day");
      const failed = await up(...onlyGitHub);
      assert.notEqual(failed.exitCode, 0);
      assert.match(failed.output, /PUT .*secrets\/ADDED: 502/);
      const next = await up(...onlyGitHub);
      assert.equal(next.exitCode, 0, next.output);
      assert.equal(github.secrets().ADDED, "after a worse day");
    });

    it("leaves a protected branch alone and says so", async () => {
      github.protect(true);
      const before = snapshot();
      const file = join(world.stack.project, WORKFLOW);
      writeFileSync(file, `${readFileSync(file, "utf8")}# protected\n`);
      const refused = await up(...onlyGitHub);
      github.protect(false);
      assert.notEqual(refused.exitCode, 0);
      assert.match(refused.output, /409 .*Changes must be made through a pull request/s);
      assert.deepEqual(snapshot(), before);
      const next = await up(...onlyGitHub);
      assert.equal(next.exitCode, 0, next.output);
      assert.equal(github.file(WORKFLOW), readFileSync(file, "utf8"));
    });

    it("is taken away by an administrator, the server's key on both sides", async () => {
      await pulumiOk(world.stack, ["config", "set", "--path", "github.manage", "false"]);
      const { exitCode, output } = await up();
      assert.equal(exitCode, 0, output);
      const { secrets, variables, environments, deployKeys } = snapshot();
      assert.deepEqual([secrets, variables, environments, deployKeys], [{}, [], [], []]);
      assert.equal(github.file(WORKFLOW), undefined);
      assert.match(github.git.show("main")?.message ?? "", /\[skip ci\]$/);
      assert.equal(await world.onServer("sh", "-c", `ls ${KEY_FILE} 2>/dev/null || true`), "");
    });
  });
});
