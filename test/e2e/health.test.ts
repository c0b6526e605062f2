import assert from "node:assert/strict";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { cutConnections, serverExec } from "../../sandbox/server.ts";
import type { Stack } from "../../sandbox/stack.ts";
import { BotDriver } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { operate } from "./operator.ts";
import { createWorld, freshClone, up, type World } from "./world.ts";

const CHAT = "4242";
const HEALTH = "/home/deploy/hockey/health";

describe("health that is never silent", () => {
  let world: World;
  let bot: BotDriver;
  let receiver: Server;
  let colleague: Stack;
  const posted: { path: string; body: string }[] = [];

  before(async () => {
    world = await createWorld("health");
    bot = new BotDriver(world);
    receiver = createServer((request, response) => {
      void text(request).then((body) => {
        posted.push({ path: request.url ?? "", body });
        response.end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, world.server.gateway, resolve));
    await bot.configure("backups.remote", "/home/deploy/copies");
    await bot.configure("alerts.telegramChat", CHAT);
    await bot.configure("alerts.telegramApiUrl", world.telegram.url);
    await bot.configure("alerts.webhook", `${address()}/hook`);
    await bot.configure("alerts.pingUrl", `${address()}/ping`);
    await up(world);
    colleague = await freshClone(world, "colleague");
    await mkdir(`${colleague.project}/.ssh`, { recursive: true });
    await copyFile(`${world.stack.project}/Pulumi.test.yaml`, `${colleague.project}/Pulumi.test.yaml`);
  });

  after(async () => {
    receiver.close();
    await world.close();
  });

  const address = () => `http://${world.server.gateway}:${(receiver.address() as AddressInfo).port}`;
  const told = () => world.telegram.sent().filter(({ chat }) => String(chat.id) === CHAT);
  const hooks = () => posted.filter(({ path }) => path === "/hook");
  const pings = () => posted.filter(({ path }) => path.startsWith("/ping")).map(({ path }) => path);

  /** What is sent while something is done. */
  async function newsOf(action: () => Promise<unknown>) {
    const [messages, posts, calls] = [told().length, hooks().length, pings().length];
    await action();
    return {
      messages: told()
        .slice(messages)
        .map((message) => message.text),
      posts: hooks().slice(posts),
      pings: pings().slice(calls),
    };
  }

  /** Runs the line that cron is given, as cron does. */
  async function asCron(): Promise<void> {
    const line = /^\*\/30 \* \* \* \* (.*)$/m.exec(await bot.sh("crontab -l"))?.[1] ?? assert.fail();
    const environment = ["env", "-i", "HOME=/home/deploy", "LOGNAME=deploy", "PATH=/usr/bin:/bin"];
    await serverExec(world.server, [...environment, "sh", "-c", `${line}; true`], { user: "deploy" });
  }

  const health = (...args: string[]) => bot.operate("health", ...args);
  const theirs = () => operate(colleague, "health");
  const untilWell = () =>
    eventually(async () => [0, 1].includes((await health("--no-alert")).exitCode), "a healthy bot", 60);

  it("says that all is well, and pings", async () => {
    await untilWell();
    const news = await newsOf(asCron);
    assert.deepEqual(news, { messages: [], posts: [], pings: ["/ping"] });
    const { exitCode, output } = await health();
    assert.equal(exitCode, 0, output);
    for (const check of ["docker +answers", "copies", "memory", "reboot", "cron +runs", "clock +agrees"])
      assert.match(output, new RegExp(`^ok +${check}`, "m"));
  });

  it("is told once by the server's own cron and no second time by two machines, and so is its end", async () => {
    await world.onServer("docker", "stop", "training_bot");
    const broken = await newsOf(async () => {
      await asCron();
      const [{ exitCode, output }, other] = await Promise.all([health(), theirs()]);
      assert.deepEqual([exitCode, other.exitCode], [2, 2], output + other.output);
      assert.match(output, /^critical +training_bot +has stopped; start it with: \.\/delivery restart$/m);
      await asCron();
    });
    assert.equal(broken.messages.length, 1, broken.messages.join("\n"));
    assert.match(broken.messages[0] ?? "", /^broken: training_bot has stopped; .* \(since 20\d\d-.* UTC\)$/m);
    assert.deepEqual([broken.posts.length, broken.pings], [1, ["/ping/fail", "/ping/fail"]]);

    await bot.ok("restart");
    const recovered = await newsOf(async () => {
      await Promise.all([health(), theirs(), asCron()]);
      await asCron();
    });
    assert.equal(recovered.messages.length, 1, recovered.messages.join("\n"));
    assert.match(recovered.messages[0] ?? "", /^recovered: training_bot, after \d+ (s|min): runs/m);
    assert.deepEqual([recovered.posts.length, recovered.pings], [1, ["/ping", "/ping"]]);
  });

  it("shows few log lines before the table, and none with --no-logs", async () => {
    await world.onServer("docker", "stop", "training_bot_db");
    const { exitCode, output } = await health("--no-alert");
    const { output: bare } = await health("--no-alert", "--no-logs");
    await world.onServer("docker", "start", "training_bot_db");
    assert.equal(exitCode, 2, output);
    assert.match(
      output,
      /The last log lines of training_bot_db:[^]*database system is shut down[^]*^critical +database/m,
    );
    assert.doesNotMatch(output, /"level":"info"/);
    assert.ok(output.split("\n").length < 100, output);
    assert.doesNotMatch(bare, /log lines/);
    assert.match(bare, /^critical +database +does not accept connections$/m);
    await untilWell();
    await asCron();
  });

  it("says of a gate that a failed restart has left closed what is true", async () => {
    await bot.sh(`docker exec training_bot_proxy sh -c 'echo 4194305-1 >/gate/closed'`);
    const { exitCode, output } = await health("--no-alert", "--no-logs");
    assert.equal(exitCode, 2, output);
    assert.match(
      output,
      /^critical +page +requests are held, for \d+ s, and nothing is under way that would let them in/m,
    );
    await bot.ok("restart");
    await untilWell();
  });

  it("tells of a warning that has lasted, and of its end, once each", async () => {
    await world.onServer(
      "sh",
      "-c",
      "echo linux-image-amd64 >/run/reboot-required.pkgs; touch /run/reboot-required",
    );
    const fresh = await newsOf(asCron);
    assert.deepEqual([fresh.messages, fresh.pings], [[], ["/ping"]]);
    const { exitCode, output } = await health();
    assert.equal(exitCode, 1, output);
    assert.match(output, /^warning +reboot +is needed since .*, for linux-image-amd64$/m);
    // A day later.
    const [, since = ""] = /^bad\treboot\t(\d+) /m.exec(await world.onServer("cat", `${HEALTH}/known`)) ?? [];
    await bot.sh(`sed -i 's/^bad\treboot\t[0-9]*/bad\treboot\t${Number(since) - 86_400}/' ${HEALTH}/known`);
    const lasting = await newsOf(async () => {
      await asCron();
      await health();
      await asCron();
    });
    assert.equal(lasting.messages.length, 1);
    assert.match(lasting.messages[0] ?? "", /^warning: reboot is needed since/m);
    await world.onServer("sh", "-c", "rm /run/reboot-required*");
    const end = await newsOf(async () => {
      await health();
      await asCron();
    });
    assert.equal(end.messages.length, 1);
    assert.match(end.messages[0] ?? "", /^recovered: reboot, after 24 h: is not needed$/m);
  });

  it("says that Docker had to start the bot again", async () => {
    const since = await bot.startedAt();
    await bot.sh("docker exec training_bot sh -c 'kill 1'");
    await eventually(
      async () => (await bot.startedAt()) !== since && (await bot.running()),
      "the bot is back",
    );
    const { output } = await health("--no-alert", "--no-logs");
    assert.match(output, /^warning +training_bot +runs, but Docker had to start it again 1 times since 20/m);
    // What is started by hand counts anew.
    await bot.ok("restart");
    assert.match((await health("--no-alert", "--no-logs")).output, /^ok +training_bot +runs/m);
  });

  it("sees from outside that cron has stopped", async () => {
    // An hour ago, by the seconds since the boot, which here is that of this machine.
    await bot.sh(`read -r now _ </proc/uptime; echo $((\${now%.*} - 3601)) >${HEALTH}/cron`);
    const news = await newsOf(async () => {
      const { exitCode, output } = await health();
      assert.equal(exitCode, 2, output);
      assert.match(output, /^critical +cron +cron does not run on the server: no check since/m);
    });
    assert.equal(news.messages.length, 1);
    const end = await newsOf(asCron);
    assert.match(end.messages[0] ?? "", /^recovered: cron, after/m);
  });

  it("does not let a failing channel hide the failure, nor the other channel, and tells it later", async () => {
    await bot.sh(`sed -i 's#^webhook=.*#webhook=http://127.0.0.1:1/#' ${HEALTH}/../backups/settings`);
    await world.onServer("docker", "stop", "training_bot_proxy");
    const news = await newsOf(async () => {
      const { exitCode, output } = await health();
      assert.equal(exitCode, 2);
      assert.match(output, /^warning: The alert could not be sent by the webhook: Failed to connect/m);
      await asCron();
    });
    assert.deepEqual([news.messages.length, news.posts.length], [1, 0]);
    assert.match(await bot.sh(`cat ${HEALTH}/log`), /^The alert could not be sent by the webhook: /m);
    await bot.sh(`sed -i 's#^webhook=.*#webhook=${address()}/hook#' ${HEALTH}/../backups/settings`);
    const later = await newsOf(asCron);
    assert.deepEqual([later.messages.length, later.posts.length], [0, 1]);
    await world.onServer("docker", "start", "training_bot_proxy");
    await untilWell();
    await health();
  });

  it("tells once that the server does not answer, and that it does again, whichever machine looks", async () => {
    const forget = () => rm(`${world.stack.project}/.ssh/unreachable.json`, { force: true });
    await world.onServer("systemctl", "stop", "ssh.socket", "ssh");
    await cutConnections(world.server);
    const lost = await newsOf(async () => {
      assert.equal((await health()).exitCode, 3);
      await forget();
      assert.equal((await theirs()).exitCode, 3);
    });
    await world.onServer("systemctl", "start", "ssh");
    await untilWell();
    assert.equal(lost.messages.length, 1, lost.messages.join("\n"));
    assert.match(lost.messages[0] ?? "", /^broken: server The server does not answer at .* \(since/m);
    const back = await newsOf(async () => {
      await theirs();
      await health();
    });
    assert.equal(back.messages.length, 1, back.messages.join("\n"));
    assert.match(back.messages[0] ?? "", /^recovered: server, which could not be asked since/m);
    assert.deepEqual([lost.posts.length, back.posts.length], [1, 1]);
  });

  it("takes little time", async () => {
    const { exitCode, seconds, output } = await health();
    assert.equal(exitCode, 0, output);
    console.log(`      health: ${seconds.toFixed(1)} s`);
  });
});
