import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { run } from "../../sandbox/docker";
import { type FakeGitHub, startFakeGitHub } from "../../sandbox/github";
import { pulumiOk } from "../../sandbox/stack";
import { copyProject, createWorld, eventually, type World } from "./world";

// See sandbox/docker.ts: execa is an ES module.
const execaModule = import("execa");

const ROOT = join(__dirname, "..", "..");
const STAND_INS = join(__dirname, "actions");
const RUN_TOKEN = "ghs_run";
const BOT = "example/hockey";
const INFRA = "example/hockey-delivery";

/** The workflow files as they are, run by act on this machine: only the actions of others are stand-ins. */
describe("the workflows, run", function () {
  this.timeout(600_000);
  let world: World;
  let github: FakeGitHub;
  let repositories: string;
  let secrets: Record<string, string>;

  before(async () => {
    await run(join(ROOT, "scripts", "lint-workflows"), ["--install"]);
    github = await startFakeGitHub({ owner: "example", repository: "hockey" });
    const permissions = { issues: "write", contents: "read" } as const;
    github.addToken(RUN_TOKEN, { permissions, kind: "installation" });
    world = await createWorld("workflows");
    // Both repositories, where the stand-in for actions/checkout finds them.
    repositories = join(world.directory, "repositories");
    // The workflows know the stack by this name; the sample of it makes room.
    const file = "Pulumi.production.yaml";
    rmSync(join(world.stack.project, file));
    await pulumiOk(world.stack, ["stack", "rename", "production"]);
    world.stack.name = "production";
    await pulumiOk(world.stack, ["up", "--yes", "--skip-preview"]);
    const infra = join(repositories, INFRA);
    await copyProject(infra);
    writeFileSync(join(infra, file), readFileSync(join(world.stack.project, file), "utf8"));
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
    await run("git", [...git, "commit", "--quiet", "--message", "The project"]);
  }

  /** `--local-repository` for every action that the files use; one without a stand-in is a fault. */
  function standIns(): string[] {
    const files = [".github/workflows", ".github/actions/setup"].flatMap((directory) =>
      readdirSync(join(ROOT, directory)).map((file) => join(ROOT, directory, file)),
    );
    const used = files.flatMap((file) => readFileSync(file, "utf8").match(/uses: [^.\s]\S*/g) ?? []);
    return [...new Set(used)].flatMap((line) => {
      const action = line.replace("uses: ", "");
      const standIn = join(STAND_INS, basename(action.split("@")[0] ?? ""));
      assert.ok(existsSync(standIn), `there is no stand-in for ${action}`);
      return ["--local-repository", `${action}=${standIn}`];
    });
  }

  /** Runs a workflow as GitHub would for the newest commit of the bot's repository. */
  async function act(event: string, file: string, payload: unknown = {}) {
    const { execa } = await execaModule;
    const bot = join(repositories, BOT);
    rmSync(bot, { recursive: true, force: true });
    await run("git", ["clone", "--quiet", world.repository.directory, bot]);
    await run("git", ["-C", bot, "remote", "set-url", "origin", `https://github.com/${BOT}.git`]);
    // act does not know this key yet; workflows.test.ts among the unit tests looks at it.
    const copy = join(world.directory, file);
    writeFileSync(
      copy,
      readFileSync(join(ROOT, ".github", "workflows", file), "utf8").replace(/^ *queue: max\n/m, ""),
    );
    const secretFile = join(world.directory, "secrets");
    const lines = Object.entries(secrets).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    writeFileSync(secretFile, lines.join("\n"), { mode: 0o600 });
    const eventFile = join(world.directory, "event.json");
    writeFileSync(eventFile, JSON.stringify(payload));
    const began = Date.now();
    const inherited = Object.entries(process.env).filter(
      ([key]) => !/^(GITHUB|PULUMI|AWS|SSH|npm)_|^PATH$/.test(key),
    );
    const { exitCode, all } = await execa(
      join(ROOT, ".tools", "python", "bin", "act"),
      [
        ...[event, "--directory", bot, "--workflows", copy],
        ...["--platform", "ubuntu-24.04=-self-hosted", ...standIns(), "--no-skip-checkout"],
        ...["--secret-file", secretFile, "--var", `INFRA_REPOSITORY=${INFRA}`, "--eventpath", eventFile],
        ...["--env", `REPOSITORIES=${repositories}`, "--env", `GITHUB_API_URL=${github.apiUrl}`],
        ...["--env", "PULUMI_SKIP_UPDATE_CHECK=true"],
      ],
      {
        // Nothing but this: act hands its own environment on to the jobs.
        env: { ...Object.fromEntries(inherited), PATH: process.env.PATH, HOME: homedir() },
        extendEnv: false,
        all: true,
        reject: false,
      },
    );
    for (const secret of Object.values(secrets).filter((value) => value.length > 12)) {
      assert.ok(!all.includes(secret.trim()), "a secret is in the log");
    }
    return {
      isGreen: exitCode === 0,
      log: stripVTControlCharacters(all),
      seconds: (Date.now() - began) / 1000,
    };
  }

  const running = async () =>
    ((await (await fetch(`${world.url}/health`)).json()) as { release: string }).release;

  it("a push is tested, deployed and healthy", async () => {
    const commit = await world.release("README.md", (text) => `${text}\n`);
    const { isGreen, log, seconds } = await act("push", "deploy.yml", { ref: "refs/heads/main" });
    assert.ok(isGreen, log);
    console.log(`      push to healthy under act: ${seconds.toFixed(1)} s`);
    assert.match(log, /Success - Main Run the bot's tests/);
    assert.match(log, /deploy: \S+ is live/);
    assert.match(log, /Success - Main Health check/);
    assert.equal(await running(), commit);
  });

  it("a push with a fault that flake8 finds deploys nothing", async () => {
    const before = await running();
    await world.release("main.py", (text) => `import this_is_not_used\n${text}`);
    const { isGreen, log } = await act("push", "deploy.yml", { ref: "refs/heads/main" });
    await world.release("main.py", (text) => text.replace("import this_is_not_used\n", ""));
    assert.ok(!isGreen);
    assert.match(log, /main\.py:1:1: F401 'this_is_not_used' imported but unused/);
    assert.doesNotMatch(log, /Main Deploy/);
    assert.equal(await running(), before);
  });

  it("what somebody typed into a run by hand reaches no shell", async () => {
    const commits = ["; rm -rf /", "$(touch /tmp/reached)", "3f78685\n3f78685", "a".repeat(5000)];
    for (const commit of commits) {
      const inputs = { action: "rollback", commit, lines: "100" };
      const { isGreen, log } = await act("workflow_dispatch", "manual-deploy.yml", { inputs });
      assert.ok(!isGreen);
      assert.match(log, /::error::The commit must be 7 to 40 digits/);
      assert.doesNotMatch(log, /Main actions\/checkout/);
    }
  });

  it("a run by hand puts the release before back", async () => {
    const before = await running();
    const inputs = { action: "rollback", commit: "", lines: "100" };
    const { isGreen, log } = await act("workflow_dispatch", "manual-deploy.yml", { inputs });
    assert.ok(isGreen, log);
    assert.match(log, /rollback: \S+ is live/);
    assert.notEqual(await running(), before);
  });

  it("today's backup is made once", async () => {
    const made = () => world.onServer("sh", "-c", "ls /home/deploy/backups/*.sql.gz 2>/dev/null || true");
    assert.equal(await made(), "");
    const first = await act("schedule", "backup.yml");
    assert.ok(first.isGreen, first.log);
    const file = await made();
    assert.match(file, /^\/home\/deploy\/backups\/hockey_db_\S+\.sql\.gz$/);
    assert.match(first.log, new RegExp(`${basename(file)} .* yes`));
    const second = await act("schedule", "backup.yml");
    assert.ok(second.isGreen, second.log);
    assert.match(second.log, /Today's backup is there\./);
    assert.equal(await made(), file);
  });

  it("a server that is not well has one issue, closed when it is mended", async () => {
    await world.onServer("docker", "stop", "training_bot");
    const red = await act("schedule", "health-check.yml");
    await world.onServer("docker", "start", "training_bot");
    assert.ok(!red.isGreen);
    assert.deepEqual(
      github.issues.map(({ title, state, labels }) => [title, state, labels]),
      [["The server is not well", "open", ["server-health"]]],
    );
    assert.match(github.issues[0]?.body ?? "", /training_bot/);
    await eventually(running, "the bot answers again");
    const green = await act("schedule", "health-check.yml");
    assert.ok(green.isGreen, green.log);
    assert.deepEqual(
      github.issues.map(({ state }) => state),
      ["closed"],
    );
    assert.deepEqual(github.violations, []);
  });
});
