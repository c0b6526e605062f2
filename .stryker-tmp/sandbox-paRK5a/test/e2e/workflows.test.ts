// @ts-nocheck
import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { type FakeGitHub, startFakeGitHub, type TokenRights } from "../../sandbox/github.ts";
import { serverExec } from "../../sandbox/server.ts";
import { pulumiOk, randomToken } from "../../sandbox/stack.ts";
import { act, cloneAs, type Ended, type Run } from "./act.ts";
import { copyProject, createWorld, eventually, type World } from "./world.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const COMPOSE = join(import.meta.dirname, "compose");
const RUN_TOKEN = "ghs_run";
const BOT = "example/hockey";
const INFRA = "example/hockey-delivery";
const STACK_FILE = "Pulumi.production.yaml";
const CHAT = 1001;

/**
 * The workflow files as they are, run by act on this machine: only the actions of others are stand-ins. Each test makes
 * the release that it needs and takes the one that runs as it finds it. Act does not wait for the last words of a step
 * that fails, so none is asked for here: workflows.test.ts among the unit tests looks at what the steps say.
 */
describe("the workflows, run", function () {
  this.timeout(600_000);
  let world: World;
  let github: FakeGitHub;
  let repositories: string;
  let secrets: Record<string, string>;

  before(async () => {
    await run(join(ROOT, "scripts", "lint-workflows"), ["--install"]);
    github = await startFakeGitHub({ owner: "example", repository: "hockey" });
    world = await createWorld("workflows");
    // Both repositories, where the stand-in for actions/checkout finds them.
    repositories = join(world.directory, "repositories");
    const alerts = { "alerts.telegramChat": CHAT, "alerts.telegramApiUrl": world.telegram.url };
    const pairs = Object.entries(alerts).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
    await pulumiOk(world.stack, ["config", "set-all", "--path", ...pairs]);
    // The workflows know the stack by this name; the sample of it makes room.
    rmSync(join(world.stack.project, STACK_FILE));
    await pulumiOk(world.stack, ["stack", "rename", "production"]);
    world.stack.name = "production";
    smallTests();
    await world.repository.push("Small tests");
    await release();
    const infra = join(repositories, INFRA);
    await copyProject(infra);
    cpSync(join(world.stack.project, STACK_FILE), join(infra, STACK_FILE));
    await commitAll(infra);
    secrets = {
      GITHUB_TOKEN: RUN_TOKEN,
      SSH_PRIVATE_KEY: readFileSync(world.server.privateKeyFile, "utf8"),
      PULUMI_BACKEND_URL: world.stack.env.PULUMI_BACKEND_URL ?? "",
      PULUMI_CONFIG_PASSPHRASE: readFileSync(world.stack.env.PULUMI_CONFIG_PASSPHRASE_FILE ?? "", "utf8"),
    };
  });

  after(async () => {
    await world.close();
    await github.close();
  });

  async function commitAll(directory: string): Promise<void> {
    const git = ["-C", directory, "-c", "user.name=Test", "-c", "user.email=test@example.org"];
    await run("git", [...git, "add", "--all"]);
    await run("git", [...git, "commit", "--quiet", "--message", "Change the program"]);
  }

  /** Releases the newest commit, without any workflow. */
  async function release(): Promise<void> {
    await pulumiOk(world.stack, ["config", "set", "commit", await world.repository.head()]);
    await pulumiOk(world.stack, ["up", "--yes", "--skip-preview"]);
  }

  /** Some of the bot's own tests take part in one push, the last; in all others one that needs neither time nor a database. */
  function smallTests(): void {
    const { directory } = world.repository;
    const packages = readFileSync(join(directory, "requirements-dev.txt"), "utf8").split("\n");
    writeFileSync(
      join(directory, "requirements-dev.txt"),
      `${packages.filter((line) => /^(flake8|pytest)/.test(line)).join("\n")}\n`,
    );
    rmSync(join(directory, "tests"), { recursive: true });
    cpSync(join(import.meta.dirname, "small-tests"), join(directory, "tests"), { recursive: true });
  }

  const nextCommit = () => world.release("README.md", (text) => `${text}\n`);

  /** Runs a workflow of this project in the bot's repository; its token may what the file says. */
  async function start(
    event: Run["event"],
    file: string,
    { permissions = {}, at, ...more }: Partial<Run> & { permissions?: Permissions; at?: string } = {},
  ): Promise<Ended> {
    github.addToken(RUN_TOKEN, {
      permissions: { contents: "read", ...permissions },
      kind: "installation",
    });
    const clone = await cloneAs(world.repository.directory, repositories, BOT);
    if (at) await run("git", ["-C", clone, "reset", "--quiet", "--hard", at]);
    return act({
      ...{ event, file: join(ROOT, ".github", "workflows", file), secrets, repositories, repository: BOT },
      ...{ apiUrl: github.apiUrl, variables: { INFRA_REPOSITORY: INFRA }, ...more },
    });
  }

  const byHand = (inputs: { action: string; commit?: string; lines?: string }) =>
    start("workflow_dispatch", "manual-deploy.yml", {
      payload: { inputs: { commit: "", lines: "100", ...inputs } },
    });

  const push = (more: Parameters<typeof start>[2] = {}) =>
    start("push", "deploy.yml", { payload: { ref: "refs/heads/main" }, ...more });

  const running = async () =>
    ((await (await fetch(`${world.url}/health`)).json()) as { release: string }).release;

  it("what somebody typed into a run by hand reaches no shell", async () => {
    const reached = join(world.directory, "reached");
    const commits = ["; rm -rf /", `$(touch ${reached})`, `\`touch ${reached}\``, "3f78685\n3f78685"];
    const hostile: [name: string, value: string][] = [
      ...[...commits, "a".repeat(5000)].map((value): [string, string] => ["commit", value]),
      ["lines", `100; touch ${reached}`],
      ["lines", `$(touch ${reached})`],
      ["lines", "5\n5"],
    ];
    for (const [name, value] of hostile) {
      const { isGreen, log } = await byHand({ action: "rollback", [name]: value });
      assert.ok(!isGreen, log);
      assert.match(log, /Failure - Main Check the inputs/);
      assert.doesNotMatch(log, /Main actions\/checkout/);
    }
    assert.ok(!existsSync(reached));
  });

  it("a broken release is taken back, the job red, its log shown", async () => {
    const good = await running();
    const broken = await world.release("Dockerfile", (text) =>
      text.replace(/^CMD .*/m, `CMD ["python", "-c", "raise SystemExit('broken on purpose')"]`),
    );
    const { isGreen, log } = await push();
    await world.release("Dockerfile", (text) => text.replace(/^CMD .*/m, 'CMD ["python", "main.py"]'));
    assert.ok(!isGreen);
    assert.match(log, /Success - Main Run the bot's tests/);
    assert.match(log, /broken on purpose/);
    assert.match(log, new RegExp(`deploying ${broken} to production`));
    assert.match(log, new RegExp(`putting ${good.slice(0, 7)} back`));
    assert.match(log, /Failure - Main Deploy/);
    assert.match(log, /Success - Main Logs/);
    assert.equal(await running(), good);
  });

  it("a push with a fault that flake8 finds deploys nothing", async () => {
    const before = await running();
    await world.release("main.py", (text) => `import this_is_not_used\n${text}`);
    const { isGreen, log } = await push();
    await world.release("main.py", (text) => text.replace("import this_is_not_used\n", ""));
    assert.ok(!isGreen);
    assert.match(log, /Failure - Main Lint/);
    assert.doesNotMatch(log, /Main Deploy/);
    assert.equal(await running(), before);
  });

  it("what a push may not, to go back, a run by hand does; and it restarts the bot and shows its log", async () => {
    const older = await nextCommit();
    const newer = await nextCommit();
    await release();
    const refused = await push({ at: older });
    assert.ok(!refused.isGreen);
    assert.match(refused.log, /Failure - Main Refuse what is older than what runs/);
    assert.doesNotMatch(refused.log, /Main Deploy/);
    assert.equal(await running(), newer);
    const forced = await byHand({ action: "deploy", commit: older });
    assert.ok(forced.isGreen, forced.log);
    assert.match(forced.log, new RegExp(`deploying ${older} to production`));
    assert.match(forced.log, /deploy: \S+ is live/);
    assert.equal(await running(), older);

    const back = await byHand({ action: "rollback" });
    assert.ok(back.isGreen, back.log);
    assert.match(back.log, /rollback: \S+ is live/);
    assert.equal(await running(), newer);

    const started = () =>
      world.onServer("docker", "inspect", "--format", "{{.State.StartedAt}}", "training_bot");
    const since = await started();
    const again = await byHand({ action: "restart" });
    assert.ok(again.isGreen, again.log);
    assert.match(again.log, /restart: training_bot is well again/);
    assert.match(again.log, /Success - Main Health check/);
    assert.notEqual(await started(), since);

    const now = await started();
    const shown = await byHand({ action: "logs", lines: "3" });
    assert.ok(shown.isGreen, shown.log);
    const [, said = ""] = shown.log.split("Main Do it");
    const lines = said.split("\n").filter((line) => / \| ./.test(line));
    assert.equal(lines.length, 3, said);
    assert.doesNotMatch(shown.log, /Main Health check/);
    assert.equal(await started(), now);
  });

  it("today's backup is made once", async () => {
    const made = () => world.onServer("sh", "-c", "ls /home/deploy/backups/*.sql.gz 2>/dev/null || true");
    assert.equal(await made(), "");
    const first = await start("schedule", "backup.yml");
    assert.ok(first.isGreen, first.log);
    const file = await made();
    assert.match(file, /^\/home\/deploy\/backups\/hockey_db_\S+\.sql\.gz$/);
    assert.match(first.log, new RegExp(`${basename(file)} .* yes`));
    assert.match(first.log, /Kept for 30 days, and the newest 7 verified ones/);
    const second = await start("schedule", "backup.yml");
    assert.ok(second.isGreen, second.log);
    assert.match(second.log, /Today's backup is there\./);
    assert.equal(await made(), file);
  });

  it("a server that is not well has one issue and is told of, until it is mended", async () => {
    const permissions = { issues: "write" } as const;
    const told = () => world.telegram.sent().filter(({ chat }) => chat.id === CHAT);
    await world.onServer("docker", "stop", "training_bot");
    const red = await start("schedule", "health-check.yml", { permissions });
    await world.onServer("docker", "start", "training_bot");
    assert.ok(!red.isGreen);
    assert.deepEqual(
      github.issues.map(({ title, state, labels }) => [title, state, labels]),
      [["The server is unhealthy", "open", ["server-health"]]],
    );
    assert.match(github.issues[0]?.body ?? "", /training_bot +is exited/);
    assert.match(github.issues[0]?.body ?? "", /log lines of training_bot/);
    assert.equal(told().length, 1);
    assert.match(told()[0]?.text ?? "", /^training_bot on 127\.0\.0\.1\nbroken: training_bot is exited/);

    await eventually(running, "the bot answers again");
    const green = await start("schedule", "health-check.yml", { permissions });
    assert.ok(green.isGreen, green.log);
    assert.deepEqual(
      github.issues.map(({ state, comments }) => [state, comments.length]),
      [["closed", 1]],
    );
    assert.match(github.issues[0]?.comments[0]?.body ?? "", /no drift/);
    assert.equal(told().length, 2);
    assert.match(told()[1]?.text ?? "", /\nmended: training_bot\n/);
  });

  it("a pull request has one comment with the preview, which is kept up to date", async () => {
    const pull = { number: 77, title: "A change", body: "", state: "open", labels: [], comments: [] };
    github.issues.push({ ...pull, isPull: true });
    const comments = () => github.issues.find(({ number }) => number === 77)?.comments ?? [];
    const payload = (owner: string) => ({
      pull_request: {
        number: 77,
        head: { ref: "change", repo: { full_name: `${owner}/hockey` } },
        base: { ref: "main", repo: { full_name: BOT } },
      },
    });
    const permissions = { pull_requests: "write" } as const;
    const preview = (owner = "example") =>
      start("pull_request", "preview.yml", { payload: payload(owner), permissions });

    const forked = await preview("stranger");
    assert.ok(forked.isGreen, forked.log);
    assert.match(forked.log, /A fork's pull request gets no secrets, so there is no preview of it/);
    assert.doesNotMatch(forked.log, /Main actions\/checkout/);
    assert.deepEqual(comments(), []);

    const first = await preview();
    assert.ok(first.isGreen, first.log);
    assert.equal(comments().length, 1);
    assert.match(comments()[0]?.body ?? "", /## What an update would change\n```diff\n[^]*\d+ unchanged/);
    const { id } = comments()[0] ?? {};

    const infra = join(repositories, INFRA);
    const file = join(infra, STACK_FILE);
    const before = readFileSync(file, "utf8");
    writeFileSync(file, before.replace("environment:\n", "environment:\n      LOG_LEVEL: debug\n"));
    await commitAll(infra);
    const second = await preview();
    writeFileSync(file, before);
    await commitAll(infra);
    assert.ok(second.isGreen, second.log);
    assert.deepEqual(
      comments().map((one) => one.id),
      [id],
    );
    assert.match(comments()[0]?.body ?? "", /bot-container/);
    assert.match(comments()[0]?.body ?? "", /1 to replace/);
  });

  it("a push is tested, deployed and healthy; how long that takes, and how long with docker-compose", async () => {
    // Those of the bot's own tests that mind no load: the others wait for processes and threads.
    const own = join(ROOT, "examples", "hockey");
    for (const file of ["tests/conftest.py", "tests/test_web.py", "requirements-dev.txt"]) {
      cpSync(join(own, file), join(world.repository.directory, file));
    }
    const commit = await world.repository.push("The bot's own tests");
    const ours = await push({ fresh: true });
    assert.ok(ours.isGreen, ours.log);
    assert.match(ours.log, /Success - Main Run the bot's tests/);
    assert.match(ours.log, /deploy: \S+ is live/);
    assert.match(ours.log, /Success - Main Health check/);
    assert.equal(await running(), commit);
    console.log(`      push to healthy: ${duration(ours)}`);

    const theirs = await withCompose();
    console.log(
      `      with docker-compose: ${duration(theirs)}, ${/down for \d+ s/.exec(theirs.log)?.[0] ?? ""}`,
    );
  });

  it("a push to one repository that holds bot and program is deployed by that very program", async () => {
    const { directory } = world.repository;
    const program = join(world.directory, "program");
    await copyProject(program);
    // What somebody would leave out who puts the two together.
    for (const part of [".git", "examples"]) rmSync(join(program, part), { recursive: true });
    smallTests();
    cpSync(program, directory, { recursive: true, force: false });
    cpSync(join(world.stack.project, STACK_FILE), join(directory, STACK_FILE));
    const commit = await world.repository.push("Bot and program");
    const { isGreen, log } = await push({ variables: { INFRA_REPOSITORY: BOT } });
    assert.ok(isGreen, log);
    assert.match(log, /deploy: \S+ is live/);
    assert.equal(await running(), commit);
  });

  it("have spoken with GitHub only as GitHub describes it", () => {
    assert.deepEqual(github.violations, []);
  });

  /** A run's seconds, and those of each of its longer steps. */
  function duration({ seconds, steps }: Ended): string {
    const longer = Object.entries(steps).filter(([, each]) => each >= 1);
    return `${seconds.toFixed(1)} s (${longer.map(([name, each]) => `${name} ${each.toFixed(1)}`).join(", ")})`;
  }

  /** The flow that this project replaces, in a directory of its own on the same server. */
  async function withCompose(): Promise<Ended> {
    const { server, telegram, repository } = world;
    const path = "/home/deploy/before";
    const token = randomToken();
    telegram.addBot(token);
    const environment = {
      POSTGRES_USER: "hockey",
      POSTGRES_PASSWORD: "hockey",
      POSTGRES_DB: "hockey_db",
      DATABASE_URL: "postgresql://hockey:hockey@db:5432/hockey_db",
      SECRET_KEY: "0123456789abcdef0123456789abcdef",
      TELEGRAM_TOKEN: token,
      TELEGRAM_API_URL: telegram.url,
    };
    const input = Object.entries(environment).map(([key, value]) => `${key}=${value}\n`);
    const asDeploy = { user: "deploy" };
    await serverExec(server, ["git", "clone", "--quiet", repository.pathOnServer, path], asDeploy);
    await serverExec(server, ["tee", `${path}/.env`], { ...asDeploy, input: input.join("") });
    await serverExec(server, ["tee", `${path}/docker-compose.yml`], {
      ...asDeploy,
      input: readFileSync(join(COMPOSE, "docker-compose.yml"), "utf8"),
    });
    const { port, host, user, hostKey } = server;
    const connection = { SSH_HOST: host, SSH_PORT: String(port), SSH_USERNAME: user, HOST_KEY: hostKey };
    const { SSH_PRIVATE_KEY = "" } = secrets;
    const deploy = () =>
      start("push", "", {
        file: join(COMPOSE, "deploy.yml"),
        secrets: { GITHUB_TOKEN: RUN_TOKEN, SSH_PRIVATE_KEY, ...connection, DEPLOY_PATH: path },
      });
    // Brought up once before, as in a bot's everyday life.
    await serverExec(server, ["docker-compose", "--project-directory", path, "up", "-d"], asDeploy);
    const ended = await deploy();
    assert.ok(ended.isGreen, ended.log);
    return ended;
  }
});

type Permissions = Extract<TokenRights, { permissions: object }>["permissions"];
