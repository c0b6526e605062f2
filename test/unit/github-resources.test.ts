import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type FakeGitHub, startFakeGitHub } from "../../sandbox/github.ts";
import { GITHUB_URN } from "../../infra/model/names.ts";
import { inputsOf, registered, runProgram, withoutServer } from "./program.ts";

const PROJECT = join(import.meta.dirname, "..", "..");
const SECRET = "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret";
const VARIABLE = "github:index/actionsVariable:ActionsVariable";
const ENVIRONMENT = "github:index/repositoryEnvironment:RepositoryEnvironment";
const POLICY = "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy";
const FILE = "github:index/repositoryFile:RepositoryFile";
const KEY = "github:index/repositoryDeployKey:RepositoryDeployKey";
const COMMAND = "command:remote:Command";

const SSH_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
const ENVIRONMENTS = ["production", "production-preview", "production-unattended"];
const githubSecrets = { PULUMI_BACKEND_URL: "s3://state", PULUMI_CONFIG_PASSPHRASE: "phrase" };

describe("GitHub's side of the stack", function () {
  // Every run loads the whole program.
  this.timeout(60_000);
  withoutServer(this);
  let github: FakeGitHub;
  const environment = { ...process.env };

  beforeEach(async () => {
    github = await startFakeGitHub({ owner: "me", repository: "hockey" });
    github.addToken("ghp_x", { scopes: ["repo", "workflow"] });
    Object.assign(process.env, { GITHUB_TOKEN: "ghp_x", GITHUB_BASE_URL: github.url });
  });
  afterEach(async () => {
    for (const name of ["GITHUB_TOKEN", "GITHUB_BASE_URL", "PULUMI_OPTION_EXCLUDE"]) {
      if (environment[name] === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = environment[name];
    }
    await github.close();
  });

  const run = (changes: object = {}, app = { repository: "git@github.com:me/hockey.git" }) =>
    runProgram({
      app,
      github: { owner: "me", repository: "hockey", manage: true, ...changes },
      sshPrivateKey: SSH_KEY,
      githubSecrets,
    });
  const names = (type: string) =>
    registered.filter((resource) => resource.type === type).map(({ name }) => name);

  it("is not there where the stack does not manage it", async () => {
    await runProgram({ github: { owner: "me", repository: "hockey" } });
    assert.deepEqual(
      registered.filter(({ type }) => type.startsWith("github:")),
      [],
    );
    assert.deepEqual(github.requests, []);
  });

  it("gives the workflows their secrets, as secrets of an environment and of nothing else", async () => {
    await run({ infraRepository: "me/hockey-delivery" });
    const needed = ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "SSH_PRIVATE_KEY"];
    const address = ["DEPLOY_PATH", "SSH_HOST", "SSH_PORT", "SSH_USERNAME"];
    const expected = ENVIRONMENTS.flatMap((environment) => {
      const all = environment === "production-preview" ? needed : [...address, ...needed];
      return all.map((name) => `github-${environment}-${name}`);
    });
    assert.deepEqual(names(SECRET).sort(), expected.sort());
    const secrets = registered.filter(({ type }) => /secret/i.test(type) && type.startsWith("github:"));
    assert.deepEqual([...new Set(secrets.map(({ type }) => type))], [SECRET]);
    const key = inputsOf(SECRET, "github-production-SSH_PRIVATE_KEY");
    assert.deepEqual(
      [key.repository, key.environment, key.secretName],
      ["hockey", "production", "SSH_PRIVATE_KEY"],
    );
    // The marker by which the engine knows a secret.
    assert.equal((key.value as { value: string }).value, SSH_KEY);
    const { value } = inputsOf(VARIABLE, "github-INFRA_REPOSITORY");
    assert.equal(value, "me/hockey-delivery");
  });

  it("is small where this program is in the bot's repository, and there are no reviewers", async () => {
    await run();
    assert.equal(inputsOf(VARIABLE, "github-INFRA_REPOSITORY").value, "me/hockey");
    assert.deepEqual(names(FILE), []);
    assert.equal(inputsOf(ENVIRONMENT, "github-production").reviewers, undefined);
    // The administrator's token was used and taken away: no resource may find it.
    assert.ok(github.requests.length > 0);
    assert.equal(process.env.GITHUB_TOKEN, undefined);
  });

  it("keeps environments with reviewers as configured, each for the deployed branch alone", async () => {
    const reviewers = () => ENVIRONMENTS.map((name) => inputsOf(ENVIRONMENT, `github-${name}`).reviewers);
    await run({ reviewers: [583231], previewReviewers: [7, 8] });
    assert.deepEqual(reviewers(), [[{ users: [583231] }], [{ users: [7, 8] }], undefined]);
    assert.deepEqual(
      names(ENVIRONMENT).sort(),
      ENVIRONMENTS.map((name) => `github-${name}`),
    );
    for (const name of ENVIRONMENTS) {
      assert.deepEqual(inputsOf(ENVIRONMENT, `github-${name}`).deploymentBranchPolicy, {
        customBranchPolicies: true,
        protectedBranches: false,
      });
      assert.equal(inputsOf(POLICY, `github-${name}-branch`).branchPattern, "main");
    }
  });

  it("publishes the workflow files, but for those of this program, which name this program's repository", async () => {
    await run({ infraRepository: "me/hockey-delivery" });
    const files = readdirSync(`${PROJECT}/.github/workflows`).filter((file) => file !== "ci.yml");
    assert.deepEqual(names(FILE).sort(), files.map((file) => `github-${file}`).sort());
    const { file, content, branch, commitMessage } = inputsOf(FILE, "github-deploy.yml");
    assert.deepEqual([file, branch], [".github/workflows/deploy.yml", "main"]);
    const here = readFileSync(`${PROJECT}/.github/workflows/deploy.yml`, "utf8");
    assert.equal(
      content,
      here.replace("INFRA_REPOSITORY: ${{ github.repository }}", "INFRA_REPOSITORY: me/hockey-delivery"),
    );
    assert.notEqual(content, here);
    assert.match(String(commitMessage), /\[skip ci\]$/);
  });

  it("publishes a key that the server has made, which may only read", async () => {
    await run();
    const { create, delete: remove } = inputsOf(COMMAND, "github-key");
    assert.match(String(create), /make-repository-key\.sh make \/home\/deploy\/hockey\/repository_key$/);
    assert.match(String(remove), /make-repository-key\.sh remove \/home\/deploy\/hockey\/repository_key$/);
    const key = inputsOf(KEY, "github-deploy-key");
    assert.deepEqual(
      [key.readOnly, key.title, key.key],
      [true, "training_bot on bot.example.org", `sha256:${"0".repeat(64)}`],
    );
  });

  it("publishes no key where the server needs none", async () => {
    await run({}, { repository: "https://github.com/me/hockey.git" });
    assert.deepEqual(names(KEY), []);
  });

  it("is declared without a token where the engine skips it", async () => {
    delete process.env.GITHUB_TOKEN;
    process.env.PULUMI_OPTION_EXCLUDE = `urn:other,${GITHUB_URN}`;
    await run();
    assert.ok(names(SECRET).length > 0);
    assert.deepEqual(github.requests, []);
  });

  it("needs a token where it does not, and says which and how to do without", async () => {
    delete process.env.GITHUB_TOKEN;
    await assert.rejects(
      run(),
      /GITHUB_TOKEN is not set, and `github\.manage` needs an administrator's; .*PULUMI_OPTION_EXCLUDE=.*Nothing was changed\./,
    );
    assert.deepEqual(registered, []);
  });

  it("is refused where GitHub has no environments for it, before anything is declared", async () => {
    await github.close();
    github = await startFakeGitHub({ owner: "me", repository: "hockey", isPrivate: true, plan: "free" });
    github.addToken("ghp_x", { scopes: ["repo", "workflow"] });
    process.env.GITHUB_BASE_URL = github.url;
    await assert.rejects(run(), /is private and its owner has a free plan, .*Nothing was changed\.$/);
    assert.deepEqual(registered, []);
  });

  it("refuses a token that does not suffice before anything is declared", async () => {
    process.env.GITHUB_TOKEN = "ghp_unknown";
    await assert.rejects(run(), /GitHub does not accept GITHUB_TOKEN .*Nothing was changed\.$/);
    assert.deepEqual(registered, []);
  });
});

