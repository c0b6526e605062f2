import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { hostname } from "node:os";
import { join } from "node:path";
import type { AddressInfo } from "node:net";
import { run } from "../../sandbox/docker.ts";
import { cutConnections, rebootServer } from "../../sandbox/server.ts";
import { pulumi, pulumiOk } from "../../sandbox/stack.ts";
import { operate } from "./operator.ts";
import { createWorld, eventually, unchanged, up, type World } from "./world.ts";

const HEALTH = "/home/deploy/hockey/health.json";

describe("operating the bot", () => {
  let world: World;
  let first: string;
  let webhook: Server;
  const posted: { text: string; broken: { check: string }[]; mended: string[] }[] = [];

  before(async () => {
    world = await createWorld("operations");
    await up(world);
    first = await world.repository.head();
    webhook = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        posted.push(JSON.parse(body) as (typeof posted)[number]);
        response.end();
      });
    });
    await new Promise<void>((resolve) => webhook.listen(0, "127.0.0.1", resolve));
    const { port } = webhook.address() as AddressInfo;
    const alerts = {
      "alerts.telegramChat": "4242",
      "alerts.telegramApiUrl": world.telegram.url,
      "alerts.webhook": `http://127.0.0.1:${port}/alert`,
    };
    for (const [key, value] of Object.entries(alerts)) {
      await pulumiOk(world.stack, ["config", "set", "--path", key, value]);
    }
  });

  after(async () => {
    webhook.close();
    await world.close();
  });

  const operator = (command: string, ...args: string[]) => operate(world.stack, command, args);
  const running = async () =>
    ((await (await fetch(`${world.url}/health`)).json()) as { release: string }).release;
  const change = (text: string) =>
    world.release("templates/index.html", (page) => page.replace("<h1>", `<h1>${text} `));
  /** A commit whose image takes some seconds to build, however fast the machine. */
  const slowChange = (text: string) =>
    world.release("Dockerfile", (file) =>
      file.replace(/(?:RUN sleep .*\n)?(?=COPY \. \.\n)/, `RUN sleep 5 && echo "${text}"\n`),
    );
  const containers = async () =>
    (await world.onServer("docker", "ps", "--all", "--format", "{{.Names}}")).split("\n").sort();
  const ours = ["training_bot", "training_bot_db", "training_bot_proxy"];
  const locks = () => join(world.directory, "state", ".pulumi", "locks", "organization", "hockey", "test");
  /** A lock as Pulumi leaves it, of a process that runs or of one that is gone. */
  const lock = async (pid: number) => {
    await mkdir(locks(), { recursive: true });
    const content = { pid, username: "somebody", hostname: hostname(), timestamp: new Date().toISOString() };
    const file = join(locks(), "11111111-1111-4111-8111-111111111111.json");
    await writeFile(file, JSON.stringify(content));
    return () => rm(file, { force: true });
  };
  /** Starts a command and gives its end; meanwhile something can be done to it. */
  const begin = (command: string, ...args: string[]) => {
    const outcome = operator(command, ...args);
    return { outcome };
  };
  const untilServerRuns = (what: string) =>
    eventually(async () => (await world.onServer("pgrep", "-f", what)) !== "", `${what} on the server`, 60);

  it("tells how it is used, and what its exit statuses mean", async () => {
    for (const command of ["deploy", "rollback", "restart", "logs", "status", "health", "drift", "history"]) {
      const { exitCode, stdout } = await operator(command, "--help");
      assert.equal(exitCode, 0);
      assert.match(stdout, /--stack[\s\S]*Exit status:\n {2}0 {2}done/);
    }
    const { exitCode, output } = await operator("restart", "--what");
    assert.equal(exitCode, 64);
    assert.match(output, /^error: Unknown argument: what; see \.\/delivery restart --help$/m);
  });

  it("deploys the newest commit, and has nothing to do a second time", async () => {
    const commit = await change("Second");
    const { exitCode, output, seconds } = await operator("deploy");
    assert.equal(exitCode, 0, output);
    assert.match(
      output,
      new RegExp(`deploy: ${commit.slice(0, 7)} is live \\(before: ${first.slice(0, 7)}\\), [0-9.]+ s`),
    );
    const again = await operator("deploy");
    assert.match(again.output, /unchanged/);
    console.log(`      deploy: ${seconds.toFixed(1)} s, with nothing to do: ${again.seconds.toFixed(1)} s`);
    assert.ok(await unchanged(world.stack), "the stack's file has the commit that runs");
  });

  it("lists what was released", async () => {
    const { stdout } = await operator("history", "2");
    const [head = "", newest = "", ...rest] = stdout.split("\n");
    assert.match(head, /^when \(UTC\) +commit +what, by whom/);
    assert.match(
      newest,
      new RegExp(`${(await running()).slice(0, 7)} +deploy .*, by \\S+ +\\d+ s +succeeded$`),
    );
    assert.equal(rest.length, 1);
    const entries = JSON.parse((await operator("history", "--json")).stdout) as {
      commit: string;
      config: object;
    }[];
    assert.ok(entries.length >= 2 && entries.every(({ commit }) => /^[0-9a-f]{40}$/.test(commit)));
    assert.ok(!JSON.stringify(entries).includes(world.secrets.secretKey ?? "?"));
  });

  it("rolls back with the configuration of then, and refuses hashes that it does not know", async () => {
    const now = await running();
    await pulumiOk(world.stack, ["config", "set", "--path", "app.environment.COLOUR", "green"]);
    await change("Third");
    const third = (await operator("deploy")).exitCode;
    assert.equal(third, 0);
    const { exitCode, output, seconds } = await operator("rollback");
    assert.equal(exitCode, 0, output);
    console.log(`      rollback: ${seconds.toFixed(1)} s`);
    assert.equal(await running(), now);
    assert.doesNotMatch(await world.onServer("docker", "exec", "training_bot", "env"), /^COLOUR=/m);
    assert.doesNotMatch(output, /building/);
    assert.ok(await unchanged(world.stack));

    const short = await operator("rollback", first.slice(0, 8));
    assert.equal(short.exitCode, 0, short.output);
    assert.equal(await running(), first);

    const unknown = await operator("rollback", "0123456789");
    assert.equal(unknown.exitCode, 1);
    assert.match(
      unknown.output,
      new RegExp(`No release of 0123456789 is known\\. What can be rolled back to:[\\s\\S]*${now}`),
    );
    assert.equal(await running(), first);
  });

  it("refuses to deploy a commit that there is not", async () => {
    const { exitCode, output } = await operator("deploy", "no-such-branch");
    assert.equal(exitCode, 1);
    assert.match(
      output,
      /^error: The repository \/srv\/git\/hockey\.git has no branch, tag or commit no-such-branch/m,
    );
  });

  it("works over SSH alone while the state is locked, and while its backend is down", async () => {
    const unlock = await lock(process.pid);
    try {
      for (const [command, ...args] of [
        ["restart"],
        ["logs", "5"],
        ["logs", "--db"],
        ["logs", "--proxy"],
        ["status"],
        ["health"],
      ]) {
        const { exitCode, output } = await operator(command ?? "", ...args);
        assert.equal(exitCode, 0, `${command ?? ""}: ${output}`);
      }
      const { exitCode, output } = await operator("drift", "--wait", "1");
      assert.equal(exitCode, 3, output);
      assert.match(output, /locked by somebody@/);
    } finally {
      await unlock();
    }
    const down = {
      PULUMI_BACKEND_URL: "s3://nowhere?endpoint=127.0.0.1:1&disableSSL=true&region=none&awssdk=v2",
    };
    for (const [command, ...args] of [["restart"], ["logs", "5"], ["status"], ["health"]]) {
      const { exitCode, output } = await operate(world.stack, command ?? "", args, down);
      assert.equal(exitCode, 0, `${command ?? ""}: ${output}`);
      if (command === "logs") assert.equal(output.trim().split("\n").length, 5);
      if (command === "status") assert.match(output, /The stack's history cannot be read/);
    }
  });

  it("shows everything on one screen, in plain text", async () => {
    const { output } = await operator("status");
    assert.ok(!output.includes("\u001b"), "no colours");
    const commit = (await running()).slice(0, 7);
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
    assert.equal((await operator("status", "--html", file)).exitCode, 0);
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

  it("alerts once when something breaks and once when it is mended", async () => {
    const told = () => world.telegram.sent().filter(({ chat }) => Number(chat.id) === 4242);
    assert.equal((await operator("health")).exitCode, 0);
    assert.equal(told().length, 0);
    await world.onServer("docker", "stop", "training_bot_db");
    const { exitCode, output } = await operator("health");
    assert.equal(exitCode, 2, output);
    assert.match(output, /^critical +database +does not accept connections/m);
    assert.match(output, /The last 100 log lines of training_bot_db:[\s\S]*database system is shut down/);
    assert.equal((await operator("health")).exitCode, 2);
    assert.equal(told().length, 1);
    assert.match(told()[0]?.text ?? "", /broken: database does not accept connections/);
    assert.equal(posted.length, 1);
    assert.ok(posted[0]?.broken.some(({ check }) => check === "database"));

    await world.onServer("docker", "start", "training_bot_db");
    await eventually(
      async () => (await operator("health", "--no-alert")).exitCode === 0,
      "a healthy bot",
      60,
    );
    assert.equal((await operator("health")).exitCode, 0);
    assert.equal((await operator("health")).exitCode, 0);
    assert.equal(told().length, 2);
    assert.match(told()[1]?.text ?? "", /mended: database/);
    assert.deepEqual(posted.length, 2);
  });

  it("does not let a failing alert hide the failure, and tells it later", async () => {
    await pulumiOk(world.stack, ["config", "set", "--path", "alerts.webhook", "http://127.0.0.1:1/"]);
    await world.onServer("docker", "stop", "training_bot_proxy");
    const { exitCode, output } = await operator("health");
    assert.equal(exitCode, 2);
    assert.match(output, /warning: The alert could not be sent by the webhook/);
    await world.onServer("docker", "start", "training_bot_proxy");
    const { port } = webhook.address() as AddressInfo;
    await pulumiOk(world.stack, [
      "config",
      "set",
      "--path",
      "alerts.webhook",
      `http://127.0.0.1:${port}/alert`,
    ]);
  });

  it("notices a bot that is healthy but deaf", async () => {
    const [main, health] = await Promise.all(
      ["main.py", "health.py"].map((file) => readFile(join(world.repository.directory, file), "utf8")),
    );
    await world.release("main.py", (text) =>
      text.replace("for worker in (totals, poller) if worker", "for worker in (totals,)"),
    );
    await world.release("health.py", (text) => text.replace("if poller is None:", "if True:"));
    assert.equal((await operator("deploy")).exitCode, 0);
    world.telegram.sendAsUser({ text: "/help" });
    assert.equal((await operator("health")).exitCode, 0, "one look is not enough to say");
    const remembered = JSON.parse(await world.onServer("cat", HEALTH)) as { pendingSince: string };
    const earlier = new Date(Date.parse(remembered.pendingSince) - 180_000).toISOString();
    await world.onServer("sed", "-i", `s/${remembered.pendingSince}/${earlier}/`, HEALTH);
    const { exitCode, output } = await operator("health");
    assert.equal(exitCode, 2, output);
    assert.match(output, /^critical +poller +leaves 1 updates at Telegram, since/m);
    await world.release("main.py", () => main ?? "");
    await world.release("health.py", () => health ?? "");
    assert.equal((await operator("deploy")).exitCode, 0);
  });

  it("finds a changed file and a missing container, and says what mends them", async () => {
    await world.onServer(
      "sh",
      "-c",
      "echo >>/home/deploy/hockey/bin/backup-db.sh; rm /home/deploy/hockey/bin/set-password.sh",
    );
    const { exitCode, output } = await operator("drift");
    assert.equal(exitCode, 2, output);
    assert.match(output, /^changed bin\/backup-db\.sh/m);
    assert.match(output, /^missing bin\/set-password\.sh/m);
    assert.match(output, /mend them with: pulumi up$/m);
    await up(world);
    assert.equal((await operator("drift")).exitCode, 0);
    assert.ok(await unchanged(world.stack));

    await world.onServer("docker", "rm", "--force", "training_bot");
    assert.equal((await operator("drift")).exitCode, 2);
    const mended = await operator("deploy");
    assert.equal(mended.exitCode, 0, mended.output);
    assert.match(mended.output, /bot-container is gone from the server/);
    assert.equal((await operator("drift")).exitCode, 0);
  });

  it("takes away a bot that a failed update has left behind, but no container of somebody else", async () => {
    const forget = () =>
      pulumiOk(world.stack, [
        ...["state", "delete", "--yes", "--target-dependents"],
        "urn:pulumi:test::hockey::hockey:index:Bot$docker:index/container:Container::bot-container",
      ]);
    await forget();
    const mended = await operator("deploy");
    assert.equal(mended.exitCode, 0, mended.output);
    assert.match(mended.output, /the container training_bot is left over/);
    assert.deepEqual(await containers(), ours);

    await forget();
    await world.onServer("docker", "rm", "--force", "training_bot");
    await world.onServer("docker", "run", "--detach", "--name", "training_bot", "caddy:2", "sleep", "1000");
    const refused = await operator("deploy");
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
    const again = await operator("deploy");
    assert.equal(again.exitCode, 0, again.output);
    assert.ok(await unchanged(world.stack));
  });

  it("builds an image anew that was removed under us", async () => {
    await world.onServer("docker", "rm", "--force", "training_bot");
    await world.onServer("docker", "rmi", "--force", `training_bot:${await world.repository.head()}`);
    const { exitCode, output } = await operator("deploy");
    assert.equal(exitCode, 0, output);
    assert.match(output, /built in/);
    assert.equal(await running(), await world.repository.head());
  });

  it("refuses a second deploy by name while the first is under way, or waits for it", async () => {
    const commit = await slowChange("Two at once");
    const { outcome } = begin("deploy");
    await untilServerRuns("bin/build-image.sh$");
    const refused = await operator("deploy", "--wait", "0");
    assert.equal(refused.exitCode, 3, refused.output);
    assert.match(refused.output, /^error: The stack is locked by \S+@\S+ \(process \d+, since /m);
    assert.equal((await outcome).exitCode, 0);
    assert.equal(await running(), commit);

    const good = await slowChange("Two at once, waiting");
    const { outcome: other } = begin("deploy", good);
    await untilServerRuns("bin/build-image.sh$");
    const bad = await world.release("main.py", (text) => `raise SystemExit("broken on purpose")\n${text}`);
    const failed = await operator("deploy", bad);
    await world.release("main.py", (text) => text.replace(/^raise .*\n/, ""));
    assert.equal((await other).exitCode, 0);
    assert.equal(failed.exitCode, 1, failed.output);
    const [before = "", after] = failed.output.split(/^waiting up to \d+ s for .*$/m);
    assert.ok(after !== undefined, failed.output);
    assert.doesNotMatch(before, /differ/, "an update under way is not taken for one that was killed");
    assert.equal(await running(), good, "the release that was made meanwhile is the last good one");
    assert.deepEqual(await containers(), ours);
  });

  for (const [when, what, alter] of [
    ["while it builds", "bin/build-image.sh$", slowChange],
    ["in the middle of the swap", "bin/await-healthy.sh bot$", change],
  ] as const) {
    it(`recovers from a kill -9 ${when}, with one step`, async () => {
      const commit = await alter(`Killed ${when}`);
      await pulumiOk(world.stack, ["config", "set", "commit", commit]);
      const killed = spawn("pulumi", ["up", "--yes", "--skip-preview", "--stack", "test"], {
        cwd: world.stack.project,
        env: { ...process.env, ...world.stack.env },
        stdio: "ignore",
      });
      await untilServerRuns(what);
      killed.kill("SIGKILL");
      const program = () => run("pgrep", ["--full", `root-directory ${world.stack.project}`]).catch(() => "");
      await eventually(async () => (await program()) === "", "the end of the program that it ran");
      const refused = await operator("deploy");
      assert.equal(refused.exitCode, 3, refused.output);
      assert.match(
        refused.output,
        /An earlier update was killed in the middle: .* continue with: \.\/delivery deploy --recover/,
      );
      const { exitCode, output } = await operator("deploy", "--recover");
      assert.equal(exitCode, 0, output);
      assert.equal(await running(), commit);
      assert.deepEqual(await containers(), ours);
      assert.deepEqual(await readdir(locks()).catch(() => []), []);
      assert.ok(await unchanged(world.stack));
    });

    it(`ends in good order when SSH is cut ${when}`, async () => {
      const before = await running();
      const commit = await alter(`Cut ${when}`);
      const { outcome } = begin("deploy");
      await untilServerRuns(what);
      await cutConnections(world.server);
      const { exitCode, output } = await outcome;
      console.log(`      deploy ended with ${exitCode}`);
      assert.equal(await running(), exitCode === 0 ? commit : before, output);
      const again = await operator("deploy");
      assert.equal(again.exitCode, 0, again.output);
      assert.equal(await running(), commit);
      assert.deepEqual(await containers(), ours);
      assert.ok(await unchanged(world.stack));
    });
  }

  for (const [off, words] of [
    ["+1d", "ahead of"],
    ["-1d", "behind"],
  ] as const) {
    it(`releases on a server whose clock is a day ${words} ours, and health says so`, async () => {
      // With none, a clock that is ahead would find one missing.
      assert.equal((await operator("backup")).exitCode, 0);
      // Every shell of the deploy user gets that clock; the kernel's is this machine's own.
      const library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
      const drop = "/etc/ssh/sshd_config.d/clock.conf";
      const install = `[ -e ${library} ] || { apt-get update -qq && apt-get install -qq faketime; } >/dev/null`;
      await world.onServer("sh", "-c", install);
      const setting = `SetEnv LD_PRELOAD=${library} FAKETIME=${off}`;
      await world.onServer("sh", "-c", `echo '${setting}' >${drop}; systemctl reload ssh`);
      await cutConnections(world.server);
      try {
        const commit = await change(`Clock ${off}`);
        const deployed = await operator("deploy");
        assert.equal(deployed.exitCode, 0, deployed.output);
        assert.equal(await running(), commit);
        const { exitCode, output } = await operator("health", "--no-alert");
        assert.equal(exitCode, 1, output);
        assert.match(output, new RegExp(`^warning +clock +is 86[34]\\d\\d s ${words} this machine's`, "m"));
        assert.equal((await operator("drift")).exitCode, 0);
      } finally {
        await world.onServer("sh", "-c", `rm ${drop}; systemctl reload ssh`);
        await cutConnections(world.server);
      }
    });
  }

  it("survives a reboot of the server in the middle", async () => {
    const commit = await slowChange("Reboot");
    const { outcome } = begin("deploy");
    await untilServerRuns("bin/build-image.sh$");
    await rebootServer(world.server);
    await outcome;
    await eventually(async () => (await fetch(world.url)).ok, "the page", 60);
    const { exitCode, output } = await operator("deploy");
    assert.equal(exitCode, 0, output);
    assert.equal(await running(), commit);
    assert.deepEqual(await containers(), ours);
    assert.equal((await pulumi(world.stack, ["preview", "--expect-no-changes"])).exitCode, 0);
  });
});
