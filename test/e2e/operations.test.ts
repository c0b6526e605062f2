import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { deploymentFile, type HistoryEntry, historyFiles } from "../../operator/file-backend.ts";
import { parseHistory } from "../../operator/pulumi.ts";
import { type ExportedState, parseState } from "../../operator/release/state.ts";
import { projectName, type Stack as OperatorStack } from "../../operator/stack.ts";
import { run } from "../../sandbox/docker.ts";
import { pulumiOk } from "../../sandbox/stack.ts";
import { BotDriver } from "./bot-driver.ts";
import { operate } from "./operator.ts";
import { createWorld, unchanged, up, type World } from "./world.ts";

const KNOWN = "/home/deploy/hockey/health/known";

describe("operating the bot", () => {
  let world: World;
  let bot: BotDriver;

  before(async () => {
    world = await createWorld("operations");
    bot = new BotDriver(world);
    await bot.configure("backups.remote", "/home/deploy/copies");
    await up(world);
  });

  after(() => world.close());

  /** A lock as Pulumi leaves it, of a process that runs or of one that is gone. */
  const lock = async (pid: number) => {
    await mkdir(bot.locks, { recursive: true });
    const content = { pid, username: "colleague", hostname: hostname(), timestamp: new Date().toISOString() };
    const file = join(bot.locks, "11111111-1111-4111-8111-111111111111.json");
    await writeFile(file, JSON.stringify(content));
    return () => rm(file, { force: true });
  };

  it("tells how it is used, and what its exit statuses mean", async () => {
    for (const command of ["deploy", "rollback", "restart", "logs", "status", "health", "drift", "history"]) {
      const { exitCode, stdout } = await bot.operate(command, "--help");
      assert.equal(exitCode, 0);
      assert.match(stdout, /--stack[\s\S]*Exit status:\n {2}0 +done/);
    }
    const { exitCode, output } = await bot.operate("restart", "--what");
    assert.equal(exitCode, 64);
    assert.match(output, /^error: There is no option --what; see \.\/delivery restart --help$/m);
  });

  it("deploys the newest commit, lists it, and has nothing to do a second time", async () => {
    const before = await bot.running();
    const commit = await bot.change("Deployed");
    const { exitCode, output, seconds } = await bot.operate("deploy");
    assert.equal(exitCode, 0, output);
    assert.match(
      output,
      new RegExp(`deploy: ${commit.slice(0, 7)} is live \\(before: ${before.slice(0, 7)}\\), [0-9.]+ s`),
    );

    const { stdout } = await bot.operate("history", "2");
    const [head = "", newest = "", ...rest] = stdout.split("\n");
    assert.match(head, /^when \(UTC\) +commit +what, by whom/);
    assert.match(newest, new RegExp(`${commit.slice(0, 7)} +deploy .*, by \\S+ +\\d+ s +succeeded$`));
    assert.equal(rest.length, 1);
    const entries = JSON.parse((await bot.operate("history", "--json")).stdout) as {
      commit: string;
      config: object;
    }[];
    assert.ok(entries.length >= 2 && entries.every(({ commit }) => /^[0-9a-f]{40}$/.test(commit)));
    assert.ok(!JSON.stringify(entries).includes(world.secrets.secretKey ?? "?"));

    const again = await bot.operate("deploy");
    assert.match(again.output, new RegExp(`deploy: ${commit.slice(0, 7)} was live already, `));
    console.log(`      deploy: ${seconds.toFixed(1)} s, with nothing to do: ${again.seconds.toFixed(1)} s`);
    assert.ok(await unchanged(world.stack), "the stack's file has the commit that runs");
  });

  it("reads the same in the backend's files as Pulumi's command line tells", async () => {
    const { stack } = world;
    const here = { name: stack.name } as OperatorStack;
    // Another kind of entry than the first update's.
    await pulumiOk(stack, ["refresh", "--yes", "--skip-preview"]);
    const exported = JSON.parse(await pulumiOk(stack, ["stack", "export"])) as ExportedState;
    const told = JSON.parse(await pulumiOk(stack, ["stack", "history", "--json"])) as HistoryEntry[];
    const { PULUMI_BACKEND_URL: before } = process.env;
    process.env.PULUMI_BACKEND_URL = stack.env.PULUMI_BACKEND_URL;
    try {
      const deployment = deploymentFile(here) as ExportedState["deployment"];
      assert.deepEqual(parseState({ deployment }), parseState(exported));
      assert.ok(parseState(exported).containers.length === 3 && told.length > 1);
      assert.deepEqual(
        parseHistory(historyFiles(here, 100) ?? [], projectName()),
        parseHistory(told, projectName()),
      );
    } finally {
      if (before === undefined) delete process.env.PULUMI_BACKEND_URL;
      else process.env.PULUMI_BACKEND_URL = before;
    }
  });

  it("rolls back with the configuration of then, and refuses hashes that it does not know", async () => {
    const environment = () => world.onServer("docker", "exec", "training_bot", "env");
    const before = await bot.running();
    await bot.configure("app.environment.COLOUR", "green");
    const after = await bot.change("Green");
    await bot.ok("deploy");
    const { exitCode, output, seconds } = await bot.operate("rollback");
    assert.equal(exitCode, 0, output);
    console.log(`      rollback: ${seconds.toFixed(1)} s`);
    assert.equal(await bot.running(), before);
    assert.doesNotMatch(await environment(), /^COLOUR=/m);
    assert.doesNotMatch(output, /building/);
    assert.ok(await unchanged(world.stack));

    // To an earlier release, where there is one; never to the one that was left.
    const again = await bot.operate("rollback");
    assert.notEqual(await bot.running(), after, again.output);
    if (again.exitCode !== 0)
      assert.match(
        again.output,
        new RegExp(`; to run ${after.slice(0, 7)} again: ./delivery rollback ${after.slice(0, 7)}$`, "m"),
      );

    await bot.ok("rollback", after.slice(0, 8));
    assert.equal(await bot.running(), after);
    assert.match(await environment(), /^COLOUR=green$/m);

    const unknown = await bot.operate("rollback", "0123456789");
    assert.equal(unknown.exitCode, 1);
    assert.match(
      unknown.output,
      new RegExp(
        `What can be rolled back to:[\\s\\S]*${before}[\\s\\S]*\nerror: No release of 0123456789 is known\\.`,
      ),
    );
    assert.equal(await bot.running(), after);
  });

  it("refuses to deploy a commit that there is not", async () => {
    const { exitCode, output } = await bot.operate("deploy", "no-such-branch");
    assert.equal(exitCode, 1);
    assert.match(
      output,
      /^error: The repository \/srv\/git\/hockey\.git has no branch, tag or commit no-such-branch/m,
    );
  });

  it("works over SSH alone while the state is locked, and while its backend is down", async () => {
    const unlock = await lock(process.pid);
    try {
      await bot.ok("restart");
      const others = [["logs", "5"], ["logs", "--db"], ["logs", "--proxy"], ["status"], ["health"]];
      await Promise.all(others.map(([command = "", ...args]) => bot.ok(command, ...args)));
      const { exitCode, output } = await bot.operate("drift", "--wait", "1");
      assert.equal(exitCode, 3, output);
      assert.match(output, /locked by colleague@/);
    } finally {
      await unlock();
    }
    const down = {
      PULUMI_BACKEND_URL: "s3://nowhere?endpoint=127.0.0.1:1&disableSSL=true&region=none&awssdk=v2",
    };
    const alone = async (command: string, ...args: string[]) => {
      const { exitCode, output } = await operate(world.stack, command, args, down);
      assert.equal(exitCode, 0, `${command}: ${output}`);
      return output;
    };
    await alone("restart");
    const [logs, status] = await Promise.all([alone("logs", "5"), alone("status"), alone("health")]);
    assert.equal(logs.trim().split("\n").length, 5);
    assert.match(status, /The stack's history cannot be read/);
  });

  it("shows everything on one screen, in plain text", async () => {
    await bot.ok("deploy");
    await bot.untilDockerCallsItHealthy();
    const { output } = await bot.operate("status");
    assert.ok(!output.includes("\u001b"), "no colours");
    const commit = (await bot.running()).slice(0, 7);
    assert.match(
      output,
      new RegExp(`^training_bot +running +healthy +\\d+ \\w+ ago +${commit} +0 +[\\d.]+MiB / 512MiB$`, "m"),
    );
    for (const check of [
      "/health +200",
      "database +accepts",
      "poller +Telegram answered",
      "backup",
      "disk",
    ]) {
      assert.match(output, new RegExp(`^ok +${check}`, "m"));
    }
    assert.match(output, /(deploy|rollback) [0-9a-f]{7}, by/);
  });

  it("shows it as a page, in a real browser", async () => {
    const file = join(world.directory, "status.html");
    assert.equal((await bot.operate("status", "--html", file)).exitCode, 0);
    const page = await readFile(file, "utf8");
    assert.doesNotMatch(page, /(src|href)=/, "self-contained");
    const browser = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
    if (browser === undefined) {
      console.log("      not looked at: there is no chromium on this machine");
      return;
    }
    const options = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      // A file is all that it is to open.
      ...[
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
      `--user-data-dir=${world.directory}/browser`,
    ];
    const dom = await run(browser, [
      ...options,
      "--virtual-time-budget=1000",
      "--dump-dom",
      `file://${file}`,
    ]);
    assert.match(dom, /<td class="ok">ok<\/td><td>training_bot_db<\/td>/);
    const picture = join(world.directory, "status.png");
    await run(browser, [...options, "--window-size=1100,1000", `--screenshot=${picture}`, `file://${file}`]);
    assert.ok((await readFile(picture)).length > 10_000);
  });

  it("notices a bot that is healthy but deaf", async () => {
    const [main, health] = await Promise.all(
      ["main.py", "health.py"].map((file) => readFile(join(world.repository.directory, file), "utf8")),
    );
    const heard = await bot.running();
    await world.release("main.py", (text) =>
      text.replace("for worker in (totals, poller) if worker", "for worker in (totals,)"),
    );
    await world.release("health.py", (text) => text.replace("if poller is None:", "if True:"));
    await bot.ok("deploy");
    world.telegram.sendAsUser({ text: "/help" });
    assert.equal((await bot.operate("health")).exitCode, 0, "one look is not enough to say");
    const [, since = ""] = /^pending\t(\d+)$/m.exec(await world.onServer("cat", KNOWN)) ?? [];
    await world.onServer("sed", "-i", `s/^pending.*/pending\\t${Number(since) - 180}/`, KNOWN);
    const { exitCode, output } = await bot.operate("health");
    assert.equal(exitCode, 2, output);
    assert.match(output, /^critical +poller +leaves 1 updates at Telegram, since/m);
    await world.release("main.py", () => main ?? "");
    await world.release("health.py", () => health ?? "");
    await bot.ok("rollback", heard);
    assert.equal((await bot.operate("health")).exitCode, 0);
  });
});
