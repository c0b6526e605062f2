import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { serverExec } from "../../sandbox/server.ts";
import { pulumi } from "../../sandbox/stack.ts";
import { userDirectory } from "../../operator/pulumi-home.ts";
import { Receiver } from "../unit/receiver.ts";
import type { Run } from "./act.ts";
import { HOME, SETTINGS } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { KEY_FILE } from "./github-driver.ts";
import { SecretSearch } from "./secret-search.ts";
import { BOT, INFRA, STACK_FILE, WorkflowDriver } from "./workflow-driver.ts";

const NOTE_START = join(import.meta.dirname, "note-start.sh");
/** The programs that the project starts on this machine; on a server all are watched. */
const STARTED_HERE = ["bash", "docker", "env", "git", "node", "pulumi", "ssh", "ssh-add", "ssh-agent"];

/** Python that says all that the bot knows when it starts, and its token wherever it says that it is not well. */
const SAYS_ALL = "import os, sys\nprint(dict(os.environ), file=sys.stderr)\n";
const SAYS_TOKEN = `    import os
    reasons = [f"{reason}, GET /bot{os.environ['TELEGRAM_TOKEN']}/getMe" for reason in reasons]
    status =`;
const FAILS = `import os\nraise ConnectionError("https://api.telegram.org/bot" + os.environ["TELEGRAM_TOKEN"] + "/getMe")\n`;

/** Of each secret that can be chosen, what it looks like around a mark, with characters that most encodings change. */
const SHAPES: Record<string, (mark: string, receiver: string) => string> = {
  postgresPassword: (mark) => `p"g ${mark}/'%\\ä`,
  telegramToken: (mark) => `1000002:${mark}-and_more`,
  secretKey: (mark) => `<${mark}> & 'more'`,
  "environment.WEATHER_KEY": (mark) => `it's 100% "${mark}"`,
  "githubSecrets.AWS_SECRET_ACCESS_KEY": (mark) => `${mark}/+=`,
  "alerts.webhook": (mark, receiver) => `${receiver}/hook/${mark}`,
  "alerts.pingUrl": (mark, receiver) => `${receiver}/alive/${mark}`,
  "backups.pingUrl": (mark, receiver) => `${receiver}/backup/${mark}`,
  GITHUB_TOKEN: (mark) => `ghp_${mark}`,
};

/**
 * A bot whose secrets are all marked, and which tells them where it can: with GitHub managed by the stack, a private
 * repository, and every channel of alerts. What commands and workflows say is kept.
 */
export class SentinelDriver {
  readonly bot: WorkflowDriver;
  readonly receiver: Receiver;
  /** Every secret, by its key in the configuration or another name. */
  readonly secrets: Record<string, string>;
  /** What commands and workflows have said, by their order and names. */
  readonly outputs: Record<string, string> = {};

  private constructor(bot: WorkflowDriver, receiver: Receiver) {
    this.bot = bot;
    this.receiver = receiver;
    const chosen = Object.entries(SHAPES).map(([name, shape]) => {
      return [name, shape(`Sentinel${randomBytes(10).toString("hex")}`, receiver.url)];
    });
    this.secrets = {
      ...(Object.fromEntries(chosen) as Record<string, string>),
      sshPrivateKey: bot.secrets.SSH_PRIVATE_KEY ?? "",
      "the passphrase": bot.secrets.PULUMI_CONFIG_PASSPHRASE ?? "",
      "the token of a run": bot.secrets.GITHUB_TOKEN ?? "",
    };
    bot.secrets.AWS_SECRET_ACCESS_KEY = this.secrets["githubSecrets.AWS_SECRET_ACCESS_KEY"] ?? "";
  }

  static async create(): Promise<SentinelDriver> {
    const bot = await WorkflowDriver.create("sentinel");
    const driver = new SentinelDriver(bot, await Receiver.start(bot.world.server.gateway));
    await driver.watchStarts();
    driver.moveIn();
    await driver.configure();
    return driver;
  }

  async close(): Promise<void> {
    await this.receiver.close();
    await this.bot.close();
  }

  /** The search for all secrets there are, that which the server has made for itself included. */
  async search(): Promise<SecretSearch> {
    const repositoryKey = await this.bot.world.onServer("cat", KEY_FILE);
    return new SecretSearch({ ...this.secrets, "the server's key": repositoryKey });
  }

