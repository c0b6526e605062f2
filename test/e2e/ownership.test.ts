import assert from "node:assert/strict";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ExportedState } from "../../operator/release/state.ts";
import { run } from "../../sandbox/docker.ts";
import { createBotRepository } from "../../sandbox/repository.ts";
import { removeServer, serverExec, startServer } from "../../sandbox/server.ts";
import { initStack, localStack, pulumi, pulumiOk, randomToken, type Stack } from "../../sandbox/stack.ts";
import { assertRefused, BotDriver, CONTAINERS } from "./bot-driver.ts";
import { operate } from "./operator.ts";
import { createWorld, freshClone, unchanged, up, type World } from "./world.ts";

const NEXT = "ownership-next";
const CLAIM = "/home/deploy/hockey/stack";
/** Everything on a server that a stack could change. */
const EVERYTHING = `docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.Image}}'
  docker inspect -f '{{.State.StartedAt}}' $(docker ps -aq) /dev/null 2>/dev/null
  docker volume ls -q; docker network ls -q --no-trunc; docker image ls -a --no-trunc --format '{{.ID}} {{.Tag}}' | sort
  crontab -l -u deploy
  find /home/deploy -name .ssh -prune -o -printf '%p %m %u\\n' -type f -exec sha256sum {} + | sort`;

