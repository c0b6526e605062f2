import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, hostname, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { mock } from "node:test";
import { assertUnlocked, LockedError, readLock, throwIfLocked, untilUnlocked } from "../../operator/lock.ts";
import type { Stack } from "../../operator/stack.ts";

/** Above every process id that Linux gives. */
const NO_PROCESS = 2 ** 22 + 1;
const SINCE = "2026-01-01T00:00:00Z";

const caught = (action: () => void): LockedError => {
  try {
    action();
  } catch (error) {
    if (error instanceof LockedError) return error;
    throw error;
  }
  throw new Error("not locked");
};

describe("a lock that Pulumi reports", () => {
  const message = (pid: number, host: string) =>
    `error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with \`pulumi cancel\`.\n  file:///x.json: created by ann@${host} (pid ${pid}) at ${SINCE}`;

  it("is told from other failures", () => {
    throwIfLocked("error: something else");
  });

  it("names its holder, whom nothing here can take for dead on another machine", () => {
    const error = caught(() => {
      throwIfLocked(message(NO_PROCESS, "elsewhere"));
    });
    assert.deepEqual(error.lock, {
      holder: `ann@elsewhere (process ${NO_PROCESS}, since ${SINCE})`,
      dead: false,
    });
    assert.equal(error.status, 3);
    assert.equal(
      error.message,
      `The stack is locked by ann@elsewhere (process ${NO_PROCESS}, since ${SINCE}); wait for it, or, if it was killed, continue with: ./delivery deploy --recover`,
    );
  });

  it("is dead when its process on this machine has ended", () => {
    const error = caught(() => {
      throwIfLocked(message(NO_PROCESS, hostname()));
    });
    assert.equal(
      error.message,
      `An earlier update was killed in the middle: ann@${hostname()} (process ${NO_PROCESS}, since ${SINCE}) still holds the stack's lock and does not run any more; continue with: ./delivery deploy --recover`,
    );
  });

  it("is alive while its process on this machine runs, even as another user", () => {
    for (const pid of [process.pid, 1]) {
      const { lock } = caught(() => {
        throwIfLocked(message(pid, hostname()));
      });
      assert.equal(lock.dead, false);
    }
  });

  it("has no name on Pulumi Cloud", () => {
    const { lock } = caught(() => {
      throwIfLocked("error: [409] Conflict: Another update is currently in progress.");
    });
    assert.deepEqual(lock, { holder: "another update", dead: false });
  });
});

describe("a lock in a file", () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "locks-"))));
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it("is none without its directory, and in one without a lock", () => {
    assert.equal(readLock(join(directory, "none")), undefined);
    writeFileSync(join(directory, "half-written"), "{");
    assert.equal(readLock(directory), undefined);
  });

  it("says who has it", () => {
    const content = { pid: NO_PROCESS, username: "ann", hostname: hostname(), timestamp: SINCE };
    writeFileSync(join(directory, "1.json"), JSON.stringify(content));
    assert.deepEqual(readLock(directory), {
      holder: `ann@${hostname()} (process ${NO_PROCESS}, since ${SINCE})`,
      dead: true,
    });
  });

  it("is none any more where it goes while it is read", () => {
    symlinkSync(join(directory, "gone"), join(directory, "1.json"));
    assert.equal(readLock(directory), undefined);
  });

  it("fails where the file cannot be read", () => {
    mkdirSync(join(directory, "1.json"));
    assert.throws(() => readLock(directory), /EISDIR/);
  });
});

describe("a stack in a directory", () => {
  const stack = { name: "test" } as Stack;
  let directory: string;
  const url = process.env.PULUMI_BACKEND_URL;
  const locks = () => join(directory, ".pulumi", "locks", "organization", "hockey", "test");
  const lock = () => {
    const content = { pid: process.pid, username: "ann", hostname: "elsewhere", timestamp: SINCE };
    writeFileSync(join(locks(), "1.json"), JSON.stringify(content));
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "state-"));
    mkdirSync(locks(), { recursive: true });
    process.env.PULUMI_BACKEND_URL = `file://${directory}?no_tmp_dir=true`;
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
    if (url === undefined) delete process.env.PULUMI_BACKEND_URL;
    else process.env.PULUMI_BACKEND_URL = url;
  });

  it("is free while no update has it, and then is not", async () => {
    await assertUnlocked(stack);
    lock();
    await assert.rejects(assertUnlocked(stack), LockedError);
  });

  it("may be below the home directory", async () => {
    lock();
    const below = `~/${relative(homedir(), directory)}`;
    process.env.PULUMI_BACKEND_URL = `file://${below}`;
    await assert.rejects(assertUnlocked(stack), LockedError);
  });
});

describe("waiting for a lock", () => {
  const locked = (dead = false) => new LockedError({ holder: "ann", dead });
  let said: string[];
  beforeEach(() => {
    said = [];
    mock.timers.enable({ apis: ["setTimeout", "Date"] });
    mock.method(console, "log", (line: string) => said.push(line));
  });
  afterEach(() => {
    mock.timers.reset();
    mock.restoreAll();
  });

  /** Waits for so long, in time that the test makes pass; gives what came of it and how often the action was tried. */
  const wait = async (seconds: number, action: () => void) => {
    let tries = 0;
    const waiting = untilUnlocked(seconds, () => {
      tries += 1;
      action();
      return Promise.resolve("done");
    }).catch((error: unknown) => error);
    for (let passed = 0; passed <= seconds; passed += 1) {
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      mock.timers.tick(1000);
    }
    return { result: await waiting, tries };
  };

  it("tries again until the lock is free, and says once what it waits for", async () => {
    let left = 3;
    const { result, tries } = await wait(60, () => {
      left -= 1;
      if (left >= 0) throw locked();
    });
    assert.deepEqual([result, tries], ["done", 4]);
    assert.deepEqual(said, ["waiting up to 60 s for ann"]);
  });

  it("ends after the time given", async () => {
    const error = locked();
    const { result, tries } = await wait(6, () => {
      throw error;
    });
    assert.equal(result, error);
    assert.equal(tries, 3);
  });

  it("does not begin where there is no time for it, or the holder is dead", async () => {
    for (const [seconds, error] of [
      [0, locked()],
      [60, locked(true)],
    ] as const) {
      const { result, tries } = await wait(seconds, () => {
        throw error;
      });
      assert.deepEqual([result, tries, said], [error, 1, []]);
    }
  });

  it("passes every other error on", async () => {
    const error = new Error("something else");
    const { result, tries } = await wait(60, () => {
      throw error;
    });
    assert.deepEqual([result, tries], [error, 1]);
  });
});
