import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { mergeConfiguration } from "../../.github/scripts/merge-configuration.ts";
import { type FakeGitHub, startFakeGitHub } from "../../sandbox/github.ts";

const SCRIPTS = join(import.meta.dirname, "..", "..", ".github", "scripts");
const TOKEN = { secure: "v1:token" };
const WEBHOOK = { secure: "v1:webhook" };

type Config = Record<string, unknown>;

const APP = { repository: "https://github.com/me/hockey.git", environment: { LOG_LEVEL: "info" } };
const SERVER = { host: "bot.example.org", hostKey: "ssh-ed25519 AAAA" };
const BASE: Config = {
  "hockey:server": SERVER,
  "hockey:app": APP,
  "hockey:alerts": { telegramChat: "7", webhook: WEBHOOK },
  "hockey:telegramToken": TOKEN,
  "docker:registryAuth": [{ address: "registry.example.org" }],
};
const SALT = { secretsprovider: "passphrase", encryptionsalt: "v1:salt" };
const file = (config: Config, more: object = SALT) => stringify({ ...more, config });

/** What a preview of a pull request that changes these keys, from where it left the branch, is made with. */
function preview(changes: Config, { more = SALT, ancestor = BASE } = {}) {
  const files = { base: file(BASE), ancestor: file(ancestor), head: file({ ...ancestor, ...changes }, more) };
  const { text, left } = mergeConfiguration(files, "hockey");
  const { config, ...others } = parse(text) as { config: Config };
  return { config, others, left, text };
}

describe("the configuration of a preview", () => {
  it("is the deployed branch's where the pull request changes nothing", () => {
    assert.deepEqual(preview({}), { ...preview({}), config: BASE, others: SALT, left: [] });
  });

  it("has what the pull request changes, adds and removes of plain values", () => {
    const app = { ...APP, environment: { LOG_LEVEL: "debug", COLOUR: "red" } };
    const { config, left } = preview({ "hockey:app": app, "hockey:proxy": { port: 80 }, name: "chess" });
    assert.deepEqual(config, {
      ...BASE,
      "hockey:app": app,
      "hockey:proxy": { port: 80 },
      "hockey:name": "chess",
    });
    assert.deepEqual(left, []);
    const without = preview({ "hockey:app": { repository: app.repository } }).config["hockey:app"];
    assert.deepEqual(without, { repository: app.repository });
    assert.deepEqual(preview({ "hockey:app": undefined }).config["hockey:app"], undefined);
  });

  it("takes back nothing that the deployed branch has changed since", () => {
    const ancestor = {
      ...BASE,
      "hockey:proxy": { port: 80 },
      "hockey:app": { environment: { LOG_LEVEL: "warning" } },
    };
    const app = { environment: { LOG_LEVEL: "warning", COLOUR: "red" } };
    assert.deepEqual(preview({ "hockey:app": app }, { ancestor }).config, {
      ...BASE,
      "hockey:app": { ...APP, environment: { LOG_LEVEL: "info", COLOUR: "red" } },
    });
  });

  const HOSTILE: [what: string, changes: Config, left: string[]][] = [
    ["a ciphertext under a plain key", { "hockey:app": { ...APP, healthPath: TOKEN } }, ["app.healthPath"]],
    [
      "one among the bot's variables",
      { "hockey:app": { ...APP, environment: { LOG_LEVEL: "info", X: TOKEN } } },
      ["app.environment.X"],
    ],
    ["a plain key that is one as a whole", { "hockey:name": TOKEN }, ["name"]],
    ["one in a list", { "hockey:github": { owner: "me", reviewers: [1, [TOKEN]] } }, ["github.reviewers"]],
    ["one beside another key", { "hockey:database": { image: { ...TOKEN, x: 1 } } }, ["database.image"]],
    ["one in JSON", { "hockey:proxy": JSON.stringify({ domain: TOKEN }) }, ["proxy.domain"]],
    [
      "a secret exchanged for another",
      { "hockey:alerts": { telegramChat: "7", webhook: TOKEN } },
      ["alerts.webhook"],
    ],
    [
      "a secret exchanged for plain text",
      { "hockey:alerts": { telegramChat: "7", webhook: "https://evil.example.org" } },
      ["alerts.webhook"],
    ],
    ["secrets that are taken away", { "hockey:alerts": undefined }, ["alerts"]],
    ["another server", { "hockey:server": { ...SERVER, host: "evil.example.org" } }, ["server"]],
    ["no server", { "hockey:server": undefined }, ["server"]],
    [
      "another repository",
      { "hockey:app": { ...APP, repository: "https://evil.example.org/x" } },
      ["app.repository"],
    ],
    [
      "the same in JSON",
      { "hockey:app": JSON.stringify({ ...APP, repository: "https://evil.example.org/x" }) },
      ["app.repository"],
    ],
    ["another token", { "hockey:telegramToken": { secure: "v1:other" } }, []],
    ["a token in clear", { "hockey:telegramToken": "x" }, []],
    [
      "an address of a provider",
      { "docker:host": "tcp://evil.example.org", "github:baseUrl": "https://evil.example.org" },
      [],
    ],
    ["a key of no program", { "pulumi:disable-default-providers": ["*"] }, []],
  ];
  for (const [what, changes, left] of HOSTILE) {
    it(`has nothing of ${what}`, () => {
      const seen = preview(changes);
      // These keys are new, and what is left of them is harmless.
      for (const key of ["proxy", "database", "github"]) Reflect.deleteProperty(seen.config, `hockey:${key}`);
      assert.deepEqual(seen.config, BASE);
      assert.deepEqual(seen.left, left);
      assert.doesNotMatch(seen.text, /evil|other/);
      assert.equal(seen.text.split("v1:token").length, 2, seen.text);
    });
  }

  it("keeps the deployed branch's way of encryption", () => {
    const more = {
      secretsprovider: "awskms://evil",
      encryptionsalt: "v1:x",
      encryptedkey: "x",
      environment: ["evil"],
    };
    assert.deepEqual(preview({}, { more }).others, SALT);
  });

  it("knows no merge keys and no other tricks of YAML's", () => {
    const head = `x: &token {secure: "v1:token"}\nconfig:\n  hockey:app:\n    "<<": {a: 1, secure: x}\n    "? [a]": 1\n    healthPath: *token\n  hockey:name: !!binary aGk=\n`;
    const { text } = mergeConfiguration({ base: file(BASE), ancestor: file(BASE), head }, "hockey");
    assert.equal(text.split("v1:token").length, 2, text);
    assert.doesNotMatch(text, /^ *<</m);
    assert.doesNotMatch(text, /[&*!]/);
  });

  it("is there for a first stack's file", () => {
    const { text, left } = mergeConfiguration({ base: "", ancestor: "", head: file(BASE) }, "hockey");
    assert.deepEqual(left, ["server", "app.repository", "alerts.webhook"]);
    assert.deepEqual(parse(text), {
      config: {
        "hockey:app": { environment: { LOG_LEVEL: "info" } },
        "hockey:alerts": { telegramChat: "7" },
      },
    });
  });
});