describe("the directories of a stack on its server", function () {
  this.timeout(300_000);
  let world: World;
  let bot: BotDriver;

  before(async () => {
    world = await createWorld("ownership");
    bot = new BotDriver(world);
    await up(world);
  });

  after(async () => {
    await world.close();
    await removeServer(NEXT);
  });

  const everything = () => world.onServer("sh", "-c", EVERYTHING);
  const claim = () => world.onServer("cat", CLAIM);
  const preview = (stack: Stack) => pulumi(stack, ["preview"]);
  const update = (stack: Stack) => pulumi(stack, ["up", "--yes", "--skip-preview"]);
  const deploy = (stack: Stack, ...args: string[]) => operate(stack, "deploy", args);

  /** Fails unless all three are refused with this sentence and leave the server as it is. */
  async function assertHarmless(stack: Stack, sentence: RegExp, ...commit: string[]): Promise<void> {
    const before = await everything();
    for (const act of [preview, update, () => deploy(stack, ...commit)]) {
      assertRefused(await act(stack), sentence);
      assert.equal(await everything(), before, act.name);
    }
  }

  it("are claimed for its name and for its state alone, and no other user may read that", async () => {
    const { deployment } = JSON.parse(await pulumiOk(world.stack, ["stack", "export"])) as ExportedState;
    const id = deployment.resources?.find(({ type }) => type === "pulumi:index:Stash")?.id ?? "none";
    assert.match(id, /^[0-9a-f-]{36}$/);
    for (const file of [CLAIM, "/home/deploy/backups/.stack"]) {
      assert.equal(await world.onServer("cat", file), `hockey/test ${id}`);
      assert.equal(await world.onServer("stat", "-c", "%a %U", file), "600 deploy");
    }
    assert.ok(await unchanged(world.stack));
  });

  it("take back a claim whose update was killed before its state had it", async () => {
    const state = JSON.parse(await pulumiOk(world.stack, ["stack", "export"])) as ExportedState;
    const { resources = [] } = state.deployment;
    const made = resources.find(({ urn }) => urn.endsWith("::claim-directories"))?.urn ?? assert.fail();
    state.deployment.resources = resources
      .filter(({ urn }) => urn !== made)
      .map((resource) => ({
        ...resource,
        dependencies: resource.dependencies?.filter((urn) => urn !== made),
      }));
    await pulumiOk(world.stack, ["stack", "import"], { input: JSON.stringify(state) });
    const before = await claim();
    const { exitCode, output } = await deploy(world.stack, await bot.running());
    assert.equal(exitCode, 0, output);
    assert.equal(await claim(), before);
    assert.ok(await unchanged(world.stack));
  });

  it("are missed by drift, and claimed anew by the next update", async () => {
    const before = await claim();
    await world.onServer("rm", CLAIM);
    const { exitCode, output } = await bot.operate("drift");
    assert.equal(exitCode, 2, output);
    assert.match(output, /^missing stack in \/home\/deploy\/hockey$/m);
    await up(world);
    assert.equal(await claim(), before);
    assert.equal((await bot.operate("drift")).exitCode, 0);
  });

  it("keep the names that the data was made with", async () => {
    const { stack } = world;
    const file = join(stack.project, "Pulumi.test.yaml");
    await copyFile(file, `${file}.good`);
    for (const [key, value, sentence] of [
      [
        "database.name",
        "notes",
        /The database on the server is called hockey_db, and `database\.name` says notes; put `database\.name` back/,
      ],
      [
        "database.user",
        "notes",
        /belongs to the role hockey, and `database\.user` says notes; put `database\.user` back/,
      ],
      [
        "name",
        "notes",
        /The bot on the server is called training_bot, and `name` says notes; put `name` back/,
      ],
    ] as const) {
      await bot.configure(key, value);
      try {
        await assertHarmless(stack, sentence, await bot.running());
      } finally {
        await copyFile(`${file}.good`, file);
      }
    }
    await rm(`${file}.good`);
    assert.equal((await fetch(world.url)).status, 200);
  });

  describe("and another stack", () => {
    let other: Stack;
    const set = (key: string, value: string) => pulumiOk(other, ["config", "set", "--path", key, value]);
    /** Says where the other stack is to be, and how its bot is called. */
    async function place(name: string, deployPath: string, backupPath: string): Promise<void> {
      await set("name", name);
      await set("server.deployPath", `/home/deploy/${deployPath}`);
      await set("server.backupPath", `/home/deploy/${backupPath}`);
    }

    before(async () => {
      const { server, repository, telegram } = world;
      other = { ...world.stack, name: "other" };
      const target = { server, repository, telegramUrl: telegram.url, telegramToken: randomToken() };
      await initStack(other, { ...target, proxyPort: 5001 });
      await set("commit", await world.release("README.md", (text) => `${text}\n`));
    });
    after(() => rm(join(world.stack.project, "Pulumi.other.yaml")));

    it("that knows no other name and place than the defaults is refused", async () => {
      await place("training_bot", "hockey", "backups");
      await assertHarmless(
        other,
        /The directory \/home\/deploy\/hockey on the server is that of the stack hockey\/test; give this one another with: pulumi config set --path server\.deployPath \/home\/deploy\/hockey-training_bot/,
      );
    });

    it("is refused the backups too", async () => {
      await place("training_bot", "other", "backups");
      await assertHarmless(
        other,
        /The directory \/home\/deploy\/backups on the server has the backups of the stack hockey\/test; .* server\.backupPath \/home\/deploy\/backups-training_bot/,
      );
    });

    it("is refused the names in Docker, its network's as well", async () => {
      await place("training_bot", "other", "backups-other");
      await assertHarmless(
        other,
        /The container training_bot\w* on the server is that of the stack hockey\/test; give this bot another one with: pulumi config set name NAME/,
      );
      await place("bot", "other", "backups-other");
      await assertHarmless(other, /The network bot_network on the server is that of the stack hockey\/test/);
    });

    it("may come where all of that is its own", async () => {
      await place("other_bot", "other", "backups-other");
      const { exitCode, output } = await preview(other);
      assert.equal(exitCode, 0, output);
    });

    it("comes to its end, and puts nothing there, where it cannot claim them", async () => {
      await place("other_bot", "other", "backups-other");
      await world.onServer("install", "-d", "/home/deploy/backups-other/.stack.new");
      await world.onServer("chown", "deploy:", "/home/deploy/backups-other");
      const there = () =>
        world.onServer("sh", "-c", "docker ps -aq; docker volume ls -q; docker network ls -q");
      const before = await there();
      assertRefused(await update(other), /\.stack\.new: Is a directory/);
      assert.equal(await there(), before);
      assert.equal(await world.onServer("ls", "-A", "/home/deploy/other"), "stack");
      await pulumiOk(other, ["destroy", "--yes", "--skip-preview"]);
      await world.onServer("rm", "-r", "/home/deploy/other", "/home/deploy/backups-other");
    });

    it("takes nothing with it when it is destroyed", async () => {
      const before = await everything();
      await pulumiOk(other, ["destroy", "--yes", "--skip-preview"]);
      assert.equal(await everything(), before);
    });
  });

  it("are not made anew on another server unless the operator says so", async () => {
    const file = join(world.stack.project, "Pulumi.test.yaml");
    await copyFile(file, `${file}.good`);
    await removeServer(NEXT);
    // With the same deploy key.
    const next = await startServer({ name: NEXT, directory: join(world.directory, "server") });
    const repository = await createBotRepository(next, join(world.directory, "hockey-next"));
    const there = () => serverExec(next, ["sh", "-c", EVERYTHING]);
    // As scripts/setup-server.sh leaves it.
    await serverExec(next, ["install", "-d", "-o", "deploy", "/home/deploy/hockey", "/home/deploy/backups"]);
    await bot.configure("server.port", String(next.port));
    await bot.configure("server.hostKey", next.hostKey);
    const [before, untouched] = [await everything(), await there()];
    try {
      assertRefused(
        await deploy(world.stack, await repository.head()),
        /127\.0\.0\.1:\d+ shows a server without this stack \(host key SHA256:\S{43}\); its bot, database and backups would be made anew there, and the old ones stay where they are\. Deploy there with `\.\/delivery deploy --new-server`, or correct `server\.host`\./,
      );
    } finally {
      await copyFile(`${file}.good`, file);
      await rm(`${file}.good`);
    }
    assert.deepEqual([await everything(), await there()], [before, untouched]);
  });

  describe("and a second state of the same stack", () => {
    const OTHER_STATE =
      /The directory \/home\/deploy\/hockey on the server belongs to the stack hockey\/test of another state than this one; use that state \(PULUMI_BACKEND_URL names where it is\), or, if it is lost for good, take the directory over with: ssh -p \d+ deploy@127\.0\.0\.1 rm \/home\/deploy\/hockey\/stack/;
    let second: Stack;

    before(async () => {
      const { project, env } = await freshClone(world, "second");
      await copyFile(join(world.stack.project, "Pulumi.test.yaml"), join(project, "Pulumi.test.yaml"));
      const backend = join(world.directory, "second-state");
      await mkdir(backend);
      const passphraseFile = env.PULUMI_CONFIG_PASSPHRASE_FILE ?? assert.fail();
      second = localStack({ name: "test", project, backend, passphraseFile });
      await run("pulumi", ["stack", "init", "test"], { cwd: project, env: second.env });
      const commit = await world.release("README.md", (text) => `${text}\n`);
      await pulumiOk(second, ["config", "set", "commit", commit]);
    });

    it("are refused to it", () => assertHarmless(second, OTHER_STATE));

    it("lose nothing when that is destroyed", async () => {
      const before = await everything();
      await pulumiOk(second, ["destroy", "--yes", "--skip-preview"]);
      assert.equal(await everything(), before);
    });

    it("are its own once the operator has given up the first one, with all data", async () => {
      const rows = await bot.train();
      await world.onServer("rm", CLAIM);
      await world.onServer("docker", "rm", "--force", ...CONTAINERS);
      await world.onServer("docker", "network", "rm", "bot_network");
      const { exitCode, output } = await deploy(second);
      assert.equal(exitCode, 0, output);
      assert.equal(await bot.sql("select count(*) from trainings"), rows);
      await assertHarmless(world.stack, OTHER_STATE, await bot.running());
      // The first one, which is not lost at all, becomes what the second one is.
      await pulumiOk(world.stack, ["stack", "import"], {
        input: await pulumiOk(second, ["stack", "export"]),
      });
      await copyFile(join(second.project, "Pulumi.test.yaml"), join(world.stack.project, "Pulumi.test.yaml"));
      assert.ok(await unchanged(world.stack));
    });
  });
});
