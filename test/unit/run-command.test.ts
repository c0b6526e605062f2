import assert from "node:assert/strict";
import { mock } from "node:test";
import { runCommand } from "../../infra/model/run-command.ts";

const sh = (script: string, options = {}) => runCommand("sh", ["-c", script], options);

describe("a program that is run", () => {
  afterEach(() => {
    mock.restoreAll();
  });

  it("says how it ended and what it said, without the last line end", async () => {
    assert.deepEqual(await sh("printf 'a\\nb\\n\\n'; printf 'c\\r\\n' >&2; exit 3"), {
      ...{ status: 3, signal: undefined, timedOut: false, stdout: "a\nb\n", stderr: "c" },
    });
  });

  it("gets its input, its directory and further variables, and no shell reads its arguments", async () => {
    const options = { input: "x", cwd: "/", env: { FURTHER: "y" } };
    const script = 'cat; echo "$PWD $FURTHER ${HOME:+home} $0"';
    const { stdout } = await runCommand("sh", ["-c", script, "$(echo z)"], options);
    assert.equal(stdout, "x/ y home $(echo z)");
  });

  it("gets what follows its input once that is known", async () => {
    let know: (text: string) => void = () => undefined;
    const more = new Promise<string>((resolve) => (know = resolve));
    const ran = sh("read -r first; echo $first >&2; cat", { input: "a\nb\n", more, show: ["stderr"] });
    mock.method(process.stderr, "write", () => {
      know("c\n");
    });
    assert.equal((await ran).stdout, "b\nc");
  });

  it("may end before it has read its input", async () => {
    assert.equal((await sh("exit 0", { input: "x".repeat(1_000_000) })).status, 0);
  });

  it("keeps nothing waiting once it is called off, though what it has begun goes on", async () => {
    const program = `import { runCommand } from "./infra/model/run-command.ts";
      const over = new AbortController();
      const ran = runCommand("sh", ["-c", "sleep 30 & wait"], { signal: over.signal });
      setTimeout(() => over.abort(), 200);
      await ran.catch((error) => console.log(error.name));`;
    const { status, stdout } = await runCommand("node", ["--input-type=module", "--eval", program]);
    assert.deepEqual([status, stdout], [0, "AbortError"]);
  });

  it("is ended after its time", async () => {
    const { status, signal, timedOut } = await sh("exec sleep 60", { timeout: 0.01 });
    assert.deepEqual([status, signal, timedOut], [undefined, "SIGTERM", true]);
  });

  it("is not ended before", async () => {
    assert.equal((await sh("exit 0", { timeout: 60 })).timedOut, false);
  });

  it("is shown where that is wanted, and its standard error is kept all the same", async () => {
    const shown: unknown[] = [];
    mock.method(process.stderr, "write", (text: unknown) => shown.push(text));
    const { stderr } = await sh("echo a >&2", { show: ["stderr"] });
    await sh("echo b >&2");
    assert.deepEqual([stderr, shown], ["a", ["a\n"]]);
  });

  it("is told by its process id", async () => {
    const ids: number[] = [];
    const { stdout } = await sh("echo $$", { started: (id: number) => ids.push(id) });
    assert.deepEqual(ids, [Number(stdout)]);
  });

  it("that does not exist fails", async () => {
    await assert.rejects(runCommand("no-such-program", []), { code: "ENOENT" });
  });

  it("hears the signals that its runner hears, as long as it runs", async () => {
    for (const signal of ["SIGTERM", "SIGHUP"] as const) {
      const before = process.listenerCount(signal);
      const ended = await sh("exec sleep 60", {
        started: () => setImmediate(() => process.emit(signal, signal)),
      });
      assert.equal(ended.signal, signal);
      assert.equal(process.listenerCount(signal), before);
    }
  });
});
