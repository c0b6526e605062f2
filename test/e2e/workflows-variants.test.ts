import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { serverExec } from "../../sandbox/server.ts";
import { randomToken } from "../../sandbox/stack.ts";
import type { Ended } from "./act.ts";
import { PROJECT } from "./documents.ts";
import { BOT, INFRA, STACK_FILE, WorkflowDriver } from "./workflow-driver.ts";
import { copyProject } from "./world.ts";

const COMPOSE = join(import.meta.dirname, "compose");

describe("further releases by workflows, run @slow", function () {
  this.timeout(600_000);
  let bot: WorkflowDriver;

  before(async () => {
    bot = await WorkflowDriver.create("workflows-variants");
  });

  after(() => bot.close());

  afterEach("has spoken with GitHub only as GitHub describes it", () => {
    assert.deepEqual(bot.github.violations, []);
  });

  it("the same from nothing, with the bot's own tests: how long that takes, and how long with docker-compose", async () => {
    // Those of the bot's own tests that mind no load: the others wait for processes and threads.
    const own = join(PROJECT, "examples", "hockey");
    for (const file of ["tests/conftest.py", "tests/test_web.py", "requirements-dev.txt"]) {
      cpSync(join(own, file), join(bot.world.repository.directory, file));
    }
    const commit = await bot.world.repository.push("The bot's own tests");
    const ours = await bot.push({ fresh: true });
    assert.ok(ours.isGreen, ours.log);
    assert.equal(await bot.running(), commit);
    console.log(`      push to healthy: ${duration(ours)}`);

    const theirs = await withCompose();
    console.log(
      `      with docker-compose: ${duration(theirs)}, ${/down for \d+ s/.exec(theirs.log)?.[0] ?? ""}`,
    );
  });

  it("a push to one repository that holds bot and program is deployed by that very program", async () => {
    const { directory } = bot.world.repository;
    const program = join(bot.world.directory, "program");
    await copyProject(program);
    // An operator who puts the two together leaves these out.
    for (const part of [".git", "examples"]) rmSync(join(program, part), { recursive: true });
    bot.useSmallTests();
    cpSync(program, directory, { recursive: true, force: false });
    cpSync(join(bot.world.stack.project, STACK_FILE), join(directory, STACK_FILE));
    const commit = await bot.world.repository.push("Bot and program");
    bot.variables.INFRA_REPOSITORY = BOT;
    const { isGreen, log } = await bot.push();
    bot.variables.INFRA_REPOSITORY = INFRA;
    assert.ok(isGreen, log);
    assert.match(log, /deploy: \S+ is live/);
    assert.equal(await bot.running(), commit);
  });

  /** A run's seconds, and those of each of its longer steps. */
  function duration({ seconds, steps }: Ended): string {
    const longer = Object.entries(steps).filter(([, each]) => each >= 1);
    return `${seconds.toFixed(1)} s (${longer.map(([name, each]) => `${name} ${each.toFixed(1)}`).join(", ")})`;
  }

  /** The flow that this project replaces, in a directory of its own on the same server. */
  async function withCompose(): Promise<Ended> {
    const { server, telegram, repository } = bot.world;
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
    const { GITHUB_TOKEN = "", SSH_PRIVATE_KEY = "" } = bot.secrets;
    const deploy = () =>
      bot.start("push", "", {
        file: join(COMPOSE, "deploy.yml"),
        secrets: { GITHUB_TOKEN, SSH_PRIVATE_KEY, ...connection, DEPLOY_PATH: path },
      });
    // Brought up once before, as in a bot's everyday life.
    await serverExec(server, ["docker-compose", "--project-directory", path, "up", "-d"], asDeploy);
    const ended = await deploy();
    assert.ok(ended.isGreen, ended.log);
    return ended;
  }
});
