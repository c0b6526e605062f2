import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { WorkflowDriver } from "./workflow-driver.ts";

describe("the workflows of a release, run", function () {
  this.timeout(600_000);
  let bot: WorkflowDriver;

  before(async () => {
    bot = await WorkflowDriver.create("workflows");
  });

  after(() => bot.close());

  afterEach("has spoken with GitHub only as GitHub describes it", () => {
    assert.deepEqual(bot.github.violations, []);
  });

  it("the inputs of a run by hand reach no shell", async () => {
    const reached = join(bot.world.directory, "reached");
    const commits = ["; rm -rf /", `$(touch ${reached})`, `\`touch ${reached}\``, "3f78685\n3f78685"];
    const hostile: [name: string, value: string][] = [
      ...[...commits, "a".repeat(5000)].map((value): [string, string] => ["commit", value]),
      ["lines", `100; touch ${reached}`],
      ["lines", `$(touch ${reached})`],
      ["lines", "5\n5"],
    ];
    for (const [name, value] of hostile) {
      const { isGreen, log } = await bot.byHand({ action: "rollback", [name]: value });
      assert.ok(!isGreen, log);
      assert.match(log, /Failure - Main Check the inputs/);
      assert.doesNotMatch(log, /Main actions\/checkout/);
    }
    assert.ok(!existsSync(reached));
  });

  it("a broken release is taken back, the job red, its log shown", async () => {
    const good = await bot.running();
    const broken = await bot.world.release("Dockerfile", (text) =>
      text.replace(/^CMD .*/m, `CMD ["python", "-c", "raise SystemExit('broken on purpose')"]`),
    );
    const { isGreen, log } = await bot.push();
    await bot.world.release("Dockerfile", (text) => text.replace(/^CMD .*/m, 'CMD ["python", "main.py"]'));
    assert.ok(!isGreen);
    assert.match(log, /Success - Main Run the bot's tests/);
    assert.match(log, /broken on purpose/);
    assert.match(log, new RegExp(`deploying ${broken.slice(0, 7)} to production`));
    assert.match(log, new RegExp(`; ${good.slice(0, 7)} is back\\.`));
    assert.match(log, /Failure - Main Deploy/);
    assert.match(log, /Success - Main Logs/);
    assert.equal(await bot.running(), good);
  });

  it("a push with a fault that flake8 finds deploys nothing", async () => {
    const before = await bot.running();
    await bot.world.release("main.py", (text) => `import this_is_not_used\n${text}`);
    const { isGreen, log } = await bot.push();
    await bot.world.release("main.py", (text) => text.replace("import this_is_not_used\n", ""));
    assert.ok(!isGreen);
    assert.match(log, /Failure - Main Lint/);
    assert.doesNotMatch(log, /Main Deploy/);
    assert.equal(await bot.running(), before);
  });

  it("what a push may not, to go back, a run by hand does", async () => {
    const older = await bot.nextCommit();
    const newer = await bot.nextCommit();
    await bot.release();
    const refused = await bot.push({ at: older });
    assert.ok(!refused.isGreen);
    assert.match(refused.log, /Failure - Main Refuse what is older than what runs/);
    assert.doesNotMatch(refused.log, /Main Deploy/);
    assert.equal(await bot.running(), newer);
    const forced = await bot.byHand({ action: "deploy", commit: older });
    assert.ok(forced.isGreen, forced.log);
    assert.match(forced.log, new RegExp(`deploying ${older.slice(0, 7)} to production`));
    assert.match(forced.log, /deploy: \S+ is live/);
    assert.equal(await bot.running(), older);
  });

  it("a push is tested, deployed and healthy", async () => {
    const commit = await bot.nextCommit();
    const { isGreen, log } = await bot.push();
    assert.ok(isGreen, log);
    assert.match(log, /Success - Main Run the bot's tests/);
    assert.match(log, /deploy: \S+ is live/);
    assert.match(log, /Success - Main Health check/);
    assert.equal(await bot.running(), commit);
  });
});