  /** Everything that happens to a bot. */
  async live(): Promise<void> {
    await this.release();
    await this.operate();
    await this.goWrong();
    await this.runWorkflows();
  }

  /** Has what each program is started with written down, on this machine and on the server. */
  private async watchStarts(): Promise<void> {
    const { directory, server } = this.bot.world;
    mkdirSync(join(directory, "starts", ".starts", "arguments"), { recursive: true });
    for (const name of STARTED_HERE) symlinkSync(NOTE_START, join(directory, "starts", name));
    const install = `cd /usr/local/bin; install -m 755 /dev/stdin .note-start.sh
      install -d -m 1777 .starts .starts/arguments .starts/environment
      for program in /usr/bin/*; do ln -s .note-start.sh "\${program##*/}"; done
      rm docker-init`;
    // Docker would have containers begin with a docker-init of this PATH.
    await serverExec(server, ["bash", "-euc", install], { input: readFileSync(NOTE_START, "utf8") });
  }

  /** Has all that commands write outside of the project stay in the world's directory, as far as it is no installation. */
  private moveIn(): void {
    const { directory, stack } = this.bot.world;
    const { PULUMI_HOME = join(userDirectory(), ".pulumi") } = process.env;
    const home = join(directory, "home");
    for (const [installed, from] of [
      [join(PULUMI_HOME, "plugins"), join(directory, "pulumi", "plugins")],
      [join(userDirectory(), ".cache", "hockey-delivery"), join(home, ".cache", "hockey-delivery")],
    ] as const) {
      mkdirSync(dirname(from), { recursive: true });
      symlinkSync(installed, from);
    }
    mkdirSync(join(directory, "tmp"));
    Object.assign(stack.env, {
      ...this.surroundings(stack.env.PATH),
      PULUMI_HOME: join(directory, "pulumi"),
      GITHUB_BASE_URL: this.bot.github.url,
      GITHUB_TOKEN: this.secrets.GITHUB_TOKEN,
      GH_PATH: "/bin/false",
    });
  }

  private surroundings(path = ""): Record<string, string> {
    const at = (name: string) => join(this.bot.world.directory, name);
    return { PATH: `${at("starts")}:${path}`, HOME: at("home"), TMPDIR: at("tmp") };
  }

  private async configure(): Promise<void> {
    const { bot, secrets } = this;
    bot.github.addToken(secrets.GITHUB_TOKEN ?? "", { scopes: ["repo", "workflow"] });
    bot.world.telegram.addBot(secrets.telegramToken ?? "");
    await serverExec(bot.world.server, ["bash", "-s", "--", bot.world.repository.pathOnServer, BOT], {
      input: readFileSync(join(import.meta.dirname, "serve-git.sh"), "utf8"),
    });
    const [owner = "", repository = ""] = BOT.split("/");
    const plain = {
      ...{ "github.owner": owner, "github.repository": repository, "github.infraRepository": INFRA },
      ...{ "github.manage": "true", "app.repository": `ssh://git@127.0.0.1/srv/git/${BOT}.git` },
    };
    for (const [key, value] of Object.entries(plain)) await bot.configure(key, value);
    const { PULUMI_BACKEND_URL = "", PULUMI_CONFIG_PASSPHRASE = "" } = bot.secrets;
    await bot.configureSecret("githubSecrets.PULUMI_BACKEND_URL", PULUMI_BACKEND_URL);
    await bot.configureSecret("githubSecrets.PULUMI_CONFIG_PASSPHRASE", PULUMI_CONFIG_PASSPHRASE);
    for (const key of Object.keys(SHAPES).filter((name) => name !== "GITHUB_TOKEN"))
      await bot.configureSecret(key, secrets[key] ?? "");
  }

  /** Runs one of the operator's commands, which must come to this end, and keeps what it says. */
  private async delivery(line: string, end = 0): Promise<void> {
    const [command = "", ...args] = line.split(" ");
    this.keep(`./delivery ${line}`, await this.bot.operate(command, ...args), end);
  }

  private async pulumi(line: string, end = 0): Promise<void> {
    this.keep(`pulumi ${line}`, await pulumi(this.bot.world.stack, line.split(" ")), end);
  }

