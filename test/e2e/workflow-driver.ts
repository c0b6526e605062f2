import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { type FakeGitHub, startFakeGitHub, type TokenRights } from "../../sandbox/github.ts";
import { publishedContent } from "../../infra/workflow-files.ts";
import { pulumiOk } from "../../sandbox/stack.ts";
import { act, cloneAs, type Ended, type Run } from "./act.ts";
import { BotDriver } from "./bot-driver.ts";
import { PROJECT } from "./documents.ts";
import { copyProject, createWorld, type Place, type World } from "./world.ts";

const TOKEN = `ghs_${randomBytes(18).toString("hex")}`;
/** The repositories of the bot and of the program. */
export const BOT = "example/hockey";
export const INFRA = "example/hockey-delivery";
export const STACK_FILE = "Pulumi.production.yaml";
/** The chat that alerts go to. */
export const CHAT = 1001;

type Permissions = Extract<TokenRights, { permissions: object }>["permissions"];
/** What one run has beside the event and the file. */
export type Options = Partial<Run> & {
  permissions?: Permissions;
  /** The commit, where that is not the newest. */
  at?: string;
  /** A branch that can be checked out beside the deployed one. */
  branch?: string;
};

/**
 * A bot whose workflow files are run as they are, by act on this machine: only the actions of others are stand-ins. Each
 * test makes the release that it needs and takes the one that runs as it finds it. Act does not wait for the last words
 * of a step that fails, so none is asked for here: workflows.test.ts among the unit tests looks at what the steps say.
 */
export class WorkflowDriver extends BotDriver {
  readonly github: FakeGitHub;
  /** What the workflows are given, where a test does not ask GitHub for it. */
  readonly secrets: Record<string, string>;
  readonly variables: Record<string, string> = { INFRA_REPOSITORY: INFRA };
  /** Both repositories, where the stand-in for actions/checkout finds them. */
  readonly repositories: string;

  private constructor(world: World, github: FakeGitHub) {
    super(world);
    this.github = github;
    this.repositories = join(world.directory, "repositories");
    const { env } = world.stack;
    this.secrets = {
      GITHUB_TOKEN: TOKEN,
      SSH_PRIVATE_KEY: readFileSync(world.server.privateKeyFile, "utf8"),
      PULUMI_BACKEND_URL: env.PULUMI_BACKEND_URL ?? "",
      PULUMI_CONFIG_PASSPHRASE: readFileSync(env.PULUMI_CONFIG_PASSPHRASE_FILE ?? "", "utf8"),
    };
  }

  /** @param name of the world, whose stack is up then */
  static async create(name: string, place?: Place): Promise<WorkflowDriver> {
    await run(join(PROJECT, "scripts", "lint-workflows"), ["--install"]);
    const github = await startFakeGitHub({ owner: "example", repository: "hockey" });
    const world = await createWorld(name, place);
    const driver = new WorkflowDriver(world, github);
    await driver.configure("alerts.telegramChat", String(CHAT));
    await driver.configure("alerts.telegramApiUrl", world.telegram.url);
    // The workflows know the stack by this name; the sample of it makes room.
    rmSync(join(world.stack.project, STACK_FILE));
    await pulumiOk(world.stack, ["stack", "rename", "production"]);
    world.stack.name = "production";
    driver.useSmallTests();
    await world.repository.push("Small tests");
    await driver.release();
    const infra = join(driver.repositories, INFRA);
    await copyProject(infra);
    cpSync(join(world.stack.project, STACK_FILE), join(infra, STACK_FILE));
    await driver.commitProgram();
    return driver;
  }

  async close(): Promise<void> {
    await this.world.close();
    await this.github.close();
  }

  /** Commits what has changed in the program's repository. */
  async commitProgram(): Promise<void> {
    const author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    const git = ["-C", join(this.repositories, INFRA), ...author];
    await run("git", [...git, "add", "--all"]);
    await run("git", [...git, "commit", "--quiet", "--message", "Change the program"]);
  }

  /** Releases the newest commit, without any workflow. */
  async release(): Promise<void> {
    await this.configure("commit", await this.world.repository.head());
    await pulumiOk(this.world.stack, ["up", "--yes", "--skip-preview"]);
  }

  nextCommit(): Promise<string> {
    return this.world.release("README.md", (text) => `${text}\n`);
  }

  /** Leaves the bot one test of its own, which needs neither time nor a database. */
  useSmallTests(): void {
    const { directory } = this.world.repository;
    const file = join(directory, "requirements-dev.txt");
    const packages = readFileSync(file, "utf8").split("\n");
    writeFileSync(file, `${packages.filter((line) => /^(flake8|pytest)/.test(line)).join("\n")}\n`);
    rmSync(join(directory, "tests"), { recursive: true });
    cpSync(join(import.meta.dirname, "small-tests"), join(directory, "tests"), { recursive: true });
  }

  /** Runs a workflow of this project in the bot's repository; its token may what the file says. */
  async start(
    event: Run["event"],
    file: string,
    { permissions = {}, at, branch, ...more }: Options = {},
  ): Promise<Ended> {
    const { github, repositories, secrets } = this;
    github.addToken(TOKEN, { permissions: { contents: "read", ...permissions }, kind: "installation" });
    const clone = await cloneAs(this.world.repository.directory, repositories, BOT);
    if (branch) await run("git", ["-C", clone, "branch", "--quiet", branch, `origin/${branch}`]);
    if (at) await run("git", ["-C", clone, "reset", "--quiet", "--hard", at]);
    const path = file && this.published(file);
    return act({
      ...{ event, file: path, secrets: { ...secrets }, repositories, repository: BOT },
      ...{ apiUrl: github.apiUrl, variables: this.variables, ...more },
    });
  }

  /** A file as it is in the bot's repository. */
  private published(file: string): string {
    const own = join(PROJECT, ".github", "workflows", file);
    if (this.variables.INFRA_REPOSITORY === BOT) return own;
    const directory = join(this.repositories, "workflows");
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, file), publishedContent(file, INFRA));
    return join(directory, file);
  }

  byHand(inputs: { action: string; commit?: string; lines?: string }): Promise<Ended> {
    const payload = { inputs: { commit: "", lines: "100", ...inputs } };
    return this.start("workflow_dispatch", "manual-deploy.yml", { payload });
  }

  push(more: Options = {}): Promise<Ended> {
    return this.start("push", "deploy.yml", { payload: { ref: "refs/heads/main" }, ...more });
  }
}
