import assert from "node:assert/strict";
import { chmodSync, rmSync } from "node:fs";
import { uptime } from "node:os";
import { join } from "node:path";
import { CheckHealth, fact, inspect, NAMES, RUNNING, TOKEN } from "./check-health-driver.ts";
import { Receiver } from "./receiver.ts";

describe("a health check on the server that tells", function () {
  this.timeout(20_000);
  let server: CheckHealth;
  let receiver: Receiver;
  const knowing = {
    ...RUNNING,
    ...inspect(fact(NAMES[0], { token: TOKEN }), ...NAMES.slice(1).map((name) => fact(name))),
  };
  const chat = `/bot${TOKEN}/sendMessage`;

  beforeEach(async () => {
    server = await CheckHealth.start();
    receiver = await Receiver.start();
    server.channels({
      ...{ telegramChat: "@our_chat", telegramApiUrl: receiver.url, webhook: `${receiver.url}/hook?a="b` },
      alertPingUrl: `${receiver.url}/ping`,
    });
    server.answer = "E";
  });
  afterEach(async () => {
    server.close();
    await receiver.close();
  });

  const told = () => receiver.to(chat).map((body) => new URLSearchParams(body).get("text") ?? "");
  const database = (texts: string[]) => texts.filter((text) => /^broken: database/m.test(text)).length;

  it("sends each channel what is broken, once, and then that it has recovered", async () => {
    const first = await server.run("tell", knowing, {}, 'critical\toutside\t-\tno "name"\\\n');
    assert.deepEqual([first.unsent, first.stderr], [[], ""]);
    await server.run("tell", knowing);
    assert.equal(told().length, 1);
    assert.match(
      told()[0] ?? "",
      /^training_bot on bot\.example\.org\n(.*\n)*broken: database does not accept connections \(since 20/,
    );
    assert.match(told()[0] ?? "", /^broken: outside no "name"\\ \(since/m);
    assert.equal(new URLSearchParams(receiver.to(chat)[0]).get("chat_id"), "@our_chat");
    const [posted = "{}"] = receiver.to('/hook?a="b');
    const hook = JSON.parse(posted) as { text: string; broken: object[]; mended: string[] };
    assert.equal(hook.text, told()[0]);
    assert.deepEqual(
      hook.broken.find((one) => "check" in one && one.check === "database"),
      { check: "database", level: "critical", text: "does not accept connections", container: NAMES[1] },
    );
    server.answer = "R";
    await server.run("tell", knowing);
    assert.match(
      told()[1] ?? "",
      /^training_bot on bot\.example\.org\nrecovered: database, after \d+ s: accepts connections$/,
    );
    assert.deepEqual((JSON.parse(receiver.to('/hook?a="b')[1] ?? "{}") as typeof hook).mended, ["database"]);
  });

  it("tells once, however many look at the same time", async () => {
    const looks = Array.from({ length: 4 }, (_, index) => server.run(index === 0 ? "cron" : "tell", knowing));
    await Promise.all(looks);
    assert.deepEqual([told().length, receiver.to('/hook?a="b').length], [1, 1]);
  });

  it("takes nothing for news that it has seen before another look that has told since", async () => {
    const later = `${Date.now()}000`;
    const known = `seen\t${later}\n`;
    server.write("deploy/health/known", known);
    const pause = { "info --format": "sleep 1; echo /" };
    // That look began while this one was under way.
    const began = server.run("tell", { ...knowing, ...pause });
    server.write("deploy/health/known", `seen\t${Date.now() + 600}000\n`);
    await began;
    assert.equal(told().length, 0);
    assert.match(server.read("deploy/health/known"), /^seen\t\d+\n$/);
    // A clock that was set back must not silence it for ever.
    server.write("deploy/health/known", `seen\t${Date.now() + 600_000}000\n`);
    await server.run("tell", knowing);
    assert.equal(told().length, 1);
  });

  it("tells a channel that failed at the next look, and the other one no second time", async () => {
    receiver.status = 500;
    const { unsent, stderr } = await server.run("tell", knowing);
    assert.deepEqual(unsent, ["telegram", "webhook"]);
    assert.match(stderr, /^The alert could not be sent by Telegram: it answered 500\.$/m);
    assert.match(stderr, /^The alert could not be sent by the webhook: it answered 500\.$/m);
    assert.ok(!stderr.includes(TOKEN));
    receiver.status = 200;
    server.channels({
      telegramChat: "5",
      telegramApiUrl: "http://127.0.0.1:1",
      webhook: `${receiver.url}/other`,
    });
    const other = await server.run("tell", knowing);
    assert.deepEqual(other.unsent, ["telegram"]);
    assert.match(
      other.stderr,
      /^The alert could not be sent by Telegram: Failed to connect to 127\.0\.0\.1 port 1/m,
    );
    assert.equal(receiver.to("/other").length, 1);
    server.channels({ telegramChat: "5", telegramApiUrl: receiver.url, webhook: `${receiver.url}/other` });
    await server.run("tell", knowing);
    assert.deepEqual([receiver.to("/other").length, database(told())], [1, 2]);
  });

  it("says that Telegram cannot be told where no container has the token, and takes the caller's", async () => {
    const { unsent, stderr } = await server.run("tell");
    assert.deepEqual(unsent, ["telegram"]);
    assert.equal(stderr, "The alert could not be sent by Telegram: the bot's token is out of reach.");
    const { unsent: then } = await server.run("tell", RUNNING, {}, `setting\ttelegramToken\t${TOKEN}\n`);
    assert.deepEqual([then, told().length], [[], 1]);
  });

  it("takes channels from the caller where the settings are of an earlier version, and from them otherwise", async () => {
    const mine = `setting\twebhook\t${receiver.url}/mine\n`;
    await server.run("tell", knowing, {}, mine);
    assert.deepEqual(receiver.to("/mine"), []);
    server.channels({ pingUrl: "" });
    server.write("deploy/health/known", "");
    await server.run("tell", knowing, {}, mine);
    assert.equal(receiver.to("/mine").length, 1);
  });

  it("counts the updates that wait at Telegram, and remembers since when", async () => {
    receiver.pending = 3;
    await server.run("tell", knowing, { BOT_API_URL: receiver.url });
    assert.match(server.read("deploy/health/known"), /^pending\t\d+$/m);
  });

  it("never has the token, or an address, in the arguments of a program", async () => {
    server.write("bin/curl", `#!/bin/sh\necho "$@" >>${server.root}/curl\nexec /usr/bin/curl "$@"\n`);
    chmodSync(join(server.root, "bin/curl"), 0o755);
    await server.run("cron", knowing, { BOT_API_URL: receiver.url });
    assert.equal(told().length, 1);
    assert.ok(server.read("curl").split("\n").length > 3);
    for (const secret of [TOKEN, "127.0.0.1", "hook", "ping"])
      assert.ok(!server.read("curl").includes(secret), secret);
  });

  it("pings after each run by cron, with /fail where something is critical, and logs what is not well", async () => {
    await server.run("cron", knowing);
    assert.match(
      receiver.to("/ping/fail")[0] ?? "",
      /^critical database training_bot_db does not accept connections$/m,
    );
    assert.deepEqual(receiver.to("/ping"), []);
    assert.match(server.read("deploy/health/log"), /^== 20\S+Z\n[^]*^critical\tdatabase\t/m);
    assert.doesNotMatch(server.read("deploy/health/log"), /^ok/m);
    assert.ok(Math.abs(Number(server.read("deploy/health/cron")) - uptime()) < 60);
    await server.run("tell", knowing);
    assert.equal(receiver.requests.filter(({ path }) => path.startsWith("/ping")).length, 1);
  });

  it("says so where it cannot remember, and sends nothing then", async () => {
    rmSync(join(server.root, "deploy"), { recursive: true });
    const { status, stderr } = await server.run("tell", knowing);
    assert.equal(status, 0);
    assert.match(
      stderr,
      /^Nothing can be remembered in \S+\/deploy\/health on the server, so no alert was sent; run/,
    );
  });
});
