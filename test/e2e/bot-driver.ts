import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { serverExec } from "../../sandbox/server.ts";
import { type Outcome, pulumi, pulumiOk } from "../../sandbox/stack.ts";
import { eventually } from "./eventually.ts";
import { type Handover, isDropped } from "./handover.ts";
import { failures, type Seen, startLoad } from "./load.ts";
import { operate } from "./operator.ts";
import type { World } from "./world.ts";

/** The stack's directory on the server, and what it writes there for the scripts. */
export const HOME = "/home/deploy/hockey";
export const SETTINGS = `${HOME}/backups/settings`;

/** The containers of a stack, in order. */
export const CONTAINERS = ["training_bot", "training_bot_db", "training_bot_proxy"];

/** How long visitors are watched before and after an action, in milliseconds: what comes late is seen too. */
const BEFORE = 500;
const AFTER = 1500;

export interface Health {
  status: string;
  /** The commit that runs. */
  release: string;
}

/** What may be noticed of an action at most; see `Seen`. */
export interface Allowed {
  /** A bot that crashes between answering and noting it repeats itself. */
  doubled?: number;
  resent?: number;
  /**
   * Requests that a bot had when it crashed. What it was about to do it may have done, so the proxy sends no such request to
   * the next one; and an answer that has begun is cut off.
   */
  unanswered?: number;
  /** When the proxy took over another configuration; a request that was sent just then may be dropped. */
  handovers?: Handover[];
}

/** The bot of a world as its users, its operator and its server see it. */
export class BotDriver {
  readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  /** Where Pulumi keeps the locks of the stack, one file each. */
  get locks(): string {
    return join(this.world.directory, "state", ".pulumi", "locks", "organization", "hockey", "test");
  }

  /** What /health of the bot answers. */
  async health(): Promise<Health> {
    return (await (await fetch(`${this.world.url}/health`)).json()) as Health;
  }

  /** The full hash of the commit that runs. */
  async running(): Promise<string> {
    return (await this.health()).release;
  }

  /** Names of all containers on the server, stopped ones too, in order. */
  async containers(): Promise<string[]> {
    return (await this.world.onServer("docker", "ps", "--all", "--format", "{{.Names}}")).split("\n").sort();
  }

  /** What the server shows of a bot that does not serve, however much is wrong there. */
  async situation(): Promise<string> {
    const { output } = await this.attempt(
      `set -x
      date
      docker ps --all --no-trunc
      docker inspect training_bot training_bot_before
      docker logs --tail 30 training_bot
      docker logs --tail 30 training_bot_db
      docker logs --tail 30 training_bot_proxy
      docker network inspect bot_network
      docker exec training_bot_proxy ls /gate
      head ${HOME}/swap/*
      ctr --namespace moby tasks list
      ps axf -o pid,lstart,args
      journalctl --unit docker --lines 300 --no-pager`,
      "root",
    );
    return output;
  }

  /** When a container was started last. */
  startedAt(container = "training_bot"): Promise<string> {
    return this.world.onServer("docker", "inspect", "-f", "{{.State.StartedAt}}", container);
  }

  /** Runs shell on the server, as the deploy user unless told otherwise; must succeed. */
  sh(script: string, user = "deploy"): Promise<string> {
    return serverExec(this.world.server, ["bash", "-c", script], { user });
  }

  /** Runs shell on the server that may fail; both its streams and its exit status. */
  async attempt(script: string, user = "deploy"): Promise<{ status: number; output: string }> {
    const text = await this.sh(`{ ${script}\n} 2>&1; echo "exit $?"`, user);
    const [, output = "", status] = /^([\s\S]*?)\n?exit (\d+)$/.exec(text) ?? [];
    return { status: Number(status), output };
  }

  /** Runs SQL in the bot's database as its role and gives what it prints: unaligned, without headings. */
  sql(statement: string, database = "hockey_db", role = "hockey"): Promise<string> {
    const psql = `docker exec -i training_bot_db psql -XqAt -v ON_ERROR_STOP=1 -U ${role} -d ${database}`;
    return serverExec(this.world.server, psql.split(" "), { input: statement });
  }

  /** The same as PostgreSQL's superuser. */
  admin(statement: string, database = "hockey_db"): Promise<string> {
    return this.sql(statement, database, "postgres");
  }

  /** Notes a training on the page and gives how many there are now, as `psql` prints it. */
  async train(): Promise<string> {
    const body = JSON.stringify({ player: "driver", what: "passes", minutes: 1 });
    const headers = { "content-type": "application/json" };
    const { status } = await fetch(`${this.world.url}/api/trainings`, { method: "POST", headers, body });
    assert.equal(status, 201);
    return this.sql("select count(*) from trainings");
  }

  /** Commits another heading of the page; gives the commit. */
  change(text: string): Promise<string> {
    return this.world.release("templates/index.html", (page) => page.replace("<h1>", `<h1>${text} `));
  }

