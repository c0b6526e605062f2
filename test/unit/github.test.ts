import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sodium from "libsodium-wrappers";
import { type FakeGitHub, type Plan, startFakeGitHub } from "../../sandbox/github.ts";

const OWNER_TOKEN = "ghp_all";
const WORKFLOW = ".github/workflows/deploy.yml";

describe("the fake GitHub", () => {
  let github: FakeGitHub;

  beforeEach(async () => {
    github = await startFakeGitHub({ owner: "me", repository: "hockey" });
    github.addToken(OWNER_TOKEN, { scopes: ["repo", "workflow"] });
  });

  afterEach(async () => {
    await github.close();
  });

  async function ask(method: string, path: string, body?: unknown, token: string | undefined = OWNER_TOKEN) {
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(`${github.apiUrl}${path}`, {
      ...{ method, headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    const json = (text === "" ? {} : JSON.parse(text)) as Record<string, never> & { message?: string };
    return { status: response.status, json, headers: response.headers };
  }

  const repository = "/repos/me/hockey";
  const contents = `${repository}/contents/${WORKFLOW}`;
  const base64 = (text: string) => Buffer.from(text).toString("base64");

  async function seal(value: string, at = `${repository}/actions`) {
    const { json } = await ask("GET", `${at}/secrets/public-key`);
    const { key, key_id } = json as unknown as { key: string; key_id: string };
    const publicKey = sodium.from_base64(key, sodium.base64_variants.ORIGINAL);
    const box = sodium.crypto_box_seal(value, publicKey);
    return { key_id, encrypted_value: sodium.to_base64(box, sodium.base64_variants.ORIGINAL) };
  }

  it("answers everything as GitHub describes it", async () => {
    await ask("GET", "/user");
    await ask("GET", repository);
    await ask("GET", `${repository}/branches/main`);
    await ask("GET", `${repository}/commits?path=README.md`);
    await ask("GET", `${repository}/commits/main`);
    await ask("PUT", contents, { message: "x", content: base64("a: 1\n") });
    await ask("GET", `${contents}?ref=main`);
    await ask("PUT", `${repository}/actions/secrets/SSH_HOST`, await seal("host"));
    await ask("GET", `${repository}/actions/secrets`);
    await ask("GET", `${repository}/actions/secrets/SSH_HOST`);
    await ask("POST", `${repository}/actions/variables`, { name: "A", value: "1" });
    await ask("PATCH", `${repository}/actions/variables/A`, { name: "A", value: "2" });
    await ask("GET", `${repository}/actions/variables`);
    const policy = { protected_branches: false, custom_branch_policies: true };
    const environment = `${repository}/environments/production`;
    await ask("PUT", environment, { deployment_branch_policy: policy, reviewers: [{ type: "User", id: 7 }] });
    await ask("POST", `${environment}/deployment-branch-policies`, { name: "main" });
    await ask("GET", environment);
    const ofEnvironment = `${environment}/secrets`;
    await ask("PUT", `${ofEnvironment}/SSH_HOST`, await seal("host", environment));
    await ask("GET", ofEnvironment);
    await ask("GET", `/repositories/4711/environments/production/secrets/SSH_HOST`);
    await ask("GET", `${repository}/compare/main...main`);
    await ask("GET", "/orgs/me");
    await ask("GET", `${environment}/deployment-branch-policies`);
    await ask("POST", `${repository}/keys`, { title: "server", key: "ssh-ed25519 AAAA me", read_only: true });
    await ask("GET", `${repository}/keys`);
    await ask("POST", `${repository}/issues`, { title: "red", labels: ["health"] });
    await ask("POST", `${repository}/issues/1/comments`, { body: "still" });
    await ask("PATCH", `${repository}/issues/1`, { state: "closed" });
    await ask("GET", `${repository}/issues?state=closed&labels=health`);
    await ask("GET", `${repository}/issues/1/comments`);
    const failed = github.requests.filter(({ status }) => status >= 300).map(({ path }) => path);
    assert.deepEqual([github.violations, failed], [[], []]);
    assert.equal(github.issues[0]?.state, "closed");
  });

  it("records what GitHub does not know", async () => {
    const { status } = await ask("GET", `${repository}/no-such-thing`);
    assert.equal(status, 501);
    assert.match(github.violations.join(), /GitHub has no GET \/repos\/me\/hockey\/no-such-thing/);
  });

  it("records a request that is not as described", async () => {
    const { status } = await ask("PUT", contents, { message: "no content" });
    assert.equal(status, 422);
    assert.match(github.violations.join(), /must have required property 'content'/);
  });

  it("hashes files and commits as git does", async () => {
    const content = "name: Deploy\n";
    const { json } = await ask("PUT", contents, { message: "Add it", content: base64(content) });
    const answer = json as unknown as { content: { sha: string }; commit: { sha: string } };
    const directory = mkdtempSync(join(tmpdir(), "clone-"));
    try {
      const git = (...args: string[]) =>
        execFileSync("git", args, { cwd: directory, encoding: "utf8" }).trim();
      git("clone", "--quiet", github.git.directory, ".");
      writeFileSync(join(directory, "same"), content);
      assert.equal(answer.content.sha, git("hash-object", "same"));
      assert.equal(answer.commit.sha, git("rev-parse", "HEAD"));
      assert.equal(git("show", `HEAD:${WORKFLOW}`), content.trim());
      assert.equal(git("log", "-1", "--format=%B"), "Add it");
      git("fsck", "--strict");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("opens secrets, gives none back and notes when they were set", async () => {
    const at = `${repository}/actions/secrets/TOKEN`;
    assert.equal((await ask("PUT", at, await seal("first ü"))).status, 201);
    const before = (await ask("GET", at)).json;
    assert.equal((await ask("PUT", at, await seal("second"))).status, 204);
    const after = (await ask("GET", at)).json;
    assert.deepEqual(github.secrets(), { TOKEN: "second" });
    assert.deepEqual(Object.keys(after), ["name", "created_at", "updated_at"]);
    assert.notEqual(before.updated_at, after.updated_at);
  });

  it("refuses a box for another key, and a reserved name", async () => {
    const sealed = await seal("x");
    const put = (name: string, body: unknown) => ask("PUT", `${repository}/actions/secrets/${name}`, body);
    const spoilt = { ...sealed, encrypted_value: base64("x".repeat(60)) };
    assert.match((await put("A", spoilt)).json.message ?? "", /cannot be opened/);
    assert.match((await put("A", { ...sealed, key_id: "1" })).json.message ?? "", /key_id/);
    assert.equal((await put("GITHUB_X", sealed)).status, 422);
    assert.deepEqual(github.secrets(), {});
  });

  it("keeps the secrets of each environment by themselves, for as long as it is there", async () => {
    for (const name of ["one", "two"]) {
      const environment = `${repository}/environments/${name}`;
      await ask("PUT", environment, {});
      await ask("PUT", `${environment}/secrets/TOKEN`, await seal(`of ${name}`, environment));
    }
    const foreign = await seal("x", `${repository}/environments/one`);
    assert.equal((await ask("PUT", `${repository}/environments/two/secrets/TOKEN`, foreign)).status, 422);
    assert.deepEqual(
      [github.secrets(), github.secrets("one"), github.secrets("two")],
      [{}, { TOKEN: "of one" }, { TOKEN: "of two" }],
    );
    await ask("DELETE", `${repository}/environments/one`);
    assert.deepEqual(github.secrets("one"), {});
    assert.equal((await ask("GET", `${repository}/environments/one/secrets`)).status, 404);
  });

  const PLANS: [plan: Plan, protection: number, policy: number, reviewers: number][] = [
    ["free", 403, 422, 422],
    ["pro", 404, 200, 422],
    ["team", 404, 200, 422],
    ["enterprise", 404, 200, 200],
  ];
  for (const [plan, protection, policy, reviewers] of PLANS) {
    it(`gives a private repository what belongs to the plan ${plan}`, async () => {
      await github.close();
      github = await startFakeGitHub({ owner: "me", repository: "hockey", isPrivate: true, plan });
      github.addToken(OWNER_TOKEN, { scopes: ["repo"] });
      const put = (body: unknown) => ask("PUT", `${repository}/environments/production`, body);
      const branches = { protected_branches: false, custom_branch_policies: true };
      assert.deepEqual(
        [
          (await ask("GET", `${repository}/branches/main/protection`)).status,
          (await put({ deployment_branch_policy: branches })).status,
          (await put({ reviewers: [{ type: "User", id: 7 }] })).status,
        ],
        [protection, policy, reviewers],
      );
      assert.deepEqual(github.violations, []);
    });
  }

  it("asks for a file's hash before it changes one", async () => {
    const put = (sha?: string) => ask("PUT", contents, { message: "m", content: base64("a"), sha });
    const { json } = await put();
    const { content } = json as unknown as { content: { sha: string } };
    assert.equal((await put()).status, 422);
    assert.equal((await put("0".repeat(40))).status, 409);
    assert.equal((await put(content.sha)).status, 200);
  });

  it("deletes a file in a commit of its own", async () => {
    github.edit(WORKFLOW, "a: 1\n");
    const sha = github.git.resolve(`main:${WORKFLOW}`);
    const { status } = await ask("DELETE", contents, { message: "Delete it", sha });
    assert.equal(status, 200);
    assert.equal(github.file(WORKFLOW), undefined);
    assert.deepEqual(
      github.git.show("main")?.changes.map(({ letter, path }) => [letter, path]),
      [["D", WORKFLOW]],
    );
    assert.deepEqual(github.violations, []);
  });

  it("keeps a protected branch", async () => {
    github.protect(true);
    const { status, json } = await ask("PUT", contents, { message: "m", content: "" });
    assert.equal(status, 409);
    assert.match(json.message ?? "", /Changes must be made through a pull request/);
    assert.deepEqual(github.violations, []);
  });

  it("gives each token what it may", async () => {
    github.addToken("ghp_repo", { scopes: ["repo"] });
    github.addToken("ghp_none", { scopes: [] });
    github.addToken("ghs_run", { permissions: { contents: "write", issues: "write" }, kind: "installation" });
    const put = (path: string, token: string) =>
      ask("PUT", `${repository}/contents/${path}`, { message: "m", content: "" }, token);
    assert.equal((await put("a", "ghp_repo")).status, 201);
    assert.equal((await put(WORKFLOW, "ghp_repo")).status, 404);
    assert.equal((await put("b", "ghs_run")).status, 201);
    assert.equal((await put(WORKFLOW, "ghs_run")).status, 403);
    const key = (token: string) => ask("GET", `${repository}/actions/secrets/public-key`, undefined, token);
    assert.equal((await key("ghp_none")).status, 403);
    const refused = await key("ghs_run");
    assert.deepEqual(
      [refused.status, refused.json.message, refused.headers.get("x-accepted-github-permissions")],
      [403, "Resource not accessible by integration", "secrets=read"],
    );
    assert.equal((await key("unknown")).json.message, "Bad credentials");
    assert.equal((await key("ghp_repo")).headers.get("x-oauth-scopes"), "repo");
    assert.equal((await ask("GET", repository, undefined, "")).status, 200);
    assert.equal((await ask("GET", "/repos/me/other")).status, 404);
  });

  it("hides a private repository from who may not see it", async () => {
    await github.close();
    github = await startFakeGitHub({ owner: "me", repository: "hockey", isPrivate: true });
    github.addToken("ghp_none", { scopes: [] });
    assert.equal((await ask("GET", `${repository}/branches/main`, undefined, "ghp_none")).status, 404);
  });

  it("has bad days on demand", async () => {
    github.fail({ status: 502, times: 2, path: /branches/ });
    github.fail({ status: 403, path: /secrets/ });
    github.fail({ status: 429, path: /secrets/ });
    const branch = () => ask("GET", `${repository}/branches/main`);
    assert.deepEqual(
      [(await branch()).status, (await branch()).status, (await branch()).status],
      [502, 502, 200],
    );
    const limited = await ask("GET", `${repository}/actions/secrets`);
    assert.deepEqual([limited.status, limited.headers.get("x-ratelimit-remaining")], [403, "0"]);
    assert.equal((await ask("GET", `${repository}/actions/secrets`)).headers.get("retry-after"), "1");
  });
});
