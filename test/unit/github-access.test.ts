import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fence } from "../../.github/scripts/report-to-github.ts";
import { checkAccess, GitHubError } from "../../infra/check-github.ts";
import { type FakeGitHub, type Plan, startFakeGitHub, type TokenRights } from "../../sandbox/github.ts";

const REPORT = join(import.meta.dirname, "..", "..", ".github", "scripts", "report-to-github.ts");

let github: FakeGitHub;

/** Runs the script beside the fake, which needs this process to answer. */
function script(args: string[], env: Record<string, string>, input: string) {
  const child: ChildProcess = spawn(process.execPath, [REPORT, ...args], {
    env: { PATH: process.env.PATH, ...env },
  });
  child.stdin?.end(input);
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise<{ status: number; said: string }>((resolve) => {
    child.on("close", (status) => {
      resolve({ status: status ?? 1, said: said.trim() });
    });
  });
}

/** A fake for each test, which must have been spoken with as GitHub describes it. */
function withFake(suite: Mocha.Suite): void {
  // Each test starts processes, which take a second on a busy machine.
  suite.timeout(60_000);
  suite.beforeEach(async () => {
    github = await startFakeGitHub({ owner: "me", repository: "hockey" });
  });
  suite.afterEach(async () => {
    assert.deepEqual(github.violations, []);
    await github.close();
  });
}

describe("the check of GITHUB_TOKEN", function () {
  withFake(this);

  const check = (
    token: string,
    changes: { repository?: string; branch?: string; reviewers?: number[] } = {},
  ) =>
    checkAccess(
      { owner: "me", repository: "hockey", branch: "main", reviewers: [], previewReviewers: [], ...changes },
      { baseUrl: github.url, token },
    ).then(
      () => "",
      (error: unknown) => {
        assert.ok(error instanceof GitHubError);
        return error.message;
      },
    );

  const all = {
    actions_variables: "write",
    administration: "write",
    contents: "write",
    environments: "write",
    secrets: "write",
  } as const;
  const without = (name: keyof typeof all): TokenRights => ({
    permissions: Object.fromEntries(Object.entries(all).filter(([key]) => key !== name)),
    kind: "personal",
  });

  const TOKENS: [what: string, token: string, rights: TokenRights | undefined, said: RegExp][] = [
    ["a classic one with both scopes", "ghp_x", { scopes: ["repo", "workflow"] }, /^$/],
    ["a classic one without workflow", "ghp_x", { scopes: ["repo"] }, /lacks the scope workflow; add /],
    ["a classic one without any", "ghp_x", { scopes: [] }, /lacks the scopes repo and workflow; add /],
    ["public_repo alone", "ghp_x", { scopes: ["public_repo", "workflow"] }, /lacks the scope repo; add /],
    ["a fine-grained one with all", "github_pat_x", { permissions: all, kind: "personal" }, /^$/],
    ["one without Secrets", "github_pat_x", without("secrets"), /lacks the permission Secrets; give it /],
    [
      "one without Variables",
      "github_pat_x",
      without("actions_variables"),
      /lacks the permission Variables; /,
    ],
    [
      "one without Environments",
      "github_pat_x",
      without("environments"),
      /lacks the permission Environments; /,
    ],
    ["one without Administration", "github_pat_x", without("administration"), /lacks the permission Admin/],
    ["that of a workflow run", "ghs_x", undefined, /is that of a workflow run, which may never set secrets/],
    ["one that is revoked", "ghp_x", undefined, /GitHub does not accept GITHUB_TOKEN/],
  ];
  for (const [what, token, rights, said] of TOKENS) {
    it(what, async () => {
      if (rights) github.addToken(token, rights);
      const answer = await check(token);
      assert.match(answer, said);
      assert.ok(!answer.includes("\n"), answer);
      assert.deepEqual(
        github.requests.filter(({ method }) => method !== "GET"),
        [],
      );
    });
  }

  describe("with every right", () => {
    beforeEach(() => {
      github.addToken("ghp_x", { scopes: ["repo", "workflow"] });
    });

    it("names a repository that is not there", async () => {
      const said = await check("ghp_x", { repository: "hokey" });
      assert.match(
        said,
        /repository me\/hokey does not exist, .*correct `github\.owner` or `github\.repository`/,
      );
    });

    it("names a branch that is not there", async () => {
      const said = await check("ghp_x", { branch: "mian" });
      assert.match(said, /me\/hockey has no branch mian; correct `github\.branch`, or push it/);
    });

    it("says when a rate limit ends", async () => {
      github.fail({ status: 403 });
      assert.match(await check("ghp_x"), /rate limit .* is used up; try again at \d\d:\d\d UTC/);
    });

    it("gets over two faults of GitHub's, and gives up at three", async () => {
      github.fail({ status: 502, times: 2 });
      assert.equal(await check("ghp_x"), "");
      github.fail({ status: 502, times: 3 });
      assert.match(await check("ghp_x"), /GitHub does not answer at .* \(502\); try again later/);
    });
  });
});

