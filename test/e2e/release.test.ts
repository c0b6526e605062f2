import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Outcome, pulumiOk, randomToken } from "../../sandbox/stack.ts";
import { type Allowed, assertUnnoticed, BotDriver } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { handoversOf } from "./handover.ts";
import { createWorld, up, type World } from "./world.ts";

describe("a release under load, which no visitor notices", () => {
  let world: World;
  let bot: BotDriver;
  let main: string;

  before(async () => {
    world = await createWorld("release");
    bot = new BotDriver(world);
    main = await readFile(join(world.repository.directory, "main.py"), "utf8");
    await up(world);
  });

  after(() => world.close());

  it("deploys the newest commit, and rolls back without building, and says what stays", async () => {
    const before = await bot.running();
    const commit = await bot.change("New");
    assertUnnoticed(await bot.during("deploy", () => bot.ok("deploy")));
    assert.equal(await bot.running(), commit);
    let output = "";
    assertUnnoticed(await bot.during("rollback", async () => (output = await bot.ok("rollback"))));
    assert.equal(await bot.running(), before);
    assert.doesNotMatch(output, /building/);
    assert.match(output, /secrets, the database .* stay as they are/);
  });

  it("restarts", async () => {
    const before = await bot.startedAt();
    assertUnnoticed(await bot.during("restart", () => bot.ok("restart")));
    assert.notEqual(await bot.startedAt(), before);
  });

  it("takes over another configuration of the proxy", async () => {
    const file = join(world.stack.project, "scripts", "server", "container", "Caddyfile");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace("{$SITE} {\n", "{$SITE} {\n\theader X-Tried yes\n"));
    // With a new configuration Caddy ends the connections that are idle, so a few requests may cross that end.
    const seen = await bot.during("proxy configuration", () => up(world));
    const handovers = await handoversOf(world);
    assert.equal(handovers.length, 1);
    assertUnnoticed(seen, { resent: 5, handovers });
    assert.equal((await fetch(world.url)).headers.get("x-tried"), "yes");
  });

  it("gives the bot more time to start, and has the proxy go on as it is", async () => {
    const before = await handoversOf(world);
    await bot.configure("app.startSeconds", "14");
    assertUnnoticed(await bot.during("app.startSeconds", () => up(world)));
    assert.deepEqual(await handoversOf(world), before);
    // The other tests know the default.
    await pulumiOk(world.stack, ["config", "rm", "--path", "app.startSeconds"]);
  });

  it("takes over another environment variable, and another key that signs cookies", async () => {
    const key = randomBytes(32).toString("hex");
    await bot.configure("app.environment.NOTE", "tried");
    await bot.configureSecret("secretKey", key);
    assertUnnoticed(await bot.during("environment", () => up(world)));
    const environment = (await world.onServer("docker", "exec", "training_bot", "env")).split("\n");
    assert.ok(environment.includes("NOTE=tried"));
    assert.ok(environment.includes(`SECRET_KEY=${key}`));
  });

  const environmentOfBot = async () =>
    (await world.onServer("docker", "exec", "training_bot", "env")).split("\n");

  it("rotates the database's password while no bot runs", async () => {
    const password = randomBytes(24).toString("base64");
    await bot.configureSecret("postgresPassword", password);
    assertUnnoticed(await bot.during("postgresPassword", () => up(world)));
    assert.ok((await environmentOfBot()).includes(`POSTGRES_PASSWORD=${password}`));
  });

  it("goes back to the old password with the old bot, where a release brings a new one and fails", async () => {
    const good = await bot.running();
    const password = `it's \\ new: ${randomBytes(24).toString("base64")}`;
    await bot.configureSecret("postgresPassword", password);
    await world.release("main.py", (text) => `raise RuntimeError("broken at import")\n${text}`);
    let outcome: Outcome | undefined;
    const seen = await bot.during("a new password and a broken release", async () => {
      outcome = await bot.operate("deploy");
    });
    await world.release("main.py", () => main);
    assertUnnoticed(seen, { doubled: 1 });
    assert.equal(outcome?.exitCode, 1, outcome?.output);
    assert.equal(await bot.running(), good);
    // The release went back, and the secret of the configuration did not.
    assert.ok((await environmentOfBot()).includes(`POSTGRES_PASSWORD=${password}`));
    assert.equal((await bot.health()).status, "ok");
  });

  it("waits for a bot that ignores SIGTERM for five seconds @slow", async () => {
    await world.release("main.py", () =>
      main.replace(/^(\s*)(log\.info\("%s: stopping".*)$/m, "$1$2\n$1import time; time.sleep(5)"),
    );
    await bot.ok("deploy");
    await world.release("main.py", () => main);
    assertUnnoticed(await bot.during("deploy over a bot that takes 5 s to stop", () => bot.ok("deploy")));
    assert.equal(await bot.running(), await world.repository.head());
  });

  /** Faults that a release may have, what the last line says of it, and what may be noticed. */
  const BROKEN: {
    name: string;
    file: string;
    edit: (text: string) => string;
    cause: RegExp;
    allowed?: Allowed;
  }[] = [
    {
      name: "crashes after 3 seconds",
      file: "main.py",
      edit: (text) =>
        text.replace(
          /^( *)threading\.Thread\(target=server\.serve/m,
          "$1threading.Timer(3, lambda: (print('crashing now', flush=True), os._exit(7))).start()\n$&",
        ),
      cause: /(ended with status 7|does not stay up), [23] s after its first good answer/,
      allowed: { doubled: 1, unanswered: 1 },
    },
    {
      name: "crashes at import @slow",
      file: "main.py",
      edit: (text) => `raise RuntimeError("broken at import")\n${text}`,
      cause: /(ended with status 1|does not stay up): RuntimeError: broken at import/,
      allowed: { doubled: 1 },
    },
    {
      name: "never listens @slow",
      file: "main.py",
      edit: (text) => text.replace(/^def serve.*\n.*\n/m, "$&    threading.Event().wait()\n"),
      cause: /does not answer at port 5000 after 13 s \(app\.startSeconds\)/,
    },
    {
      name: "accepts and hangs @slow",
      file: "web.py",
      edit: (text) => text.replace("200 if well else 503", '(__import__("time").sleep(600), 500)[1]'),
      cause: /does not answer at port 5000 after 13 s \(app\.startSeconds\)/,
    },
    {
      name: "answers 500 at /health @slow",
      file: "web.py",
      edit: (text) => text.replace("200 if well else 503", "500"),
      cause: /answers 500 at \/health, not 200/,
    },
  ];
  for (const { name, file, edit, cause, allowed } of BROKEN) {
    it(`puts the last good release back when the new one ${name}`, async () => {
      const good = await bot.running();
      let sound = "";
      const broken = await world.release(file, (text) => {
        sound = text;
        assert.notEqual(edit(text), text);
        return edit(text);
      });
      let outcome: Outcome | undefined;
      const seen = await bot.during(
        `deploy of a release that ${name}`,
        async () => (outcome = await bot.operate("deploy")),
      );
      await world.release(file, () => sound);
      const { exitCode, output } = outcome ?? assert.fail("there was no outcome");
      assertUnnoticed(seen, allowed);
      assert.equal(exitCode, 1, output);
      const last = output.trim().split("\n").at(-1) ?? "";
      const sentence = `^error: The deploy of ${broken.slice(0, 7)} failed after \\S+ s: training_bot .*; ${good.slice(0, 7)} is back\\.$`;
      assert.match(last, new RegExp(sentence));
      assert.match(last, cause);
      assert.equal(await bot.running(), good);
    });
  }

  it("rotates the Telegram token: another bot, no failed request", async () => {
    const token = randomToken();
    world.telegram.addBot(token);
    await bot.configureSecret("telegramToken", token);
    // Messages to the old bot get no answer.
    const { failed, resent } = await bot.during("telegramToken", () => up(world), { hasChat: false });
    world.secrets.telegramToken = token;
    assert.deepEqual([failed, resent], [[], 0]);
    await eventually(() => world.telegram.polls(token).length > 0, "polls with the new token");
    assert.equal(world.telegram.overlaps(), 0);
  });
});