  /** The same with a line of the server's crontab. */
  private async cron(script: string): Promise<void> {
    const { status, output } = await this.bot.attempt(`SETTINGS=${SETTINGS} ${HOME}/bin/${script}`);
    this.keep(script, { exitCode: status, output }, 0);
  }

  private keep(name: string, { exitCode, output }: { exitCode: number; output: string }, end: number): void {
    assert.equal(exitCode, end, `${name}: ${output}`);
    this.outputs[`${Object.keys(this.outputs).length + 1}: ${name}`] = output;
  }

  private async release(): Promise<void> {
    const { bot } = this;
    const { world } = bot;
    await this.pulumi("preview --diff");
    await this.pulumi("up --yes --skip-preview --diff");
    await this.letServerIn();
    await world.release("health.py", (text) => text.replace(/^ {4}status =/m, SAYS_TOKEN));
    const talking = await world.release("main.py", (text) => SAYS_ALL + text);
    const failing = await world.release("main.py", (text) => FAILS + text);
    await world.release("main.py", (text) => text.replace(FAILS, ""));
    await this.delivery(`deploy ${talking}`);
    await this.delivery(`deploy ${failing}`, 1);
    await this.delivery("rollback");
    await bot.configure("commit", failing);
    await this.pulumi("up --yes --skip-preview --diff", 1);
    await bot.configure("commit", talking);
    await this.pulumi("up --yes --skip-preview --diff");
  }

  /** As GitHub does with a deploy key. */
  private async letServerIn(): Promise<void> {
    const { github, world } = this.bot;
    const input = github.deployKeys.map(({ key }) => `${key}\n`).join("");
    await serverExec(world.server, ["tee", "/home/git/.ssh/authorized_keys"], { user: "git", input });
  }

  private async operate(): Promise<void> {
    for (const line of ["restart", "backup", "restore latest --yes", "backups", "images", "drift"])
      await this.delivery(line);
    for (const line of ["history --json", "status", "status --json", "logs", "logs --db", "logs --proxy"])
      await this.delivery(line);
    await this.delivery("health", 1);
    for (const line of ["config", "stack history --json", "stack export", "stack output"])
      await this.pulumi(line);
    await this.cron(`backup-db.sh ${SETTINGS} --log ${HOME}/backup.log`);
    await this.cron("check-images.sh");
  }

  /** Has the bot tell why it is not well, on every channel. */
  private async goWrong(): Promise<void> {
    const { bot } = this;
    await bot.world.onServer("docker", "stop", "training_bot_db");
    await this.cron("check-health.sh cron");
    await this.delivery("status");
    await this.delivery("health", 2);
    await this.workflow("health-check.yml", "schedule", 1);
    await bot.world.onServer("docker", "start", "training_bot_db");
    await eventually(async () => (await fetch(`${bot.world.url}/health`)).ok, "a healthy bot", 60);
  }

  private async runWorkflows(): Promise<void> {
    const { bot } = this;
    const pull = { number: 77, title: "A change", body: "", state: "open", labels: [], comments: [] };
    bot.github.issues.push({ ...pull, author: "me", isPull: true });
    const sha = await bot.world.repository.head();
    const payload = {
      pull_request: {
        ...{ number: 77, head: { ref: "change", sha, repo: { full_name: BOT } } },
        base: { ref: "main", sha, repo: { full_name: BOT } },
      },
    };
    await bot.configure("app.environment.LOG_LEVEL", "debug");
    await this.workflow("preview.yml", "pull_request_target", 0, payload);
  }

  /** Runs a workflow with the stack's file as it is, which must come to this end. */
  private async workflow(file: string, event: Run["event"], end: number, payload = {}): Promise<void> {
    const { bot } = this;
    cpSync(join(bot.world.stack.project, STACK_FILE), join(bot.repositories, INFRA, STACK_FILE));
    await bot.commitProgram();
    const before = { ...process.env };
    Object.assign(process.env, this.surroundings(process.env.PATH));
    const permissions = { issues: "write", pull_requests: "write" } as const;
    const { isGreen, log } = await bot.start(event, file, { payload, permissions }).finally(() => {
      for (const name of Object.keys(this.surroundings())) restore(name, before[name]);
    });
    this.keep(file, { exitCode: isGreen ? 0 : 1, output: log }, end);
  }
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) Reflect.deleteProperty(process.env, name);
  else process.env[name] = value;
}