describe("the check of what the owner pays for", function () {
  withFake(this);

  const PLANS: [plan: Plan, isPrivate: boolean, reviewers: number[], scopes: string[], said: RegExp][] = [
    ["free", false, [7], [], /^$/],
    [
      "free",
      true,
      [],
      [],
      /^The repository me\/hockey is private and its owner has a free plan, .* has no env/,
    ],
    ["pro", true, [], [], /^$/],
    [
      "pro",
      true,
      [7],
      [],
      /is private, and there GitHub has required reviewers with GitHub Enterprise only; /,
    ],
    ["team", true, [], [], /^$/],
    ["team", true, [7], ["admin:org"], /remove `github\.previewReviewers`, or make it public\.$/],
    // A token that does not see the plan learns it from the refusal of the first environment.
    ["team", true, [7], [], /^$/],
    ["enterprise", true, [7], [], /^$/],
    ["enterprise", true, [7], ["admin:org"], /^$/],
  ];
  for (const [plan, isPrivate, previewReviewers, scopes, said] of PLANS) {
    const who = previewReviewers.length > 0 ? "reviewers" : "no reviewers";
    const seen = scopes.length > 0 ? ", which the token sees" : "";
    it(`${plan}, ${isPrivate ? "private" : "public"}, ${who}${seen}`, async () => {
      await github.close();
      github = await startFakeGitHub({ owner: "me", repository: "hockey", isPrivate, plan });
      github.addToken("ghp_x", { scopes: ["repo", "workflow", ...scopes] });
      const wanted = { owner: "me", repository: "hockey", branch: "main", reviewers: [], previewReviewers };
      const answer = await checkAccess(wanted, { baseUrl: github.url, token: "ghp_x" }).then(
        () => "",
        (error: unknown) => (error as Error).message,
      );
      assert.match(answer, said);
      assert.ok(!answer.includes("\n"));
      assert.deepEqual(
        github.requests.filter(({ method }) => method !== "GET"),
        [],
      );
    });
  }
});

describe("a report to GitHub", function () {
  withFake(this);

  const report = (args: string[], input: string) =>
    script(
      args,
      { GITHUB_API_URL: github.apiUrl, GITHUB_REPOSITORY: "me/hockey", GITHUB_TOKEN: "ghs_run" },
      input,
    );

  beforeEach(() => {
    github.addToken("ghs_run", { permissions: { issues: "write" }, kind: "installation" });
  });

  it("opens one issue, updates it and closes it; the next fault opens another", async () => {
    const open = ["open", "server-health", "The server is unhealthy"];
    await report(open, "down");
    await report(open, "still down");
    assert.equal(github.issues.length, 1);
    assert.deepEqual([github.issues[0]?.body, github.issues[0]?.labels], ["still down", ["server-health"]]);
    await report(["close", "server-health"], "up");
    await report(["close", "server-health"], "up");
    assert.deepEqual(
      [github.issues[0]?.state, github.issues[0]?.comments.map(({ body }) => body)],
      ["closed", ["up"]],
    );
    await report(open, "down again");
    assert.deepEqual(
      github.issues.map(({ state }) => state),
      ["closed", "open"],
    );
  });

  it("keeps one comment up to date and lets those of others be", async () => {
    const pull = { number: 1, title: "A change", body: "", state: "open", labels: [], author: "me" };
    // A person may copy our mark, and be there first.
    const theirs = ["Nice!", "<!-- hockey-delivery -->\nNothing changes."].map((body, at) => ({
      ...{ id: 100 + at, body, author: "github-actions" },
    }));
    github.issues.push({ ...pull, comments: structuredClone(theirs) });
    await report(["comment", "1"], "first");
    await report(["comment", "1"], `second ${"x".repeat(70_000)} end`);
    const [nice, copied, ours, ...more] = github.issues[0]?.comments ?? [];
    assert.deepEqual([[nice, copied], more], [theirs, []]);
    assert.equal(ours?.author, "github-actions[bot]");
    assert.match(ours.body, /\(the beginning is left out\)[^]*x end$/);
    assert.ok(ours.body.length < 65_536);
  });

  it("writes into no issue of a person's, whatever its label", async () => {
    const issue = {
      number: 1,
      title: "Mine",
      body: "",
      state: "open",
      labels: ["server-health"],
      comments: [],
    };
    github.issues.push({ ...issue, author: "me" });
    await report(["open", "server-health", "The server is unhealthy"], "down");
    await report(["close", "server-health"], "up");
    assert.deepEqual(
      github.issues.map(({ title, state, author }) => [title, state, author]),
      [
        ["Mine", "open", "me"],
        ["The server is unhealthy", "closed", "github-actions[bot]"],
      ],
    );
  });

  it("keeps a text in its fence, whatever it says", async () => {
    const hostile = "```\n# Not ours\n@everyone ````` <img src=x>\n```";
    const file = join(mkdtempSync(join(tmpdir(), "report-")), "report.txt");
    writeFileSync(file, `${"x".repeat(70_000)}\n${hostile}\n`);
    await report(["open", "l", "t", "--fenced", file, "--language", "diff"], "Ours:\n");
    const body = github.issues[0]?.body ?? "";
    const [, intro, ticks = "", inside = ""] = /^(.*)\n(`+)diff\n([^]*)\n\2\n$/.exec(body) ?? [];
    assert.deepEqual([intro, ticks.length], ["Ours:", 6]);
    assert.ok(inside.startsWith("(the beginning is left out)") && inside.endsWith(hostile));
    assert.ok(!inside.includes(ticks) && body.length < 65_536);
    rmSync(dirname(file), { recursive: true });
    assert.equal(fence("fine\n"), "```\nfine\n```");
  });

  it("says in one line what GitHub refuses", async () => {
    github.addToken("ghs_run", { permissions: {}, kind: "installation" });
    const { status, said } = await report(["open", "l", "t"], "x");
    assert.deepEqual([status, said.includes("\n")], [1, false]);
    assert.match(said, /GitHub refuses GET \/issues\S+: 403 Resource not accessible by integration/);
    assert.match((await report(["comment", "1; rm -rf /"], "x")).said, /^usage: /);
  });
});