describe("what a preview asks GitHub", function () {
  this.timeout(60_000);
  let github: FakeGitHub;
  let directory: string;

  beforeEach(async () => {
    github = await startFakeGitHub({ owner: "me", repository: "hockey" });
    github.addToken("ghs_run", { permissions: { actions: "read", contents: "read" }, kind: "installation" });
    directory = mkdtempSync(join(tmpdir(), "preview-"));
    writeFileSync(join(directory, "Pulumi.yaml"), "name: hockey\n");
  });
  afterEach(async () => {
    assert.deepEqual(github.violations, []);
    await github.close();
    rmSync(directory, { recursive: true });
  });

  const run = async (command: string, args: string[], env: Record<string, string> = {}) =>
    (
      await promisify(execFile)(command, args, {
        cwd: directory,
        env: {
          ...{ PATH: process.env.PATH, GITHUB_API_URL: github.apiUrl, GITHUB_REPOSITORY: "me/hockey" },
          ...{ GITHUB_TOKEN: "ghs_run", ...env },
        },
      })
    ).stdout.trim();

  it("is whether the environment has reviewers, which no variable can say", async () => {
    const ask = () => run(join(SCRIPTS, "ask-for-reviewers.sh"), ["production-preview"]);
    await assert.rejects(ask(), /404/);
    const none = { policy: null, branches: [], canAdminsBypass: true };
    github.environments.set("production-preview", { ...none, reviewers: [] });
    github.variables.set("PREVIEW_REVIEWERS", { value: "true", created_at: "", updated_at: "" });
    assert.equal(await ask(), "reviewed=false");
    github.environments.set("production-preview", { ...none, reviewers: [{ type: "User", id: 7 }] });
    assert.equal(await ask(), "reviewed=true");
  });

  it("is the stack's file alone, at the pull request's commit and at that where it left the branch", async () => {
    const name = "Pulumi.production.yaml";
    const commit = (branch: string, config: Config) =>
      github.git.commit(branch, "Change", (index) => {
        index.add(name, github.git.blob(Buffer.from(file(config))));
      });
    commit("main", BASE);
    github.git.branch("change", "main");
    const deployed = commit("main", { ...BASE, "hockey:proxy": { port: 80 } });
    const app = { ...APP, environment: { LOG_LEVEL: "debug" } };
    const head = commit("change", { ...BASE, "hockey:app": app, "hockey:server": {} });
    writeFileSync(join(directory, name), file({ ...BASE, "hockey:proxy": { port: 80 } }));
    const take = join(SCRIPTS, "take-configuration.ts");
    const said = await run(process.execPath, [take, name, head], { GITHUB_SHA: deployed });
    assert.equal(
      said,
      "The program is the deployed branch's, with the plain configuration of this pull request's Pulumi.production.yaml. These keys stay as they are on the deployed branch, as they are secret or name a host: `server`.",
    );
    assert.deepEqual((parse(readFileSync(join(directory, name), "utf8")) as { config: Config }).config, {
      ...{ ...BASE, "hockey:app": app, "hockey:proxy": { port: 80 } },
    });
    const asked = github.requests.map(({ operation }) => operation?.split("/").slice(4)[0]);
    assert.deepEqual(asked, ["compare", "contents", "contents"]);
  });
});
