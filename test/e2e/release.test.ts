import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pulumiOk, randomToken } from "../../sandbox/stack.ts";
import { type Load, type Seen, startLoad } from "./load.ts";
import { operate } from "./operator.ts";
import { createWorld, eventually, up, type World } from "./world.ts";

/** How long the load goes on after a command, so that what comes late is seen too. */
const AFTERMATH = 1500;

describe("a release that nobody notices, under load", () => {
  let world: World;
  let main: string;

  before(async () => {
    world = await createWorld("release");
    main = await readFile(join(world.repository.directory, "main.py"), "utf8");
    await up(world);
  });

  after(() => world.close());

  const running = async () =>
    ((await (await fetch(`${world.url}/health`)).json()) as { release: string }).release;
  const head = () => world.repository.head();
  const change = (text: string) =>
    world.release("templates/index.html", (page) => page.replace("<h1>", `<h1>${text} `));

  /** What visitors and the chat see while something is done. */
  const during = async (what: string, action: () => Promise<unknown>, token?: string): Promise<Seen> => {
    const load: Load = startLoad(world.url, world.telegram, token);
    const began = Date.now();
    let seen: Seen;
    try {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await action();
      await new Promise((resolve) => setTimeout(resolve, AFTERMATH));
    } finally {
      seen = await load.stop();
    }
    const took = ((Date.now() - began - 500 - AFTERMATH) / 1000).toFixed(1);
    console.log(
      `      ${what}: ${took} s, ${seen.failed.length} of ${seen.requests} requests failed, ${seen.resent} resent, slowest ${seen.slowestSeconds.toFixed(1)} s, ` +
        `${seen.overlaps} overlaps, ${seen.lost} of ${seen.messages} messages lost, ${seen.doubled} doubled`,
    );
    return seen;
  };
  /**
   * @param doubled how many answers may come twice: a bot that crashes between answering and noting it repeats itself
   * @param resent how many requests may have met the end of the connection that they were sent on
   */
  const unnoticed = (seen: Seen, { doubled = 0, resent = 0 } = {}) => {
    assert.ok(seen.requests > 25, "there was a load");
    assert.deepEqual(seen.failed, []);
    assert.deepEqual([seen.overlaps, seen.lost], [0, 0]);
    assert.ok(seen.doubled <= doubled, `${seen.doubled} answers came twice`);
    assert.ok(seen.resent <= resent, `${seen.resent} requests were resent`);
  };
  const ok = async (command: string, ...args: string[]) => {
    const { exitCode, output } = await operate(world.stack, command, args);
    assert.equal(exitCode, 0, output);
    return output;
  };

  it("deploys the newest commit", async () => {
    const commit = await change("New");
    unnoticed(await during("deploy", () => ok("deploy")));
    assert.equal(await running(), commit);
  });

  it("rolls back to what ran before, without building, and says what stays", async () => {
    const commit = await head();
    let output = "";
    unnoticed(await during("rollback", async () => (output = await ok("rollback"))));
    assert.notEqual(await running(), commit);
    assert.doesNotMatch(output, /building/);
    assert.match(output, /secrets, the database .* stay as they are/);
  });

  it("restarts", async () => {
    const started = () => world.onServer("docker", "inspect", "-f", "{{.State.StartedAt}}", "training_bot");
    const before = await started();
    unnoticed(await during("restart", () => ok("restart")));
    assert.notEqual(await started(), before);
  });

  it("takes over another configuration of the proxy", async () => {
    const file = join(world.stack.project, "infra", "files", "Caddyfile");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace("{$SITE} {\n", "{$SITE} {\n\theader X-Tried yes\n"));
    // With a new configuration Caddy ends the connections that are idle, so a few requests may cross that end.
    unnoticed(await during("proxy configuration", () => up(world)), { resent: 5 });
    assert.equal((await fetch(world.url)).headers.get("x-tried"), "yes");
  });

  it("takes over another environment variable", async () => {
    await pulumiOk(world.stack, ["config", "set", "--path", "app.environment.NOTE", "tried"]);
    unnoticed(await during("environment variable", () => up(world)));
    const environment = await world.onServer("docker", "exec", "training_bot", "env");
    assert.match(environment, /^NOTE=tried$/m);
  });

  it("rotates the database's password: the role first, then the bot", async () => {
    await pulumiOk(world.stack, ["config", "set", "--secret", "postgresPassword"], {
      input: randomBytes(24).toString("base64"),
    });
    let output = "";
    unnoticed(await during("postgresPassword", async () => (output = await up(world))));
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

  it("rotates the key that signs cookies", async () => {
    const key = randomBytes(32).toString("hex");
    await pulumiOk(world.stack, ["config", "set", "--secret", "secretKey"], { input: key });
    unnoticed(await during("secretKey", () => up(world)));
    assert.match(
      await world.onServer("docker", "exec", "training_bot", "env"),
      new RegExp(`^SECRET_KEY=${key}$`, "m"),
    );
  });

  it("waits for a bot that ignores SIGTERM for five seconds", async () => {
    await world.release("main.py", () =>
      main.replace(/^(\s*)(log\.info\("%s: stopping".*)$/m, "$1$2\n$1import time; time.sleep(5)"),
    );
    await ok("deploy");
    await world.release("main.py", () => main);
    unnoticed(await during("deploy over a bot that takes 5 s to stop", () => ok("deploy")));
    assert.equal(await running(), await head());
  });

  /** Faults that a release may have, as edits of main.py, and what its log says. */
  const BROKEN: [name: string, edit: (text: string) => string, log: RegExp | undefined][] = [
    [
      "crashes at import",
      (text) => `raise RuntimeError("broken at import")\n${text}`,
      /RuntimeError: broken at import/,
    ],
    [
      "crashes after 3 seconds",
      (text) =>
        text.replace(
          /^( *)threading\.Thread\(target=server\.serve/m,
          "$1threading.Timer(3, lambda: (print('crashing now', flush=True), os._exit(7))).start()\n$&",
        ),
      /crashing now/,
    ],
    [
      "never listens",
      (text) => text.replace(/^def serve.*\n.*\n/m, "$&    threading.Event().wait()\n"),
      undefined,
    ],
  ];
  for (const [name, edit, log] of BROKEN) {
    it(`puts the last good release back when the new one ${name}`, async () => {
      const good = await running();
      const broken = await world.release("main.py", () => {
        const text = edit(main);
        assert.notEqual(text, main);
        return text;
      });
      let outcome: Awaited<ReturnType<typeof operate>> | undefined;
      unnoticed(
        await during(
          `deploy of a release that ${name}`,
          async () => (outcome = await operate(world.stack, "deploy")),
        ),
        { doubled: name.startsWith("crashes") ? 1 : 0 },
      );
      const { exitCode = 0, output = "" } = outcome ?? {};
      assert.equal(exitCode, 1, output);
      assert.match(output, new RegExp(`The deploy of ${broken} failed .*; ${good} is back`));
      if (log) assert.match(output, log);
      assert.equal(await running(), good);
    });
  }

  it("puts the last good release back when /health of the new one says 500", async () => {
    const good = await running();
    await world.release("main.py", () => main);
    const broken = await world.release("web.py", (text) => text.replace("200 if well else 503", "500"));
    let outcome: Awaited<ReturnType<typeof operate>> | undefined;
    unnoticed(
      await during(
        "deploy of a release with a broken /health",
        async () => (outcome = await operate(world.stack, "deploy")),
      ),
    );
    assert.equal(outcome?.exitCode, 1);
    assert.match(outcome.output, new RegExp(`The deploy of ${broken} failed .*; ${good} is back`));
    await eventually(async () => (await running()) === good, "the good release");
  });

  it("rotates the Telegram token: another bot, no failed request", async () => {
    const [old, token] = [world.secrets.telegramToken ?? "", randomToken()];
    world.telegram.addBot(token);
    await pulumiOk(world.stack, ["config", "set", "--secret", "telegramToken"], { input: token });
    const { failed, resent } = await during("telegramToken", () => up(world), old);
    assert.deepEqual([failed, resent], [[], 0]);
    await eventually(() => world.telegram.polls(token).length > 0, "polls with the new token");
    assert.equal(world.telegram.overlaps(), 0);
  });
});
