import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { eventually } from "./eventually.ts";
import { BOT, CHAT, INFRA, STACK_FILE, WorkflowDriver } from "./workflow-driver.ts";

describe("the workflows of every day and of a pull request, run", function () {
  this.timeout(600_000);
  let bot: WorkflowDriver;

  before(async () => {
    bot = await WorkflowDriver.create("workflows-daily");
  });

  after(() => bot.close());

  afterEach("has spoken with GitHub only as GitHub describes it", () => {
    assert.deepEqual(bot.github.violations, []);
  });

  it("a run by hand rolls back, restarts the bot and shows its log", async () => {
    const before = await bot.running();
    await bot.nextCommit();
    await bot.release();
    const back = await bot.byHand({ action: "rollback" });
    assert.ok(back.isGreen, back.log);
    assert.match(back.log, /rollback: \S+ is live/);
    assert.equal(await bot.running(), before);

    const since = await bot.startedAt();
    const again = await bot.byHand({ action: "restart" });
    assert.ok(again.isGreen, again.log);
    assert.match(again.log, /restart: training_bot is healthy again/);
    assert.match(again.log, /Success - Main Health check/);
    assert.notEqual(await bot.startedAt(), since);

    const now = await bot.startedAt();
    const shown = await bot.byHand({ action: "logs", lines: "3" });
    assert.ok(shown.isGreen, shown.log);
    const [, said = ""] = shown.log.split("Main Do it");
    const lines = said.split("\n").filter((line) => / \| ./.test(line));
    assert.equal(lines.length, 3, said);
    assert.doesNotMatch(shown.log, /Main Health check/);
    assert.equal(await bot.startedAt(), now);
  });

  it("a backup is made where there is no recent one", async () => {
    const made = () => bot.world.onServer("sh", "-c", "ls /home/deploy/backups/*.sql.gz 2>/dev/null || true");
    // The release above has made one of its own, which is not the daily one.
    await bot.world.onServer("sh", "-c", "rm -f /home/deploy/backups/*.sql.gz*");
    const first = await bot.start("schedule", "backup.yml");
    assert.ok(first.isGreen, first.log);
    const file = await made();
    assert.match(file, /^\/home\/deploy\/backups\/hockey_db_\S+\.sql\.gz$/);
    assert.match(first.log, new RegExp(`${basename(file)} .* yes`));
    assert.match(first.log, /Kept for 30 days, and the newest 7 verified ones/);
    const second = await bot.start("schedule", "backup.yml");
    assert.ok(second.isGreen, second.log);
    assert.equal(await made(), file);
  });

  it("an unhealthy server has one issue and sends one alert, until it has recovered", async () => {
    const permissions = { issues: "write" } as const;
    const issues = () => bot.github.issues.filter(({ isPull }) => !isPull);
    const told = () => bot.world.telegram.sent().filter(({ chat }) => chat.id === CHAT);
    await bot.world.onServer("docker", "stop", "training_bot");
    const red = await bot.start("schedule", "health-check.yml", { permissions });
    await bot.world.onServer("docker", "start", "training_bot");
    assert.ok(!red.isGreen);
    assert.deepEqual(
      issues().map(({ title, state, labels }) => [title, state, labels]),
      [["The server is unhealthy", "open", ["server-health"]]],
    );
    assert.match(issues()[0]?.body ?? "", /training_bot +has stopped/);
    // Others read an issue; what the bot writes into its log is not for them.
    assert.doesNotMatch(issues()[0]?.body ?? "", /log lines of| \| |GET \/health/);
    assert.equal(told().length, 1);
    assert.match(told()[0]?.text ?? "", /^training_bot on 127\.0\.0\.1\nbroken: training_bot has stopped/);

    await eventually(() => bot.running(), "the bot answers again");
    const green = await bot.start("schedule", "health-check.yml", { permissions });
    assert.ok(green.isGreen, green.log);
    assert.deepEqual(
      issues().map(({ state, comments }) => [state, comments.length]),
      [["closed", 1]],
    );
    assert.match(issues()[0]?.comments[0]?.body ?? "", /no drift/);
    assert.equal(told().length, 2);
    assert.match(told()[1]?.text ?? "", /\nrecovered: training_bot, after/);
  });

  it("a pull request has one comment with the preview, which is kept up to date", async () => {
    const pull = {
      number: 77,
      title: "A change",
      body: "",
      state: "open",
      labels: [],
      comments: [],
      author: "me",
    };
    bot.github.issues.push({ ...pull, isPull: true });
    const comments = () => bot.github.issues.find(({ number }) => number === 77)?.comments ?? [];
    const head = await bot.world.repository.head();
    const payload = (owner: string) => ({
      pull_request: {
        number: 77,
        head: { ref: "change", sha: "0".repeat(40), repo: { full_name: `${owner}/hockey` } },
        base: { ref: "main", sha: head, repo: { full_name: BOT } },
      },
    });
    const permissions = { pull_requests: "write" } as const;
    const preview = (owner = "example") =>
      bot.start("pull_request_target", "preview.yml", { payload: payload(owner), permissions });

    const forked = await preview("stranger");
    assert.ok(forked.isGreen, forked.log);
    assert.match(forked.log, /A fork's pull request gets no secrets, so there is no preview of it/);
    assert.doesNotMatch(forked.log, /Main actions\/checkout/);
    assert.deepEqual(comments(), []);
    // The program has a repository of its own, so the pull request brings nothing.
    const asked = () => bot.github.requests.filter(({ path }) => /contents|compare|environments/.test(path));

    const first = await preview();
    assert.ok(first.isGreen, first.log);
    assert.equal(comments().length, 1);
    assert.match(comments()[0]?.body ?? "", /## What an update would change\n```diff\n[^]*\d+ unchanged/);
    const { id } = comments()[0] ?? {};

    const infra = join(bot.repositories, INFRA);
    const file = join(infra, STACK_FILE);
    const before = readFileSync(file, "utf8");
    writeFileSync(file, before.replace("environment:\n", "environment:\n      LOG_LEVEL: debug\n"));
    await bot.commitProgram();
    const second = await preview();
    writeFileSync(file, before);
    await bot.commitProgram();
    assert.ok(second.isGreen, second.log);
    assert.deepEqual(
      comments().map((one) => one.id),
      [id],
    );
    assert.match(comments()[0]?.body ?? "", /bot-container/);
    assert.match(comments()[0]?.body ?? "", /1 to replace/);
    assert.deepEqual(asked(), []);
  });
});
