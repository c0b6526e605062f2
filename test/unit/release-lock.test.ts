import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import { join, relative } from "node:path";
import { mock } from "node:test";
import {
  assertUnlocked,
  HalfWrittenError,
  LockedError,
  readLock,
  throwIfLocked,
  untilUnlocked,
} from "../../operator/lock.ts";
import type { Lock } from "../../operator/lock-holder.ts";
import type { Stack } from "../../operator/stack.ts";

/** Above every process id that Linux gives. */
const NO_PROCESS = 2 ** 22 + 1;
const SINCE = "2026-01-01T00:00:00Z";
/** Now, as Pulumi writes it: this process took its locks after it began. */
const NOW = new Date().toISOString().replace("Z", "123456Z");

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
  const message = (pid: number, host: string, since = SINCE, path = import.meta.filename) =>
    `error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with \`pulumi cancel\`.\n  file://${path}: created by ann@${host} (pid ${pid}) at ${since}`;
  const unknown = "what it is doing is not known here";
  const since = "since 2026-01-01 00:00:00 UTC";

  it("is told from other failures", () => {
    throwIfLocked("error: something else");
    throwIfLocked("error: failed to load checkpoint: unexpected EOF");
  });

  it("is told from a state beside which a killed update has half-written a note", () => {
    assert.throws(() => {
      throwIfLocked("error: failed to load checkpoint: EOF");
    }, /^Error: An earlier update was killed in the middle, .* continue with: \.\/delivery deploy --recover$/);
  });

  it("names its holder, of which nothing is known here on another machine", () => {
    const error = caught(() => {
      throwIfLocked(message(NO_PROCESS, "elsewhere"));
    });
    const holder = `ann@elsewhere (${unknown}; process ${NO_PROCESS}, ${since})`;
    assert.deepEqual(error.lock, { holder, state: "unknown" });
    assert.equal(error.status, 3);
    assert.equal(
      error.message,
      `The stack is locked by ${holder}; wait for it, or, if it was killed, continue with: ./delivery deploy --recover`,
    );
  });

  it("is dead when its process on this machine has ended", () => {
    const error = caught(() => {
      throwIfLocked(message(NO_PROCESS, hostname()));
    });
    assert.equal(
      error.message,
      `An earlier update was killed in the middle: ann@${hostname()} (${unknown}; process ${NO_PROCESS}, ${since}) still holds the stack's lock and does not run any more; continue with: ./delivery deploy --recover`,
    );
  });

  it("is not dead when it is gone: its update has ended as it should", () => {
    const { lock } = caught(() => {
      throwIfLocked(message(NO_PROCESS, hostname(), SINCE, "/no/such/lock.json"));
    });
    assert.equal(lock.state, "unknown");
  });

  it("is alive while its process on this machine runs, even as another user, and cannot be taken then", () => {
    for (const pid of [process.pid, 1]) {
      const error = caught(() => {
        throwIfLocked(message(pid, hostname(), NOW));
      });
      assert.equal(error.lock.state, "running");
      assert.match(error.message, /^The stack is locked by ann@.*, which still runs; wait for it\.$/);
    }
  });

  it("has no name on Pulumi Cloud", () => {
    const { lock, message } = caught(() => {
      throwIfLocked("error: [409] Conflict: Another update is currently in progress.");
    });
    const holder = "another update (by whom, of what and since when, this backend does not tell)";
    assert.deepEqual(lock, { holder, state: "unknown" });
    assert.match(
      message,
      /^The stack is locked by another update \(.*\); wait for it, or, if it was killed, /,
    );
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
      holder: `ann@${hostname()} (what it is doing is not known here; process ${NO_PROCESS}, since 2026-01-01 00:00:00 UTC)`,
      state: "dead",
    });
  });

  it("is that of the update that runs, where another one has left its own", () => {
    const content = { username: "ann", hostname: hostname(), timestamp: NOW };
    for (const [name, pid] of [
      ["1.json", NO_PROCESS],
      ["2.json", process.pid],
      ["3.json", NO_PROCESS],
    ] as const)
      writeFileSync(join(directory, name), JSON.stringify({ ...content, pid }));
    assert.equal(readLock(directory)?.state, "running");
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
  const lock = (changes = {}) => {
    const content = { pid: process.pid, username: "ann", hostname: "elsewhere", timestamp: NOW, ...changes };
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
    const below = `~/${relative(userInfo().homedir, directory)}`;
    process.env.PULUMI_BACKEND_URL = `file://${below}`;
    await assert.rejects(assertUnlocked(stack), LockedError);
  });
});

describe("waiting for a lock", () => {
  const locked = (state: Lock["state"] = "unknown") => new LockedError({ holder: "ann", state });
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

  it("is for one that runs, too", async () => {
    let left = 1;
    const { result } = await wait(60, () => {
      left -= 1;
      if (left >= 0) throw locked("running");
    });
    assert.equal(result, "done");
  });

  it("takes an update that writes a note of its state just now for none that was killed", async () => {
    let left = 2;
    const { result, tries } = await wait(60, () => {
      left -= 1;
      if (left >= 0) throw new HalfWrittenError();
    });
    assert.deepEqual([result, tries], ["done", 3]);
  });

  it("ends soon where such a note stays as it is", async () => {
    const { result, tries } = await wait(60, () => {
      throw new HalfWrittenError();
    });
    assert.match(String(result), /An earlier update was killed in the middle, /);
    assert.equal(tries, 3);
  });

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
      [60, locked("dead")],
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
