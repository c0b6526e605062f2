import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import type { AddressInfo } from "node:net";
import { execa } from "execa";
import { secretTexts } from "../../infra/model/secret-texts.ts";
import { pulumiOk } from "../../sandbox/stack.ts";
import { BotDriver } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { operate } from "./operator.ts";
import { createWorld, up, type World } from "./world.ts";

const TEXTS = "/home/deploy/hockey/redaction/texts";
const WEATHER_KEY = 'it\'s 100% "ours" & gone/äöü';

/** Python that says each secret in many forms, then fails as a library does that cannot reach Telegram. */
const FAILS = `import json, os, sys, urllib.parse
for name in ("TELEGRAM_TOKEN", "SECRET_KEY", "POSTGRES_PASSWORD", "DATABASE_URL", "WEATHER_KEY"):
    value = os.environ[name]
    print(name, value, repr(value), json.dumps(value), urllib.parse.quote(value), urllib.parse.quote_plus(value), file=sys.stderr)
raise ConnectionError("https://api.telegram.org/bot" + os.environ["TELEGRAM_TOKEN"] + "/getMe cannot be reached")
`;

/** The same in a bot that runs: it says its token each time it is asked how it is, and in the reasons why it is not well. */
const TALKS = `    import os, sys
    request = "GET /bot" + os.environ["TELEGRAM_TOKEN"] + "/getMe"
    print(request, file=sys.stderr)
    reasons = [f"{reason}, {request}" for reason in reasons]
    status =`;