  /** Commits what takes five seconds more to build, however fast the machine; gives the commit. */
  slowChange(text: string): Promise<string> {
    return this.world.release("Dockerfile", (file) =>
      file.replace(/(?:RUN sleep .*\n)?(?=COPY \. \.\n)/, `RUN sleep 5 && echo "${text}"\n`),
    );
  }

  /** Sets a plain value of the stack's configuration. */
  async configure(key: string, value: string): Promise<void> {
    await pulumiOk(this.world.stack, ["config", "set", "--path", key, value]);
  }

  /** Sets a secret of the stack's configuration. */
  async configureSecret(key: string, input: string): Promise<void> {
    await pulumiOk(this.world.stack, ["config", "set", "--path", "--secret", key], { input });
  }

  /** `pulumi preview`, whatever its end. */
  preview(...args: string[]): Promise<Outcome> {
    return pulumi(this.world.stack, ["preview", ...args]);
  }

  /** `pulumi up`, whatever its end. */
  up(...args: string[]): Promise<Outcome> {
    return pulumi(this.world.stack, ["up", "--yes", "--skip-preview", ...args]);
  }

  /** An operator's command, whatever its end. */
  operate(command: string, ...args: string[]): ReturnType<typeof operate> {
    return operate(this.world.stack, command, args);
  }

  /** An operator's command that must succeed; gives what it says. */
  async ok(command: string, ...args: string[]): Promise<string> {
    const { exitCode, output } = await this.operate(command, ...args);
    assert.equal(exitCode, 0, output);
    return output;
  }

  /** Waits until a release has begun to build its image. */
  async untilBuilding(): Promise<void> {
    await this.untilServerRuns("docker build");
  }

  /** Waits until a swap is under way. */
  async untilSwapping(): Promise<void> {
    await this.untilServerRuns("bin/swap-bot.sh guard$");
  }

  /** Waits until Docker's own check has run too, which comes half a minute after a release. */
  async untilDockerCallsItHealthy(): Promise<void> {
    const health = ["docker", "inspect", "-f", "{{.State.Health.Status}}", "training_bot"];
    await eventually(async () => (await this.world.onServer(...health)) === "healthy", "a healthy bot", 60);
  }

  private async untilServerRuns(what: string): Promise<void> {
    await eventually(() => this.world.onServer("pgrep", "-f", what), `${what} on the server`, 60);
  }

  /** What visitors see while something is done, and a chat too unless told otherwise; logged as well. */
  async during(
    what: string,
    action: () => Promise<unknown>,
    { hasChat = true }: { hasChat?: boolean } = {},
  ): Promise<Seen> {
    const { telegram, secrets } = this.world;
    const load = startLoad(this.world, telegram, { token: secrets.telegramToken, hasChat });
    const began = Date.now();
    let seen: Seen;
    try {
      await sleep(BEFORE);
      await action();
      await sleep(AFTER);
    } finally {
      seen = await load.stop();
    }
    const took = ((Date.now() - began - BEFORE - AFTER) / 1000).toFixed(1);
    console.log(
      `      ${what}: ${took} s, ${seen.failed.length} of ${seen.requests} requests failed, ${seen.resent} resent, slowest ${seen.slowestSeconds.toFixed(1)} s, ` +
        `${seen.overlaps} overlaps, ${seen.lost} of ${seen.messages} messages lost, ${seen.doubled} doubled`,
    );
    return seen;
  }
}

/** Fails if a visitor or a chat noticed anything: a failed request, a lost message, a second poller. */
export function assertUnnoticed(
  seen: Seen,
  { doubled = 0, resent = 0, unanswered = 0, handovers = [] }: Allowed = {},
): void {
  assert.ok(seen.requests > 25, "there was a load");
  const failed = failures(seen.visits.filter((visit) => !isDropped(visit, handovers)));
  const isUnanswered = (line: string) => /(POST after \d+ ms: status 503|ms: aborted)$/.test(line);
  assert.deepEqual(
    failed.filter((line) => !isUnanswered(line)),
    [],
  );
  assert.ok(failed.length <= unanswered, failed.join("\n"));
  assert.deepEqual([seen.overlaps, seen.lost], [0, 0]);
  assert.ok(seen.doubled <= doubled, `${seen.doubled} answers came twice`);
  assert.ok(seen.resent <= resent, `${seen.resent} requests were resent`);
}

/** Fails unless a command was refused with this sentence, without a stack trace. */
export function assertRefused({ exitCode, output }: Outcome, sentence: RegExp): void {
  assert.notEqual(exitCode, 0, output);
  assert.match(output.replaceAll(/\s+/g, " "), sentence);
  assert.doesNotMatch(output, /^\s+at .*:\d+:\d+/m, "no stack trace");
}
