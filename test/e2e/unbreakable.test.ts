import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { cutConnections, rebootServer } from "../../sandbox/server.ts";
import { assertUnnoticed, BotDriver, CONTAINERS, HOME, SETTINGS } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { createWorld, unchanged, up, type World } from "./world.ts";

/** Within this time a server that has lost all that drove the swap serves again, by itself. */
const SECONDS = 60;

const SWAP = `env SETTINGS=${SETTINGS} ${HOME}/bin/swap-bot.sh`;

/** Moments of a swap, and shell that is true on the server from then on. */
const MOMENTS = {
  // The brackets: this line is in the command line of the shell that runs it.
  "while the image is built": "pgrep -f '[d]ocker build'",
  "while the old bot stops":
    "docker ps --format '{{.Names}}' | grep -qx training_bot && [ -e /home/deploy/hockey/swap/journal ]",
  "once the old bot has stopped": "docker ps --all --format '{{.Names}}' | grep -qx training_bot_before",
  "while the new bot starts":
    "[ $(docker ps --all --format '{{.Names}}' | grep -c '^training_bot\\(_before\\)\\?$') = 2 ]",
  "in the new bot's probation":
    "[ -e /home/deploy/hockey/swap/journal ] && docker exec training_bot true 2>/dev/null && docker exec training_bot_proxy sh -c '! test -e /gate/closed'",
};
type Moment = keyof typeof MOMENTS;

/** Processes of an update on this machine, by what is in their command line. */
const PROCESSES = {
  "the command": /operator\/cli\.ts/,
  "Pulumi's command line": /(^|\/)pulumi up /,
  "the program": /--root-directory/,
  "the plugins": /pulumi-resource-/,
  "the whole runner": /./,
};