describe("the secrets of a bot that prints them", () => {
  let world: World;
  let bot: BotDriver;
  let hook: Server;
  let texts: string[];
  const posted: { text: string }[] = [];

  before(async () => {
    world = await createWorld("redaction");
    bot = new BotDriver(world);
    hook = createServer((request, response) => {
      void json(request).then((body) => {
        posted.push(body as { text: string });
        response.end();
      });
    });
    await new Promise<void>((resolve) => hook.listen(0, world.server.gateway, resolve));
    const webhook = `http://${world.server.gateway}:${(hook.address() as AddressInfo).port}/hook/of-our-own`;
    const pingUrl = "http://127.0.0.1:1/ping/of-our-own";
    await bot.configureSecret("environment.WEATHER_KEY", WEATHER_KEY);
    await bot.configureSecret("alerts.webhook", webhook);
    await bot.configureSecret("backups.pingUrl", pingUrl);
    await bot.configure("alerts.telegramChat", "4242");
    await bot.configure("alerts.telegramApiUrl", world.telegram.url);
    const { postgresPassword = "", telegramToken = "", secretKey = "" } = world.secrets;
    texts = secretTexts([postgresPassword, telegramToken, secretKey, WEATHER_KEY, webhook, pingUrl]);
    await up(world);
  });

  after(async () => {
    hook.close();
    await world.close();
  });

  /** Fails where a text has a secret in any form. */
  function assertNone(where: string, text: string): void {
    for (const secret of texts) assert.ok(!text.includes(secret), `${where} has ${secret}:\n${text}`);
  }

  /** The same, of a text that had some. */
  function assertRedacted(where: string, text: string): void {
    assertNone(where, text);
    assert.match(text, /\/bot\[secret\]\/getMe/, `${where}: ${text}`);
  }

  describe("at its start", () => {
    let sound: string;
    let failing: string;

    before(async () => {
      sound = await bot.running();
      const main = await readFile(join(world.repository.directory, "main.py"), "utf8");
      failing = await world.release("main.py", (text) => FAILS + text);
      await world.release("main.py", () => main);
    });

    it("are in nothing that ./delivery deploy says", async () => {
      const { exitCode, output } = await bot.operate("deploy", failing);
      assert.equal(exitCode, 1, output);
      assertRedacted("deploy", output);
      assert.match(output, /^POSTGRES_PASSWORD \[secret\] '\[secret\]' "\[secret\]" \[secret\] \[secret\]$/m);
      assert.match(output, /^error: The deploy of .*: ConnectionError: .*\/bot\[secret\]\/getMe cannot be /m);
      assert.equal(await bot.running(), sound);
    });

    it("are in nothing that a build says", async () => {
      const dockerfile = await readFile(join(world.repository.directory, "Dockerfile"), "utf8");
      const commit = await world.release("Dockerfile", (text) =>
        text.replace("COPY . .", `RUN echo /bot${world.secrets.telegramToken}/getMe && false\nCOPY . .`),
      );
      await world.release("Dockerfile", () => dockerfile);
      const { exitCode, output } = await bot.operate("deploy", commit);
      assert.equal(exitCode, 1);
      assertRedacted("deploy", output);
    });

    it("are in nothing that Pulumi itself says, keeps as its state or remembers", async () => {
      await bot.configure("commit", failing);
      const { exitCode, output } = await bot.up("--diff");
      assert.notEqual(exitCode, 0);
      assertRedacted("pulumi up", output);
      await bot.configure("commit", sound);
      assertNone("pulumi preview", (await bot.preview("--diff")).output);
      await up(world);
      for (const args of [["history", "--json"], ["export"], ["output", "--json"]])
        assertNone(args.join(" "), await pulumiOk(world.stack, ["stack", ...args]));
      assertNone("./delivery history", await bot.ok("history", "--json"));
      const state = join(world.directory, "state");
      const files = await readdir(state, { recursive: true, withFileTypes: true });
      const read = files
        .filter((file) => file.isFile())
        .map((file) => readFile(join(file.parentPath, file.name), "utf8"));
      assert.ok(read.length > 5);
      for (const text of await Promise.all(read)) assertNone("the state", text);
    });
  });

  describe("while it runs", () => {
    before(async () => {
      const commit = await world.release("health.py", (text) => text.replace(/^ {4}status =/m, TALKS));
      await bot.ok("deploy", commit);
      await eventually(async () => (await logged()).includes("/getMe"), "a bot that talks");
    });

    const logged = () => world.onServer("sh", "-c", "docker logs --tail 20 training_bot 2>&1");

    it("are in its log on the server, and in none that is shown", async () => {
      assert.ok((await logged()).includes(world.secrets.telegramToken ?? "?"));
      assertRedacted("logs", await bot.ok("logs"));
    });

    it("are in no log that is followed", async () => {
      const env = { ...world.stack.env, PULUMI_STACK: world.stack.name };
      const following = execa("./delivery", ["logs", "0", "-f"], {
        ...{ cwd: world.stack.project, env, all: true, reject: false, buffer: false },
      });
      let seen = "";
      following.all.on("data", (chunk: Buffer) => (seen += chunk.toString()));
      try {
        await eventually(async () => {
          await bot.health();
          return seen.includes("/getMe");
        }, "a line as it comes");
      } finally {
        following.kill();
        await following;
      }
      assertRedacted("logs -f", seen);
    });

    it("are in no status, health, alert or restart that fails", async () => {
      await world.onServer("docker", "stop", "training_bot_db");
      const status = await bot.ok("status");
      assertRedacted("status", status);
      assertNone("status --json", decoded(await bot.ok("status", "--json")));
      const { exitCode, output } = await bot.operate("health");
      assert.equal(exitCode, 2, output);
      assertRedacted("health", output);
      assert.doesNotMatch(output, /warning: The alert could not/);
      const sent = world.telegram.sent().filter(({ chat }) => Number(chat.id) === 4242);
      for (const { text } of [...sent, ...posted]) assertRedacted("an alert", text);
      assert.deepEqual([sent.length, posted.length], [1, 1]);
      const restart = await bot.operate("restart");
      await world.onServer("docker", "start", "training_bot_db");
      assert.equal(restart.exitCode, 1);
      assertNone("restart", restart.output);
      await eventually(async () => (await fetch(`${world.url}/health`)).ok, "a healthy bot", 60);
    });

    it("are asked of Pulumi only where something needs them", async () => {
      const without = { PULUMI_CONFIG_PASSPHRASE_FILE: join(world.directory, "nowhere") };
      for (const [command = "", ...args] of [
        ["status"],
        ["logs", "5"],
        ["history"],
        ["backups"],
        ["restart"],
      ]) {
        const { exitCode, output } = await operate(world.stack, command, args, without);
        assert.equal(exitCode, 0, `${command}: ${output}`);
      }
    });

    it("are closed to others on the server", async () => {
      const modes = await world.onServer("stat", "-c", "%a %U", TEXTS, join(TEXTS, ".."));
      assert.equal(modes, "600 deploy\n700 deploy");
      const mounts = await world.onServer("docker", "inspect", "-f", "{{json .Mounts}}", "training_bot_db");
      assert.doesNotMatch(mounts, /redaction/);
    });

    it("are left out of logs on a server that an earlier version has set up, too", async () => {
      await world.onServer("mv", TEXTS, `${TEXTS}.away`);
      try {
        const logs = await bot.ok("logs");
        const [, part = "?"] = (world.secrets.telegramToken ?? "").split(":");
        assert.ok(!logs.includes(part));
        assert.match(logs, /\/bot\d+:\[secret\]\/getMe/);
      } finally {
        await world.onServer("mv", `${TEXTS}.away`, TEXTS);
      }
    });
  });

  it("must not be where everything has to be read: a sentence says so", async () => {
    const { host } = world.server;
    await bot.configureSecret("server.host", host);
    const sentence = /server(\.host)?: is encrypted, but has to be read without the passphrase; set it again/;
    const refused = [await bot.operate("status"), await bot.preview()];
    await bot.configure("server.host", host);
    for (const { exitCode, output } of refused) {
      assert.notEqual(exitCode, 0);
      assert.match(output.replaceAll(/\s+/g, " "), sentence);
    }
  });
});

/** A report, whose texts come in base64, with them as they are. */
const decoded = (report: string) =>
  report.replace(/"(health|page)": "([^"]*)"/g, (_, key: string, base64: string) => {
    return `${key}: ${Buffer.from(base64, "base64").toString()}`;
  });
