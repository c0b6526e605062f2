import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { cutConnections, rebootServer } from "../../sandbox/server.ts";
import { pulumi, pulumiOk } from "../../sandbox/stack.ts";
import { BotDriver, CONTAINERS } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { createWorld, unchanged, up, type World } from "./world.ts";

describe("what got out of order, and what was interrupted, is put right", () => {
  let world: World;
  let bot: BotDriver;

  before(async () => {
    world = await createWorld("repairs");
    bot = new BotDriver(world);
    await up(world);
  });

  after(() => world.close());

  it("finds a changed file and a missing container, and says what repairs them", async () => {
    await world.onServer(
      "sh",
      "-c",
      "echo >>/home/deploy/hockey/bin/backup-db.sh; rm /home/deploy/hockey/bin/set-password.sh",
    );
    const { exitCode, output } = await bot.operate("drift");
    assert.equal(exitCode, 2, output);
    assert.match(output, /^changed bin\/backup-db\.sh/m);
    assert.match(output, /^missing bin\/set-password\.sh/m);
    assert.match(output, /repair them with: pulumi up$/m);
    await up(world);
    assert.equal((await bot.operate("drift")).exitCode, 0);
    assert.ok(await unchanged(world.stack));

    await world.onServer("docker", "rm", "--force", "training_bot");
    assert.equal((await bot.operate("drift")).exitCode, 2);
    const repaired = await bot.operate("deploy");
    assert.equal(repaired.exitCode, 0, repaired.output);
    assert.match(repaired.output, /bot-container is gone from the server/);
    assert.equal((await bot.operate("drift")).exitCode, 0);
  });

  it("removes a bot that a failed update has left behind, but no container that the stack did not make", async () => {
    const forget = () =>
      pulumiOk(world.stack, [
        ...["state", "delete", "--yes", "--target-dependents"],
        "urn:pulumi:test::hockey::hockey:index:Bot$docker:index/container:Container::bot-container",
      ]);
    await forget();
    const repaired = await bot.operate("deploy");
    assert.equal(repaired.exitCode, 0, repaired.output);
    assert.match(repaired.output, /the container training_bot is left over/);
    assert.deepEqual(await bot.containers(), CONTAINERS);

    await forget();
    await world.onServer("docker", "rm", "--force", "training_bot");
    await world.onServer("docker", "run", "--detach", "--name", "training_bot", "caddy:2", "sleep", "1000");
    const refused = await bot.operate("deploy");
    assert.equal(refused.exitCode, 1, refused.output);
    assert.match(
      refused.output,
      /a container training_bot that this stack did not make; remove or rename it/,
    );
    assert.equal(
      await world.onServer("docker", "inspect", "-f", "{{.Config.Image}}", "training_bot"),
      "caddy:2",
    );
    await world.onServer("docker", "rm", "--force", "training_bot");
    const again = await bot.operate("deploy");
    assert.equal(again.exitCode, 0, again.output);
    assert.ok(await unchanged(world.stack));
  });

  it("starts a database that was stopped by hand, and waits until the bot is well on it", async () => {
    const commit = await bot.running();
    await world.onServer("docker", "stop", "training_bot_db");
    const restarted = await bot.operate("restart");
    assert.equal(restarted.exitCode, 1, restarted.output);
    assert.match(
      restarted.output,
      /^error: The restart failed: The container training_bot does not answer at port 5000 after 13 s \(app\.startSeconds\)/m,
    );
    assert.match(await bot.ok("deploy", commit), /deploy: \S+ is live/);
    assert.equal((await bot.health()).status, "ok");
    assert.ok(await unchanged(world.stack));
  });

  it("builds an image anew that was removed under us", async () => {
    const commit = await bot.running();
    await world.onServer("docker", "rm", "--force", "training_bot");
    await world.onServer("docker", "rmi", "--force", `training_bot:${commit}`);
    const output = await bot.ok("deploy", commit);
    assert.match(output, /built in/);
    assert.equal(await bot.running(), commit);
  });

  it("refuses a second deploy by name while the first is under way, or waits for it and then goes by its end", async () => {
    const good = await bot.slowChange("Two at once");
    const first = bot.operate("deploy", good);
    await bot.untilBuilding();
    const refused = bot.operate("deploy", "--wait", "0");
    const bad = await world.release("main.py", (text) => `raise SystemExit("broken on purpose")\n${text}`);
    const second = bot.operate("deploy", bad);
    await world.release("main.py", (text) => text.replace(/^raise .*\n/, ""));
    const { exitCode, output } = await refused;
    assert.equal(exitCode, 3, output);
    assert.match(
      output,
      /^error: The stack is locked by \S+@\S+ \(deploy [0-9a-f]{7}, by \S+; process \d+, since .* UTC\), which still runs/m,
    );
    assert.equal((await first).exitCode, 0);
    const failed = await second;
    assert.equal(failed.exitCode, 1, failed.output);
    const [before = "", after] = failed.output.split(/^waiting up to \d+ s for .*$/m);
    assert.ok(after !== undefined, failed.output);
    assert.doesNotMatch(before, /differ/, "an update under way is not taken for one that was killed");
    assert.equal(await bot.running(), good, "the release that was made meanwhile is the last good one");
    assert.deepEqual(await bot.containers(), CONTAINERS);
  });

  it("recovers from a kill -9 while Pulumi writes its state, which is whole all the same", async () => {
    const stacks = join(world.directory, "state", ".pulumi", "stacks", "hockey");
    // Pulumi empties this file before it fills it again.
    await truncate(join(stacks, "test.json.attrs"));
    const refused = await bot.operate("deploy");
    assert.equal(refused.exitCode, 3, refused.output);
    assert.match(refused.output, /^error: An earlier update was killed in the middle, .* deploy --recover$/m);
    await bot.ok("deploy", "--recover");
    assert.ok(await unchanged(world.stack));
  });

  for (const [when, until, alter, slow] of [
    ["in the middle of the swap", "untilSwapping", "change", ""],
    ["while it builds", "untilBuilding", "slowChange", " @slow"],
  ] as const) {
    it(`recovers from a kill -9 ${when}, with one step${slow}`, async () => {
      const commit = await bot[alter](`Killed ${when}`);
      await pulumiOk(world.stack, ["config", "set", "commit", commit]);
      const killed = spawn("pulumi", ["up", "--yes", "--skip-preview", "--stack", "test"], {
        cwd: world.stack.project,
        env: { ...process.env, ...world.stack.env },
        stdio: "ignore",
      });
      await bot[until]();
      killed.kill("SIGKILL");
      const program = () => run("pgrep", ["--full", `root-directory ${world.stack.project}`]).catch(() => "");
      await eventually(async () => (await program()) === "", "the end of the program that it ran");
      const refused = await bot.operate("deploy");
      assert.equal(refused.exitCode, 3, refused.output);
      assert.match(
        refused.output,
        /An earlier update was killed in the middle: .* continue with: \.\/delivery deploy --recover/,
      );
      const { exitCode, output } = await bot.operate("deploy", "--recover");
      assert.equal(exitCode, 0, output);
      assert.equal(await bot.running(), commit);
      assert.deepEqual(await bot.containers(), CONTAINERS);
      assert.deepEqual(await readdir(bot.locks).catch(() => []), []);
      assert.ok(await unchanged(world.stack));
    });

    it(`ends in good order when SSH is cut ${when}${slow}`, async () => {
      const before = await bot.running();
      const commit = await bot[alter](`Cut ${when}`);
      const outcome = bot.operate("deploy");
      await bot[until]();
      await cutConnections(world.server);
      const { exitCode, output } = await outcome;
      console.log(`      deploy ended with ${exitCode}`);
      assert.equal(await bot.running(), exitCode === 0 ? commit : before, output);
      const again = await bot.operate("deploy");
      assert.equal(again.exitCode, 0, again.output);
      assert.equal(await bot.running(), commit);
      assert.deepEqual(await bot.containers(), CONTAINERS);
      assert.ok(await unchanged(world.stack));
    });
  }

  for (const [off, words, slow] of [
    ["+1d", "ahead of", ""],
    ["-1d", "behind", " @slow"],
  ] as const) {
    it(`releases on a server whose clock is a day ${words} ours, and health says so${slow}`, async () => {
      // With none, a clock that is ahead would find one missing.
      assert.equal((await bot.operate("backup")).exitCode, 0);
      // Every shell of the deploy user gets that clock; the kernel's is this machine's own.
      const library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
      const drop = "/etc/ssh/sshd_config.d/clock.conf";
      const setting = `SetEnv LD_PRELOAD=${library} FAKETIME=${off}`;
      await world.onServer("sh", "-c", `echo '${setting}' >${drop}; systemctl restart ssh`);
      await cutConnections(world.server);
      try {
        const commit = await bot.change(`Clock ${off}`);
        const deployed = await bot.operate("deploy");
        assert.equal(deployed.exitCode, 0, deployed.output);
        assert.equal(await bot.running(), commit);
        const { exitCode, output } = await bot.operate("health", "--no-alert");
        assert.equal(exitCode, 1, output);
        assert.match(output, new RegExp(`^warning +clock +is 86[34]\\d\\d s ${words} this machine's`, "m"));
        assert.equal((await bot.operate("drift")).exitCode, 0);
      } finally {
        await world.onServer("sh", "-c", `rm ${drop}; systemctl restart ssh`);
        await cutConnections(world.server);
      }
    });
  }

  it("survives a reboot of the server in the middle", async () => {
    const commit = await bot.slowChange("Reboot");
    const outcome = bot.operate("deploy");
    await bot.untilBuilding();
    await rebootServer(world.server);
    await outcome;
    await eventually(async () => (await fetch(world.url)).ok, "the page", 60);
    const { exitCode, output } = await bot.operate("deploy");
    assert.equal(exitCode, 0, output);
    assert.equal(await bot.running(), commit);
    assert.deepEqual(await bot.containers(), CONTAINERS);
    assert.equal((await pulumi(world.stack, ["preview", "--expect-no-changes"])).exitCode, 0);
  });
});
