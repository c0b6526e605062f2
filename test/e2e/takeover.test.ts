import assert from "node:assert/strict";
import { join } from "node:path";
import { serverExec } from "../../sandbox/server.ts";
import { type Handover, handoversOf } from "./handover.ts";
import { type Seen, startLoad } from "./load.ts";
import { operate } from "./operator.ts";
import type { Commits } from "./takeover/machine.ts";
import { replay } from "./takeover/replay.ts";
import { assertUnnoticed, CONTAINERS } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { createWorld, unchanged, up, type World } from "./world.ts";

/** How long the load goes on before and after the update, so that what comes late is seen too. */
const AROUND = 1500;

// What d9ef185 has left on a server, see takeover/d9ef185/README.md.
describe("a stack that the version d9ef185 has made", () => {
  let world: World;
  let commits: Commits;
  let seen: Seen;
  let handovers: Handover[];
  const old = { containers: [] as string[], trainings: "" };
  const now = { containers: [] as string[], trainings: "" };

  /** Names and full ids. */
  const containers = async () =>
    (await world.onServer("docker", "ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}")).split("\n").sort();
  const asDeploy = (...command: string[]) => serverExec(world.server, command, { user: "deploy" });
  /** What was in the database when the fixture was recorded, rows of the load left out. */
  const trainings = () => {
    const query = "select * from trainings where what <> 'load' order by id";
    const psql = ["psql", "-U", "hockey", "-d", "hockey_db", "-Atc", query];
    return world.onServer("docker", "exec", "training_bot_db", ...psql);
  };
  const running = async () =>
    ((await (await fetch(`${world.url}/health`)).json()) as { release: string }).release;
  const pause = () => new Promise((resolve) => setTimeout(resolve, AROUND));

  before(async () => {
    world = await createWorld("takeover", { port: 5000 });
    commits = await replay(world, join(import.meta.dirname, "takeover", "d9ef185"));
    Object.assign(old, { containers: await containers(), trainings: await trainings() });
    const load = startLoad(world, world.telegram);
    const began = Date.now();
    try {
      await pause();
      await up(world);
      await pause();
    } finally {
      seen = await load.stop();
    }
    handovers = await handoversOf(world);
    const took = ((Date.now() - began - 2 * AROUND) / 1000).toFixed(1);
    console.log(
      `      up: ${took} s, ${seen.failed.length} of ${seen.requests} requests failed, ${seen.resent} resent, ` +
        `slowest ${seen.slowestSeconds.toFixed(1)} s, ${seen.lost} of ${seen.messages} messages lost`,
    );
    Object.assign(now, { containers: await containers(), trainings: await trainings() });
  });

  after(() => world.close());

  it("is taken over by one update that replaces the bot alone", () => {
    assert.deepEqual(
      old.containers.map((container) => container.split(" ")[0]),
      CONTAINERS,
    );
    const [bot, ...others] = now.containers;
    assert.notEqual(bot, old.containers[0], "its health check is another one");
    assert.deepEqual(others, old.containers.slice(1));
  });

  it("answers every request and every message meanwhile", () => {
    assert.equal(handovers.length, 1, "the proxy has taken over its new configuration");
    // As in release.test.ts: Caddy ends the connections that are idle then.
    assertUnnoticed(seen, { resent: 5, handovers });
  });

  it("keeps its data", () => {
    assert.match(old.trainings, /^1\|.*slapshots\|20\|.*\n2\|.*slapshots\|45\|.*\n3\|.*skating\|30\|/);
    assert.equal(now.trainings, old.trainings);
  });

  it("has nothing more to do, and no drift", async () => {
    assert.ok(await unchanged(world.stack));
    const { exitCode, output } = await operate(world.stack, "drift");
    assert.equal(exitCode, 0, output);
  });

  it("has claimed its directories", async () => {
    for (const file of ["hockey/stack", "backups/.stack"])
      assert.match(await asDeploy("cat", `/home/deploy/${file}`), /^hockey\/test [0-9a-f-]{36}$/);
  });

  it("goes on making backups at the same time of day", async () => {
    const crontab = await asDeploy("crontab", "-l");
    const [line, ...others] = crontab.split("\n").filter((text) => text.startsWith("0 6 * * * "));
    assert.ok(line !== undefined && others.length === 0, crontab);
    for (const [path] of crontab.matchAll(/\/home\/deploy\/\S+\/bin\/\S+/g))
      await asDeploy("test", "-x", path);
    const manifest = async () => (await asDeploy("cat", "/home/deploy/backups/manifest.jsonl")).split("\n");
    const earlier = await manifest();
    await asDeploy("sh", "-c", line.slice("0 6 * * * ".length));
    const [newest = "", ...rest] = (await manifest()).reverse();
    assert.deepEqual(rest.reverse(), earlier);
    assert.match(newest, /"verified":true/);
  });

  it("rolls back to a release that the earlier version has made", async () => {
    const { exitCode, output } = await operate(world.stack, "rollback", [commits.earlier.slice(0, 8)]);
    assert.equal(exitCode, 0, output);
    assert.doesNotMatch(output, /building/);
    assert.equal(await running(), commits.earlier);
    await eventually(async () => (await (await fetch(world.url)).text()).includes("<h1>First "), "its page");
  });
});
