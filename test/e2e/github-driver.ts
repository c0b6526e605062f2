import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DeployKey, type FakeGitHub, startFakeGitHub } from "../../sandbox/github.ts";
import { serverExec } from "../../sandbox/server.ts";
import { type Outcome, pulumi, pulumiOk } from "../../sandbox/stack.ts";
import { BotDriver } from "./bot-driver.ts";
import { createWorld, type World } from "./world.ts";

const TOKEN = "ghp_administrator";
const GITHUB = "**hockey:index:Repository**";
export const WORKFLOW = ".github/workflows/deploy.yml";
export const PASSPHRASE = "the passphrase of the state";
/** Where the server keeps its half of the deploy key. */
export const KEY_FILE = "/home/deploy/hockey/repository_key";
/** Options of an update that leaves the server out, which is quicker. */
export const ONLY_GITHUB = ["--target", GITHUB];

/** What was asked of GitHub during an action, one line each, and which of that changed something. */
interface Asked<T> {
  result: T;
  all: string[];
  writes: string[];
}

/**
 * A bot whose repository is private, on a GitHub that the stack manages: the server reads the repository over SSH, with
 * a key that GitHub must have.
 */
export class GitHubDriver extends BotDriver {
  readonly github: FakeGitHub;
  /** The commits on the workflow files that the last `apply` made. */
  applied: string[] = [];

  private constructor(world: World, github: FakeGitHub) {
    super(world);
    this.github = github;
  }

  /** @param name of the world, whose stack is configured then, but not up */
  static async create(name: string): Promise<GitHubDriver> {
    const world = await createWorld(name);
    const github: FakeGitHub = await startFakeGitHub({
      ...{ owner: "example", repository: "hockey", isPrivate: true },
      onDeployKeys: (keys) => driver.letIn(keys),
    });
    const driver = new GitHubDriver(world, github);
    github.addToken(TOKEN, { scopes: ["repo", "workflow"] });
    github.edit(WORKFLOW, "name: docker-compose down\n");
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
    await driver.setSecret("PULUMI_BACKEND_URL", "s3://states/hockey");
    await driver.setSecret("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE);
    return driver;
  }

  async close(): Promise<void> {
    await this.world.close();
    await this.github.close();
  }

  /** What GitHub does with a repository's deploy keys. */
  async letIn(keys: DeployKey[]): Promise<void> {
    const input = keys.map(({ key }) => `${key}\n`).join("");
    await serverExec(this.world.server, ["tee", "/home/git/.ssh/authorized_keys"], { user: "git", input });
  }

  /** The environment of a command that knows where GitHub is. */
  environment(more: Record<string, string> = {}): { env: Record<string, string> } {
    return { env: { GITHUB_BASE_URL: this.github.url, GITHUB_TOKEN: "", GH_PATH: "/bin/false", ...more } };
  }

  /** The same with an administrator's token. */
  administrator(): { env: Record<string, string> } {
    return this.environment({ GITHUB_TOKEN: TOKEN });
  }

  /** As in a workflow run: without a token, GitHub passed over. */
  unattended(): { env: Record<string, string> } {
    return this.environment({ PULUMI_OPTION_EXCLUDE: GITHUB });
  }

  /** Sets a secret that GitHub is to have. */
  setSecret(name: string, input: string): Promise<void> {
    return this.configureSecret(`githubSecrets.${name}`, input);
  }

  /** An update by an administrator, whatever its end. */
  override up(...args: string[]): Promise<Outcome> {
    return pulumi(this.world.stack, ["up", "--yes", "--skip-preview", ...args], this.administrator());
  }

  /** Makes sure that the stack manages GitHub. */
  async apply(): Promise<void> {
    if (this.github.deployKeys.length) return;
    await this.configure("github.manage", "true");
    const before = this.workflowCommits();
    const began = Date.now();
    const { exitCode, output } = await this.up();
    assert.equal(exitCode, 0, output);
    console.log(`      server and GitHub: ${((Date.now() - began) / 1000).toFixed(1)} s`);
    this.applied = this.workflowCommits().filter((sha) => !before.includes(sha));
  }

  /** Has the program keep the secrets in the repository, as earlier versions did, until the returned function is called. */
  useEarlierProgram(): () => void {
    const file = join(this.world.stack.project, "infra", "components", "Repository.ts");
    const program = readFileSync(file, "utf8");
    const edits: [from: string, to: string][] = [
      [
        `import { ActionsEnvironmentSecret } from "@pulumi/github/actionsEnvironmentSecret.js"`,
        `import { ActionsSecret } from "@pulumi/github/actionsSecret.js"`,
      ],
      ["of Object.values(ENVIRONMENTS))", `of [ENVIRONMENTS.unattended, ENVIRONMENTS.attended])`],
      ["new ActionsEnvironmentSecret(", "if (environment === ENVIRONMENTS.attended) new ActionsSecret("],
      ["-${environment}-${secretName}", "-${secretName}"],
      ["environment: declared.environment, secretName", "secretName"],
    ];
    const earlier = edits.reduce((text, [from, to]) => {
      assert.ok(text.includes(from), from);
      return text.replace(from, () => to);
    }, program);
    writeFileSync(file, earlier);
    return () => {
      writeFileSync(file, program);
    };
  }

  private workflowCommits(): string[] {
    return this.github.git.log("main", ".github/workflows");
  }

  /** The public halves of the keys that GitHub lets in. */
  publicKeys(): string[] {
    return this.github.deployKeys.map(({ key }) => key);
  }

  /** The public half of the server's key. */
  async keyOnServer(): Promise<string> {
    return (await this.world.onServer("sh", "-c", `ssh-keygen -y -f ${KEY_FILE}`)).trim();
  }

  /** The stack's state as it is kept. */
  state(): string {
    return readFileSync(
      join(this.world.directory, "state", ".pulumi", "stacks", "hockey", "test.json"),
      "utf8",
    );
  }

  /** What is asked of GitHub during an action. */
  async asked<T>(action: () => Promise<T>): Promise<Asked<T>> {
    const before = this.github.requests.length;
    const result = await action();
    const asked = this.github.requests.slice(before);
    const all = asked.map(({ method, path, status }) => `${method} ${path} ${status}`);
    return { result, all, writes: all.filter((line) => !line.startsWith("GET ")) };
  }

  /** Everything that is on GitHub, to compare. */
  snapshot() {
    const { github } = this;
    return {
      head: github.git.resolve("main"),
      secrets: [...github.environments.keys()].map((name) => [name, github.secrets(name)]),
      variables: [...github.variables],
      environments: structuredClone([...github.environments]),
      deployKeys: [...github.deployKeys],
    };
  }
}
