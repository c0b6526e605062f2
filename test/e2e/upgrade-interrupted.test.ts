import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cutConnections } from "../../sandbox/server.ts";
import { eventually } from "./eventually.ts";
import { BOT_FAILS_ON_15, UpgradeDriver } from "./upgrade-driver.ts";
import { unchanged } from "./world.ts";

describe("an upgrade of PostgreSQL that fails or is interrupted @slow", function () {
  this.timeout(300_000);
  let bot: UpgradeDriver;

  before(async () => {
    bot = await UpgradeDriver.create("upgrade-interrupted");
  });

  after(() => bot.world.close());

  beforeEach(() => bot.start13());

  it("goes back when the bot does not get healthy on it", async () => {
    await bot.admin(BOT_FAILS_ON_15);
    const { exitCode, output } = await bot.upgrade("15");
    await bot.admin("DROP EVENT TRIGGER only_13; DROP FUNCTION only_13");
    assert.equal(exitCode, 1, output);
    assert.match(output, /broken on purpose/);
    assert.match(
      output,
      /The upgrade failed: The bot does not get healthy on PostgreSQL 15\. PostgreSQL 13 runs as before\.$/m,
    );
    await bot.runsAsBefore();
  });

  for (const stage of ["trying", "stopping", "switching"]) {
    it(`goes back by itself when it is killed on the server while ${stage}`, () => bot.isKilled(stage));
  }

  it("goes back when the connection is cut in the middle of the switch", async () => {
    const outcome = bot.upgrade("15");
    await eventually(() => bot.isSwitching(), "the switch", 60);
    await cutConnections(bot.world.server);
    const { exitCode, output } = await outcome;
    assert.equal(exitCode, 1, output);
    assert.match(output, /PostgreSQL 13 runs as before\.$/m);
    await bot.runsAsBefore();
    assert.ok(await unchanged(bot.world.stack));
  });

  it("goes back by itself when the operator's machine is gone in the middle of the switch, and --recover takes its lock", async () => {
    const child = begin();
    const before = await bot.sh("docker inspect -f '{{.Id}}' training_bot_db");
    await eventually(
      async () =>
        (await bot.sh("docker inspect -f '{{.Id}}' training_bot_db 2>/dev/null || true")) !== before,
      "the end of the old container",
      90,
    );
    assert.ok(await bot.isSwitching());
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await eventually(
      async () => !(await bot.isSwitching()) && (await fetch(bot.world.url)).ok,
      "the bot",
      60,
    );
    await bot.runsAsBefore();
    // Cron backs up whatever runs, before an operator comes back.
    await bot.ok("backup");
    const blocked = await bot.upgrade("15");
    assert.equal(blocked.exitCode, 3, blocked.output);
    await bot.ok("deploy", "--recover");
    await bot.runsAsBefore();
  });

  /** The command in a process group of its own, which can be killed as a whole. */
  function begin() {
    const { stack } = bot.world;
    return spawn("./delivery", ["database", "upgrade", "15"], {
      cwd: stack.project,
      env: { ...process.env, ...stack.env, PULUMI_STACK: stack.name },
      stdio: "ignore",
      detached: true,
    });
  }
});
