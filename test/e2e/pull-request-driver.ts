import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { run } from "../../sandbox/docker.ts";
import { pulumiOk } from "../../sandbox/stack.ts";
import type { Ended, Run } from "./act.ts";
import { BOT, type Options, STACK_FILE, WorkflowDriver } from "./workflow-driver.ts";
import { copyProject } from "./world.ts";

const ADMINISTRATOR = "ghp_administrator";
const DEPLOYED = "main";
/** The branch of the pull request, and its number. */
export const BRANCH = "change";
const NUMBER = 77;

/**
 * Bot and program in one repository on a GitHub that the stack manages. A run is given the secrets that GitHub would give
 * it: those that the stack has put into the environment of its job, if the environment is open to the run's branch.
 */
export class PullRequestDriver {
  readonly bot: WorkflowDriver;

  private constructor(bot: WorkflowDriver) {
    this.bot = bot;
  }

  static async create(name: string): Promise<PullRequestDriver> {
    const bot = await WorkflowDriver.create(name);
    bot.variables.INFRA_REPOSITORY = BOT;
    const driver = new PullRequestDriver(bot);
    await driver.manage();
    await driver.unite();
    const pull = { number: NUMBER, title: "A change", body: "", state: "open", labels: [], comments: [] };
    bot.github.issues.push({ ...pull, author: "me", isPull: true });
    return driver;
  }

  /** Has the stack keep its secrets on GitHub. */
  private async manage(): Promise<void> {
    const { bot } = this;
    const { github, world, secrets } = bot;
    const [owner = "", repository = ""] = BOT.split("/");
    await bot.configure("github.owner", owner);
    await bot.configure("github.repository", repository);
    await bot.configure("github.manage", "true");
    for (const key of ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"])
      await bot.configureSecret(`githubSecrets.${key}`, secrets[key] ?? "");
    github.addToken(ADMINISTRATOR, { scopes: ["repo", "workflow"] });
    const env = { GITHUB_BASE_URL: github.url, GITHUB_TOKEN: ADMINISTRATOR, GH_PATH: "/bin/false" };
    const target = ["--target", "**hockey:index:Repository**"];
    await pulumiOk(world.stack, ["up", "--yes", "--skip-preview", ...target], { env });
  }

  /** Puts the program into the bot's repository, as it deploys itself. */
  private async unite(): Promise<void> {
    const { directory } = this.bot.world.repository;
    const program = join(this.bot.world.directory, "program");
    await copyProject(program);
    // An operator who puts the two together leaves these out.
    for (const part of [".git", "examples"]) rmSync(join(program, part), { recursive: true });
    cpSync(program, directory, { recursive: true, force: false });
    cpSync(join(this.bot.world.stack.project, STACK_FILE), join(directory, STACK_FILE));
    await this.bot.world.repository.push("Bot and program");
    await this.publish();
  }

  /** Has GitHub know what was committed. */
  private async publish(): Promise<void> {
    const { world, github } = this.bot;
    const git = ["-C", world.repository.directory, "push", "--quiet", "--force"];
    await run("git", [...git, github.git.directory, "refs/heads/*:refs/heads/*"]);
  }

  /** Opens a pull request anew that changes these files; gives its commit. */
  async open(changes: Record<string, (before: string) => string>): Promise<string> {
    const { directory } = this.bot.world.repository;
    const git = (...args: string[]) => run("git", ["-C", directory, ...args]);
    await git("checkout", "--quiet", "-B", BRANCH, DEPLOYED);
    for (const [path, edit] of Object.entries(changes)) {
      const file = join(directory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, edit(await git("show", `${DEPLOYED}:${path}`).catch(() => "")));
    }
    await git("add", "--all");
    await git("commit", "--quiet", "--message", "A change");
    const commit = await git("rev-parse", "HEAD");
    await git("checkout", "--quiet", DEPLOYED);
    await this.publish();
    return commit.trim();
  }

  /** The secrets that GitHub gives to a job of this environment for this ref. */
  admitted(environment: string, ref: string): Record<string, string> {
    const { github } = this.bot;
    const { policy, branches = [] } = github.environments.get(environment) ?? {};
    const isOpen = policy === null || branches.some(({ name }) => ref === `refs/heads/${name}`);
    return { ...github.secrets(), ...(isOpen && github.secrets(environment)) };
  }

  /**
   * Runs a workflow with what GitHub gives it. What a pull request starts belongs to its merge commit, or with
   * pull_request_target to the deployed branch.
   *
   * @param file one of this project's, or the path of another
   */
  start(
    event: Run["event"],
    file: string,
    { ref = `refs/heads/${DEPLOYED}`, ...more }: Options & { ref?: string } = {},
  ): Promise<Ended> {
    const { bot } = this;
    const path = file.startsWith("/")
      ? file
      : join(bot.world.repository.directory, ".github", "workflows", file);
    const { jobs } = parse(readFileSync(path, "utf8")) as { jobs: Record<string, { environment?: string }> };
    const environments = Object.values(jobs).flatMap(({ environment }) => environment ?? []);
    const secrets = Object.assign({}, ...environments.map((name) => this.admitted(name, ref))) as Record<
      string,
      string
    >;
    const { GITHUB_TOKEN = "" } = bot.secrets;
    return bot.start(event, "", {
      payload: { ref },
      ...more,
      file: path,
      secrets: { ...secrets, GITHUB_TOKEN },
    });
  }

  /** The preview of the pull request. */
  async preview(commit: string): Promise<Ended> {
    const sha = await this.bot.world.repository.head();
    const repo = { full_name: BOT };
    const pull_request = {
      ...{ number: NUMBER, head: { ref: BRANCH, sha: commit, repo } },
      base: { ref: DEPLOYED, sha, repo },
    };
    const permissions = { actions: "read", pull_requests: "write" } as const;
    return this.start("pull_request_target", "preview.yml", {
      payload: { pull_request },
      permissions,
      branch: BRANCH,
    });
  }

  /** The text of the one comment on the pull request; empty if there is none. */
  comment(): string {
    const { comments = [] } = this.bot.github.issues.find(({ number }) => number === NUMBER) ?? {};
    if (comments.length > 1) throw new Error(`${comments.length} comments`);
    return comments[0]?.body ?? "";
  }
}