/** Whether a process was still there to be killed. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    return false;
  }
}

describe("a swap that is broken off", () => {
  let world: World;
  let bot: BotDriver;

  before(async () => {
    world = await createWorld("unbreakable");
    bot = new BotDriver(world);
    await up(world);
    // Every moment must last long enough to be met: this bot takes a second to stop and three to start.
    await world.release("main.py", (text) =>
      `import time; time.sleep(3)\n${text}`.replace(
        /^(\s*)(log\.info\("%s: stopping".*)$/m,
        "$1$2\n$1import time; time.sleep(1)",
      ),
    );
    await bot.ok("deploy");
  });

  after(() => world.close());

  /** Waits for a moment; a loop on the server meets it within milliseconds. */
  const untilMoment = (moment: Moment) =>
    bot.sh(`for i in $(seq 2000); do if ${MOMENTS[moment]}; then exit; fi; sleep 0.01; done; exit 1`, "root");

  /** What the last deploy that was started says. */
  const log = () => join(world.directory, "deploy.log");

  const start = (commit: string): ChildProcess => {
    const output = openSync(log(), "w");
    const command = spawn("./delivery", ["deploy", commit], {
      cwd: world.stack.project,
      env: { ...process.env, ...world.stack.env, PULUMI_STACK: "test" },
      stdio: ["ignore", output, output],
      detached: true,
    });
    closeSync(output);
    return command;
  };

  /** The processes of this machine. */
  async function processes(): Promise<{ pid: number; ppid: number; args: string }[]> {
    const listed = (await run("ps", ["-eo", "pid,ppid,args"])).split("\n").slice(1);
    return listed.map((line) => {
      const [, pid, ppid, args = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      return { pid: Number(pid), ppid: Number(ppid), args };
    });
  }

  /** The processes that a process has started, itself included. */
  async function descendants(root: number): Promise<{ pid: number; args: string }[]> {
    const all = await processes();
    const found = all.filter(({ pid }) => pid === root);
    for (const process of found) found.push(...all.filter(({ ppid }) => ppid === process.pid));
    return found;
  }

  /** Kills some of the processes of a command, as soon as they are there: the image is built beside the start of all others. */
  async function killSome({ pid: root = 0 }: ChildProcess, who: keyof typeof PROCESSES): Promise<void> {
    const some = async () => {
      const all = (await descendants(root)).reverse();
      return all.filter(({ pid, args }) => PROCESSES[who].test(args) && kill(pid)).length > 0;
    };
    await eventually(some, `${who} to be killed`, 3);
  }

  /** Waits for the end of what a killed command has left running: until then that has the stack. */
  async function leavesNothing(): Promise<void> {
    const isOver = async () => {
      const updates = (await processes()).filter(({ args }) => PROCESSES["Pulumi's command line"].test(args));
      const links = updates.map(({ pid }) => readlink(`/proc/${pid}/cwd`).catch(() => "it has ended"));
      return !(await Promise.all(links)).includes(world.stack.project);
    };
    await eventually(isOver, "the end of Pulumi's command line", SECONDS);
  }

  /** The bot answers, one container of it, and nothing of the swap is left. */
  async function serves(): Promise<void> {
    try {
      await eventually(async () => (await bot.health()).status === "ok", "a bot that serves", SECONDS);
      await eventually(
        async () => (await bot.containers()).join() === CONTAINERS.join(),
        "one bot and nothing of the swap",
        SECONDS,
      );
    } catch (error) {
      const said = await readFile(log(), "utf8").catch(() => "");
      throw new Error([(error as Error).message, said, await bot.situation()].join("\n"), { cause: error });
    }
  }

  /** The next deploy finishes the work. */
  async function finishes(commit: string): Promise<void> {
    await bot.ok("deploy", commit, "--recover");
    assert.equal(await bot.running(), commit);
    assert.deepEqual(await bot.containers(), CONTAINERS);
    assert.ok(await unchanged(world.stack));
  }

  const KILLS: [who: keyof typeof PROCESSES, moment: Moment, slow?: true][] = [
    ["the whole runner", "while the image is built", true],
    ["the whole runner", "while the old bot stops"],
    ["the whole runner", "once the old bot has stopped"],
    ["the whole runner", "while the new bot starts"],
    ["the whole runner", "in the new bot's probation", true],
    ...(["the command", "Pulumi's command line", "the program", "the plugins"] as const).flatMap((who) =>
      (Object.keys(MOMENTS) as Moment[])
        // Pulumi starts its plugins once the image is there.
        .filter((moment) => who !== "the plugins" || moment !== "while the image is built")
        .map((moment): [typeof who, Moment, true] => [who, moment, true]),
    ),
  ];
  for (const [who, moment, slow] of KILLS) {
    it(`by a kill -9 of ${who} ${moment} is not noticed${slow ? " @slow" : ""}`, async () => {
      const commit = await bot.slowChange(`${who} ${moment}`);
      const seen = await bot.during(`kill -9 of ${who} ${moment}`, async () => {
        const command = start(commit);
        const ended = once(command, "exit");
        await untilMoment(moment);
        await killSome(command, who).finally(() => ended);
        await serves();
        await leavesNothing();
      });
      assertUnnoticed(seen, { doubled: 1 });
      await finishes(commit);
    });
  }

  for (const [moment, slow] of [
    ["while the old bot stops", true],
    ["once the old bot has stopped", false],
    ["while the new bot starts", true],
    ["in the new bot's probation", true],
  ] as const) {
    it(`because SSH is cut ${moment} is not noticed${slow ? " @slow" : ""}`, async () => {
      const commit = await bot.change(`cut ${moment}`);
      const seen = await bot.during(`SSH cut ${moment}`, async () => {
        const ended = once(start(commit), "exit");
        await untilMoment(moment);
        await cutConnections(world.server);
        await ended;
        await serves();
      });
      assertUnnoticed(seen, { doubled: 1 });
      await finishes(commit);
    });

    for (const [what, act] of [
      ["the server reboots", () => rebootServer(world.server)],
      ["Docker restarts", () => world.onServer("systemctl", "restart", "docker")],
    ] as const) {
      it(`because ${what} ${moment} leaves one bot that serves${slow ? " @slow" : ""}`, async () => {
        const commit = await bot.change(`${what} ${moment}`);
        const overlaps = world.telegram.overlaps();
        const ended = once(start(commit), "exit");
        await untilMoment(moment);
        await act();
        await serves();
        await ended;
        assert.equal(world.telegram.overlaps(), overlaps);
        await finishes(commit);
      });
    }
  }

  it("while Docker still makes the new container is not noticed", async () => {
    const good = await bot.running();
    // Docker copies what the image has there into the new volume, and shows the container only then.
    const make =
      "docker create --name training_bot --volume late:/usr $(docker inspect --format '{{.Image}}' training_bot_before)";
    const untilBegun = "for i in $(seq 500); do docker volume inspect late && break; sleep 0.01; done";
    const seen = await bot.during("a container that comes late", async () => {
      await bot.sh(`${SWAP} begin; ${make} & ${untilBegun}; ${SWAP} abandon; wait`);
      await serves();
    });
    await bot.sh("docker volume rm late");
    assertUnnoticed(seen, { doubled: 1 });
    assert.equal(await bot.running(), good);
    assert.ok(await unchanged(world.stack));
  });

  it("because Docker forgets the new container leaves one bot that serves, and no other process", async () => {
    const good = await bot.running();
    const make =
      "docker run --detach --name training_bot --network bot_network --entrypoint sleep $(docker inspect --format '{{.Image}}' training_bot_before) 600";
    const id = (await bot.sh(`${SWAP} begin; ${make}`)).trim();
    // So it is left by a daemon that ends before it has noted what it has started. One that is killed starts nothing again.
    await bot.sh(
      `pkill -KILL -x dockerd
      sed -i 's/"Running":true/"Running":false/' /var/lib/docker/containers/${id}/config.v2.json
      systemctl restart docker
      docker start training_bot_db training_bot_proxy`,
      "root",
    );
    await serves();
    assert.equal(await bot.running(), good);
    assert.equal(await bot.sh(`grep -ls ${id} /proc/[0-9]*/cgroup || true`), "");
    assert.ok(await unchanged(world.stack));
  });

  it("because Docker refuses the new container lets requests in at once, also for `pulumi up`", async () => {
    const file = join(world.stack.project, "infra", "components", "Bot.ts");
    const text = await readFile(file, "utf8");
    const good = await bot.running();
    await writeFile(file, text.replace('drops: ["ALL"]', 'drops: ["CAP_NONSENSE"]'));
    let output = "";
    const seen = await bot.during("a container that Docker refuses", async () => {
      ({ output } = await bot.up());
    });
    await writeFile(file, text);
    assertUnnoticed(seen, { doubled: 1 });
    assert.match(output, /CAP_NONSENSE/);
    // The old bot had to stop and start, three seconds, and nothing waited for a limit.
    assert.ok(seen.slowestSeconds < 9, `${seen.slowestSeconds} s`);
    assert.equal(await bot.running(), good);
    await serves();
    assert.ok(await unchanged(world.stack));
  });
});
