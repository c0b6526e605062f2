import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { rebootServer } from "../../sandbox/server.ts";
import { initStack, pulumi, pulumiOk, randomToken } from "../../sandbox/stack.ts";
import { BotDriver, CONTAINERS } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { createWorld, freshClone, unchanged, up, type World } from "./world.ts";

/** How long a command took, in words for the log. */
const seconds = (since: number) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

describe("the stack on a server", () => {
  let world: World;
  let bot: BotDriver;
  /** What the first update said, and all that ran on the server meanwhile, arguments included. */
  const first = { output: "", processes: "" };

  before(async () => {
    world = await createWorld("stack");
    bot = new BotDriver(world);
    const before = await connections();
    const began = Date.now();
    const watching = bot.sh("until [ -e /tmp/is-up ]; do ps -eo args; sleep 0.05; done | sort -u", "root");
    try {
      first.output = await up(world);
    } finally {
      await bot.sh("touch /tmp/is-up", "root");
      first.processes = await watching;
    }
    console.log(`      first up: ${seconds(began)}, ${(await connections()) - before} SSH connections`);
  });

  after(() => world.close());

  beforeEach("is up, whatever the test before has taken down", async () => {
    if ((await bot.containers()).length < CONTAINERS.length) await up(world);
  });

  const connections = async () =>
    Number(await world.onServer("sh", "-c", "journalctl -u ssh | grep -c 'Accepted publickey'"));

  it("has come up on an empty server, and showed no secret meanwhile", async () => {
    assert.match(first.output, /\+ \d+ created/);
    assert.match(first.processes, /docker build/);
    for (const [key, secret] of Object.entries(world.secrets)) {
      assert.ok(!first.processes.includes(secret), `${key} was in a process list`);
      assert.ok(!first.output.includes(secret), `${key} was in pulumi's output`);
    }
    assert.deepEqual(await bot.containers(), CONTAINERS);
  });

  it("gives the URL, the running commit, the image and the names as outputs", async () => {
    const outputs = JSON.parse(await pulumiOk(world.stack, ["stack", "output", "--json"])) as Record<
      string,
      unknown
    >;
    assert.equal(outputs.commit, await bot.running());
    assert.equal(outputs.url, world.url);
    assert.match(String(outputs.imageId), /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(outputs.containers, CONTAINERS);
  });

  it("serves the page through the proxy", async () => {
    const page = await fetch(world.url);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /Hockey training log/);
    assert.deepEqual((await bot.health()).status, "ok");
  });

  it("answers a message on Telegram and stores it", async () => {
    world.telegram.sendAsUser({ text: "/train slapshots 30" });
    await eventually(() => world.telegram.sent().some(({ text }) => text.includes("slapshots")), "an answer");
    assert.equal(await bot.sql("select minutes from trainings where what = 'slapshots'"), "30");
  });

  it("polls Telegram with one poller", async () => {
    await eventually(() => world.telegram.polls().length > 0, "a poll");
    assert.equal(world.telegram.overlaps(), 0);
  });

  it("has nothing to do right after", async () => {
    const began = Date.now();
    assert.ok(await unchanged(world.stack));
    console.log(`      preview: ${seconds(began)}`);
    const before = await connections();
    const again = Date.now();
    await pulumiOk(world.stack, ["up", "--yes", "--skip-preview", "--expect-no-changes"]);
    console.log(
      `      up with nothing to do: ${seconds(again)}, ${(await connections()) - before} SSH connections`,
    );
  });

  it("sees no drift where there is none", async () => {
    const { exitCode, output } = await pulumi(world.stack, [
      "refresh",
      "--preview-only",
      "--expect-no-changes",
    ]);
    assert.equal(exitCode, 0, output);
  });

  it("hardens the bot: no privileges, bounded, not root", async () => {
    const format = "{{json .HostConfig}}";
    const host = JSON.parse(
      await world.onServer("docker", "inspect", "-f", format, "training_bot"),
    ) as Record<string, unknown>;
    assert.deepEqual(host.CapDrop, ["ALL"]);
    assert.deepEqual(host.SecurityOpt, ["no-new-privileges"]);
    assert.equal(host.PidsLimit, 256);
    assert.equal(host.Memory, 512 * 1024 * 1024);
    assert.equal(host.Init, true);
    assert.notEqual(await world.onServer("docker", "exec", "training_bot", "id", "-u"), "0");
  });

  it("publishes nothing but the proxy and ssh", async () => {
    const listening = await world.onServer(
      "sh",
      "-c",
      "ss -Hltn | awk '{print $4}' | grep -v '^127\\.' | sed 's/.*://' | sort -un",
    );
    assert.deepEqual(listening.split("\n"), ["22", new URL(world.url).port]);
  });

  it("keeps every secret out of the state, the image and what others may read", async () => {
    const state = join(world.directory, "state");
    const files = (await readdir(state, { recursive: true, withFileTypes: true })).filter((file) =>
      file.isFile(),
    );
    assert.ok(files.length > 0);
    const clear = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), "utf8")));
    const image = `training_bot:${await bot.running()}`;
    const history = await world.onServer("docker", "history", "--no-trunc", image);
    const readable = "find /home /srv /tmp /etc /var/log -type f -perm -o+r -size -1000k -print0 2>/dev/null";
    for (const [key, secret] of Object.entries(world.secrets)) {
      const line = secret.split("\n").find((text) => text.length > 20 && !text.startsWith("-----")) ?? secret;
      for (const text of clear) {
        assert.ok(
          !text.includes(line) && !text.includes(JSON.stringify(secret).slice(1, -1)),
          `${key} is in the state`,
        );
      }
      assert.ok(!history.includes(line), `${key} is in the image`);
      const found = await world.onServer("sh", "-c", `${readable} | xargs -0 grep -lF -- '${line}' || true`);
      assert.equal(found, "", `${key} is readable`);
    }
    const mode = await world.onServer("stat", "-c", "%a %U", "/home/deploy/hockey/secrets/postgres_password");
    assert.equal(mode, "600 deploy");
  });

  it("releases a new commit: built, swapped, the data kept, and of older images the newest", async () => {
    const tags = async () =>
      (await world.onServer("docker", "image", "ls", "--format", "{{.Tag}}", "training_bot")).split("\n");
    const running = await bot.running();
    const rows = await bot.train();
    const older = ["a", "b", "c", "d", "e", "f", "g"].map((digit) => digit.repeat(40));
    await bot.sh(
      `for tag in ${older.join(" ")}; do tar -cT /dev/null | docker import - training_bot:$tag; done`,
    );
    const commit = await bot.change("Ice");
    await bot.configure("commit", commit);
    const began = Date.now();
    await up(world);
    console.log(`      release: ${seconds(began)}`);
    assert.equal(await bot.running(), commit);
    assert.match(await (await fetch(world.url)).text(), /<h1>Ice /);
    assert.deepEqual((await tags()).sort(), [...older.slice(2), running, commit].sort());
    assert.equal(await bot.sql("select count(*) from trainings"), rows);
    assert.equal(world.telegram.overlaps(), 0);
    assert.ok(await unchanged(world.stack));
  });

  for (const [what, ...command] of [
    ["stopped by hand", "docker", "stop", "training_bot"],
    ["removed by hand", "docker", "rm", "--force", "training_bot"],
  ] as [string, ...string[]][]) {
    it(`sees and repairs a bot that was ${what}`, async () => {
      await world.onServer(...command);
      const drift = await pulumi(world.stack, ["refresh", "--preview-only", "--expect-no-changes"]);
      assert.equal(drift.exitCode, 7, drift.output);
      await pulumiOk(world.stack, ["up", "--yes", "--skip-preview", "--refresh"]);
      assert.equal((await bot.health()).status, "ok");
      assert.ok(await unchanged(world.stack));
    });
  }

  it("is backed up, listed and restored by what an operator types", async () => {
    const rows = await bot.train();
    // After a reboot cron may be making one, and refuses a second meanwhile.
    await eventually(() => bot.ok("backup"), "a backup", 60);
    await bot.sql("delete from trainings");
    const listed = await bot.operate("backups");
    assert.match(listed.output, /hockey_db_\d{4}-\d\d-\d\d_\d{6}\.sql\.gz .* yes/);
    const asked = await bot.operate("restore", "latest");
    assert.equal(asked.exitCode, 1);
    assert.match(asked.output, /Nothing was restored; answer yes, or pass --yes\./);
    await bot.ok("restore", "latest", "--yes");
    assert.equal(await bot.sql("select count(*) from trainings"), rows);
    assert.equal((await bot.health()).status, "ok");
  });

  it("comes back by itself after a reboot, with its data", async () => {
    const rows = await bot.train();
    await rebootServer(world.server);
    const began = Date.now();
    await eventually(async () => (await bot.health()).status === "ok", "the page after a reboot", 60);
    console.log(`      back after a reboot: ${seconds(began)} after sshd and Docker answer`);
    assert.equal(await bot.sql("select count(*) from trainings"), rows);
    assert.ok(await unchanged(world.stack));
  });

  it("obeys a fresh clone elsewhere, with the passphrase alone", async () => {
    const clone = await freshClone(world, "elsewhere/clone");
    // The commit of a later release is the one thing that the first machine has not pushed.
    await pulumiOk(clone, ["config", "set", "commit", await bot.running()]);
    // The program puts the deploy key where the refresh of an update looks for it.
    await pulumiOk(clone, ["preview", "--expect-no-changes"]);
    await pulumiOk(clone, ["up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes"]);
  });

  it("takes the key from ssh-agent where the configuration has none", async () => {
    const clone = await freshClone(world, "elsewhere/agent");
    await pulumiOk(clone, ["config", "set", "commit", await bot.running()]);
    await pulumiOk(clone, ["config", "rm", "sshPrivateKey"]);
    const socket = join(world.directory, "agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      const env = { SSH_AUTH_SOCK: socket };
      await eventually(() => existsSync(socket), "ssh-agent");
      await run("ssh-add", ["-q", world.server.privateKeyFile], { env });
      await pulumiOk(clone, ["up", "--yes", "--skip-preview"], { env });
      assert.equal((await bot.health()).status, "ok");
      const { exitCode, output } = await pulumi(clone, ["preview", "--expect-no-changes"], { env });
      assert.equal(exitCode, 0, output);
    } finally {
      agent.kill();
    }
    await up(world);
  });

  it("shares the server with another bot, but no directory", async () => {
    const { server, repository, telegram } = world;
    const other = { ...world.stack, name: "other" };
    const target = { server, repository, telegramUrl: telegram.url, telegramToken: randomToken() };
    await initStack(other, { ...target, proxyPort: 5001 });
    const set = (key: string, value: string) => pulumiOk(other, ["config", "set", "--path", key, value]);
    const preview = async () => (await pulumi(other, ["preview"])).output.replaceAll(/\s+/g, " ");
    await set("name", "other_bot");
    assert.match(
      await preview(),
      /The directory \/home\/deploy\/hockey on the server is that of the stack hockey\/test; give this one another with: pulumi config set --path server\.deployPath \/home\/deploy\/hockey-other_bot/,
    );
    await set("server.deployPath", "/home/deploy/hockey-other_bot");
    assert.match(
      await preview(),
      /The directory \/home\/deploy\/backups on the server has the backups of the stack hockey\/test; .* server\.backupPath \/home\/deploy\/backups-other_bot/,
    );
    await set("server.backupPath", "/home/deploy/backups-other_bot");
    const { exitCode, output } = await pulumi(other, ["preview"]);
    assert.equal(exitCode, 0, output);
    await rm(join(world.stack.project, "Pulumi.other.yaml"));
  });

  it("does not take the data volume with a destroy; the documented second step does", async () => {
    const rows = await bot.train();
    const refused = await pulumi(world.stack, ["destroy", "--yes", "--skip-preview"]);
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.output, /protect/);
    await pulumiOk(world.stack, ["destroy", "--yes", "--skip-preview", "--exclude-protected"]);
    const volumes = () => world.onServer("docker", "volume", "ls", "--quiet");
    assert.match(await volumes(), /^training_bot_db_data$/m);
    assert.equal(await world.onServer("docker", "ps", "--all", "--quiet"), "");
    const find = "find /home/deploy/hockey -path */repository.git -prune -o -type f -print";
    const files = await world.onServer(...find.split(" "));
    const kept = /\/(stack|\.build-lock|[a-z]+\.log|proven|[a-z]+\.json)$/;
    assert.deepEqual(
      files.split("\n").filter((file) => !kept.test(file)),
      [],
      "of the stack's files only its records stay, and its claim as long as it has the data",
    );
    await up(world);
    assert.equal(await bot.sql("select count(*) from trainings"), rows, "the data was there for the next up");

    await pulumiOk(world.stack, ["state", "unprotect", "--all", "--yes"]);
    await pulumiOk(world.stack, ["destroy", "--yes", "--skip-preview"]);
    assert.match(await volumes(), /^training_bot_db_data$/m);
    const claims = ["/home/deploy/hockey/stack", "/home/deploy/backups/.stack"];
    const left = await world.onServer("sh", "-c", `ls -d ${claims.join(" ")} 2>/dev/null || true`);
    // A test before may have made a backup.
    assert.ok(left === "" || left === claims[1], left);
    await world.onServer("docker", "volume", "rm", "training_bot_db_data");
    assert.doesNotMatch(await volumes(), /training_bot_db_data/);
  });
});
