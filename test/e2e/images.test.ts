import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BASES_LABEL } from "../../infra/model/names.ts";
import { pulumiOk } from "../../sandbox/stack.ts";
import { BotDriver } from "./bot-driver.ts";
import { Registry } from "./registry.ts";
import { createWorld, unchanged, up, type World } from "./world.ts";

const POSTGRES = Registry.named("postgres:13");
/** Of this name the registry has nothing. */
const CADDY = Registry.named("caddy:2");
const GREETING = Registry.named("greeting:1");
const UPDATES = "/home/deploy/hockey/image-updates";
const PULLS = "/home/deploy/hockey/base-pulls";
const DAY = 24 * 3600;

describe("images that a registry has", () => {
  let world: World;
  let bot: BotDriver;
  let registry: Registry;
  /** The digests of the images that run first. */
  let postgres: string;
  let greeting: string;

  before(async () => {
    world = await createWorld("images");
    bot = new BotDriver(world);
    registry = await Registry.start(world);
    await world.onServer("docker", "tag", "caddy:2", CADDY);
    postgres = await registry.publish("postgres:13", "FROM postgres:13\n");
    greeting = await registry.publish("greeting:1", "FROM scratch\nCOPY . /\n", "first");
    // Of two bases one is small enough to be changed in a moment.
    const commit = await world.release("Dockerfile", (text) =>
      text
        .replace("ARG BASE", `ARG GREETING=${GREETING}\nARG BASE`)
        .replace("FROM ${BASE}", "FROM ${GREETING} AS greeting\nFROM ${BASE}")
        .replace(/^COPY \. \.$/m, "$&\nCOPY --from=greeting /greeting /greeting"),
    );
    const values = { commit, "database.image": POSTGRES, "proxy.image": CADDY };
    const pairs = Object.entries(values).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
    await pulumiOk(world.stack, ["config", "set-all", "--path", ...pairs]);
    await up(world);
  });

  after(() => world.close());

  const file = () => join(world.stack.project, "Pulumi.test.yaml");
  const updates = () => bot.sh(`cat ${UPDATES}`);
  const idOf = (name: string) => world.onServer("docker", "image", "inspect", "-f", "{{.Id}}", name);
  const runs = (container: string) => world.onServer("docker", "inspect", "-f", "{{.Image}}", container);
  /** What the verb says of each image, by its name. */
  const listed = async () => {
    const lines = (await bot.ok("images")).matchAll(/^(?:database|proxy|base) +(\S+) +\S+ +\S+ +(.*)$/gm);
    return Object.fromEntries([...lines].map(([, image, said]) => [image, said])) as Record<string, string>;
  };
  /** What the running release was built on has left in it, and what is written down of it. */
  const greets = () => world.onServer("docker", "exec", "training_bot", "cat", "/greeting");
  const bases = () =>
    world.onServer("docker", "inspect", "-f", `{{index .Config.Labels "${BASES_LABEL}"}}`, "training_bot");
  /** As if the bases had been asked for a day ago. */
  const aDayLater = () => bot.sh(`sed -i -E "s/ [0-9]{10} / $(($(date +%s) - ${DAY})) /" ${PULLS}`);

  it("are up to date while the registry has the same ones under their tags", async () => {
    const { [POSTGRES]: database, [CADDY]: proxy, [GREETING]: base } = await listed();
    assert.deepEqual([database, base], ["up to date", "up to date"]);
    assert.equal(proxy, "not known: its registry does not tell", "it has none of that name");
    assert.equal(await updates(), "");
    assert.ok((await bases()).split(" ").includes(`${GREETING}@${greeting}`));
  });

  it("that have a newer one there are named with the time since when, by the server's own check as by the verb", async () => {
    await registry.renew("postgres:13", `FROM ${POSTGRES}\nLABEL mark=newer\n`);
    await registry.renew("greeting:1", "FROM scratch\nCOPY . /\n", "second");
    const before = await runs("training_bot_db");
    await bot.sh("SETTINGS=/home/deploy/hockey/backups/settings /home/deploy/hockey/bin/check-images.sh");
    assert.match(await updates(), new RegExp(`^${GREETING} \\d{10}\n${POSTGRES} \\d{10}$`));
    await bot.sh(`sed -i "s/ .*/ $(($(date +%s) - 30 * ${DAY}))/" ${UPDATES}`);
    const { [POSTGRES]: database, [GREETING]: base } = await listed();
    for (const said of [database, base]) assert.equal(said, "newer one there, first seen 30 days ago");
    assert.equal(await runs("training_bot_db"), before, "nothing was pulled or changed");
  });

  it("are not judged while their registry does not answer, and nothing is forgotten", async () => {
    const before = await updates();
    await registry.turn(false);
    const output = await bot.ok("images");
    const silent = /^\S+: its registry does not tell what is newest \(.*connection refused/gm;
    for (const image of [POSTGRES, CADDY, GREETING])
      assert.ok(
        output.match(silent)?.some((line) => line.startsWith(`${image}: `)),
        output,
      );
    assert.equal(await updates(), before);
    await registry.turn(true);
  });

  it("are fixed to the newest ones by --pin, which leaves all else in the file, and run after the next update", async () => {
    await writeFile(file(), `# Ours.\n${await readFile(file(), "utf8")}`);
    const before = await readFile(file(), "utf8");
    const [, pinned = ""] = /^database\.image: (\S+)$/m.exec(await bot.ok("images", "--pin")) ?? [];
    assert.match(pinned, new RegExp(`^${POSTGRES}@sha256:[0-9a-f]{64}$`));
    assert.ok(!pinned.endsWith(postgres));
    assert.equal((await readFile(file(), "utf8")).replace(pinned, POSTGRES), before);
    assert.match(await bot.ok("images", "--pin"), /^Nothing to pin: Pulumi\.test\.yaml has the newest/m);

    const preview = await bot.preview("--diff");
    assert.equal(preview.exitCode, 0, preview.output);
    assert.ok(preview.output.includes(pinned), preview.output);
    const [trainings, proxy] = [await bot.train(), await runs("training_bot_proxy")];
    await up(world);
    assert.equal(await runs("training_bot_db"), await idOf(pinned));
    assert.equal(await bot.sql("select count(*) from trainings"), trainings);
    assert.equal(await runs("training_bot_proxy"), proxy);
    assert.ok(await unchanged(world.stack));
    assert.equal((await bot.operate("drift")).exitCode, 0);
    assert.equal((await listed())[POSTGRES], "up to date");
    assert.match(await updates(), new RegExp(`^${GREETING} \\d{10}$`));
  });

  it("that a bot is built on are asked for once a day, by a release", async () => {
    const old = await idOf(GREETING);
    await bot.ok("deploy", await bot.change("The same day"));
    assert.equal(await greets(), "first", "it was asked for less than a day ago");

    await aDayLater();
    const commit = await bot.change("The next day");
    await bot.ok("deploy", commit);
    assert.deepEqual([await bot.running(), await greets()], [commit, "second"]);
    assert.equal((await listed())[GREETING], "up to date");
    assert.equal(await updates(), "");
    const images = await world.onServer("docker", "image", "ls", "--all", "--quiet", "--no-trunc");
    assert.ok(!images.split("\n").includes(old), "the one that was replaced is gone");
  });

  it("are not asked for by a rollback, and a release does without them while their registry is out of reach", async () => {
    await registry.turn(false);
    await aDayLater();
    assert.doesNotMatch(await bot.ok("rollback"), /registry/);
    const commit = await bot.change("Out of reach");
    const output = await bot.ok("deploy", commit);
    const silent = `the registry of ${GREETING} does not tell what is newest \\(.*refused\\); building on the one that is here`;
    assert.match(output, new RegExp(`^${silent}$`, "m"));
    assert.deepEqual([await bot.running(), await greets()], [commit, "second"]);
    // Once a day, too.
    assert.doesNotMatch(await bot.ok("deploy", await bot.change("Again")), /registry/);
  });
});