describe("the check of the server", function () {
  this.timeout(60_000);
  const server = withoutServer(this);

  it("refuses a server that refuses, in its words, before anything is declared", async () => {
    server.answer("cat >/dev/null; echo 'The disk is full.' >&2; exit 1");
    await assert.rejects(runProgram(), /^Error: The disk is full\. Nothing was changed\.$/);
    assert.deepEqual(registered, []);
  });

  it("refuses one that does not answer, with the key to correct", async () => {
    server.answer("echo 'Connection refused' >&2; exit 255");
    await assert.rejects(
      runProgram(),
      /does not answer at bot\.example\.org:22 .*`server\.host`.* Nothing was changed\./,
    );
  });

  it("has all files put there anew where they were found to differ since", async () => {
    server.answer("cat >/dev/null; echo drifted=2026-06-01T00:00:00Z");
    await runProgram();
    assert.match(String(inputsOf(COMMAND, "server-files").create), / 2026-06-01T00:00:00Z$/);
    server.answer("exit 0");
    await runProgram();
    assert.doesNotMatch(String(inputsOf(COMMAND, "server-files").create), /2026-06/);
  });
});

describe("the configuration that Pulumi hands over", function () {
  withoutServer(this);

  it("is refused with every fault, before the server is asked", async () => {
    await assert.rejects(
      runProgram({ name: "My Bot", server: "{not JSON", commmit: "x" }),
      /has 3 faults; .*\n {2}name: .*\n {2}server: is not valid.*\n {2}commmit: /,
    );
    assert.deepEqual(registered, []);
  });
});
