import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Outcome, randomToken } from "../../sandbox/stack.ts";
import { assertUnnoticed, BotDriver } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
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
    assertUnnoticed(await bot.during("proxy configuration", () => up(world)), { resent: 5 });
    assert.equal((await fetch(world.url)).headers.get("x-tried"), "yes");
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

  it("rotates the database's password: the role first, then the bot", async () => {
    await bot.configureSecret("postgresPassword", randomBytes(24).toString("base64"));
    let output = "";
    assertUnnoticed(await bot.during("postgresPassword", async () => (output = await up(world))));
    const order = [
      "bot-hold updated",
      "bot-password updated",
      "bot-container deleted",
      "bot-container created",
    ];
    const places = order.map((step) => output.indexOf(step));
    assert.ok(places[0] !== -1, output);
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
      output,
    );
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

  /** Faults that a release may have, what its log says, and how many answers may come twice. */
  const BROKEN: {
    name: string;
    file: string;
    edit: (text: string) => string;
    log?: RegExp;
    doubled?: number;
  }[] = [
    {
      name: "crashes after 3 seconds",
      file: "main.py",
      edit: (text) =>
        text.replace(
          /^( *)threading\.Thread\(target=server\.serve/m,
          "$1threading.Timer(3, lambda: (print('crashing now', flush=True), os._exit(7))).start()\n$&",
        ),
      log: /crashing now/,
      doubled: 1,
    },
    {
      name: "crashes at import @slow",
      file: "main.py",
      edit: (text) => `raise RuntimeError("broken at import")\n${text}`,
      log: /RuntimeError: broken at import/,
      doubled: 1,
    },
    {
      name: "never listens @slow",
      file: "main.py",
      edit: (text) => text.replace(/^def serve.*\n.*\n/m, "$&    threading.Event().wait()\n"),
    },
    {
      name: "answers 500 at /health @slow",
      file: "web.py",
      edit: (text) => text.replace("200 if well else 503", "500"),
    },
  ];
  for (const { name, file, edit, log, doubled } of BROKEN) {
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
      assertUnnoticed(seen, { doubled });
      assert.equal(exitCode, 1, output);
      assert.match(output, new RegExp(`The deploy of ${broken} failed .*; ${good} is back`));
      if (log) assert.match(output, log);
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
