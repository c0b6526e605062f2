import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { bash } from "./server-shell.ts";

const MIB = 1024 ** 2;

describe("the memory of a container", () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), "memory-"))));
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  const put = (path: string, content: string) => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  /** A control group that has used so much, of which `cache` may go. */
  const group = (version: 1 | 2, path: string, used: number, cache: number) => {
    const [usage, stat] =
      version === 2
        ? ["memory.current", `anon 1\ninactive_file ${cache}\nactive_file 2\n`]
        : ["memory.usage_in_bytes", `inactive_file 1\ntotal_inactive_file ${cache}\n`];
    put(`cgroup/${path}/${usage}`, `${used}\n`);
    put(`cgroup/${path}/memory.stat`, stat);
  };
  const used = (script = "used_memory abc 42 || echo unknown") =>
    bash(["-c", `set -euo pipefail; source ${SERVER_SCRIPTS}/lib/memory.sh; if ${script}; then :; fi`], "", {
      CGROUPS: join(root, "cgroup"),
      PROCESSES: join(root, "proc"),
    });

  for (const [what, version, path] of [
    ["the second version, with systemd", 2, "system.slice/docker-abc.scope"],
    ["the second version, without", 2, "docker/abc"],
    ["the first version, with systemd", 1, "memory/system.slice/docker-abc.scope"],
    ["the first version, without", 1, "memory/docker/abc"],
  ] as const) {
    it(`is that of its control group, without the file cache: ${what}`, async () => {
      group(version, path, 1000, 400);
      assert.deepEqual(await used(), { status: 0, stdout: "600", stderr: "" });
    });
  }

  it("is found by the main process where the group has another name", async () => {
    put("proc/42/cgroup", "0::/user.slice/docker-abc.scope\n");
    group(2, "user.slice/docker-abc.scope", 70, 20);
    assert.equal((await used()).stdout, "50");
    put("proc/42/cgroup", "9:pids:/x\n4:memory:/mine/abc\n0::/mine/abc\n");
    group(1, "memory/mine/abc", 90, 20);
    assert.equal((await used()).stdout, "70");
  });

  it("is all that is used where the cache would be more", async () => {
    group(2, "docker/abc", 100, 100);
    assert.equal((await used()).stdout, "100");
  });

  it("is unknown where nothing can be read, without a word", async () => {
    assert.deepEqual(await used(), { status: 0, stdout: "unknown", stderr: "" });
    put("proc/42/cgroup", "0::/gone\n");
    put("cgroup/docker/abc/memory.current", "100\n");
    assert.deepEqual(await used(), { status: 0, stdout: "unknown", stderr: "" });
  });

  it("comes with the count of processes that the kernel had to kill, which outlives the container", async () => {
    const killed = () => used("killed_beside abc 42 || echo unknown");
    assert.equal((await killed()).stdout, "unknown");
    group(2, "system.slice/docker-abc.scope", 70, 20);
    assert.deepEqual(await killed(), { status: 0, stdout: "unknown", stderr: "" });
    put("cgroup/system.slice/memory.events", "low 1\noom 9\noom_kill 4\noom_group_kill 0\n");
    assert.equal((await killed()).stdout, "4");
  });

  it("reads as in docker stats", async () => {
    const words = (line: string) => used(`memory_in_words <<<${JSON.stringify(line)}`);
    const cases: [bytes: number, text: string][] = [
      [0, "0B"],
      [1023, "1023B"],
      [1024, "1KiB"],
      [33_649_131, "32.09MiB"],
      [43_515_904, "41.5MiB"],
      [512 * MIB, "512MiB"],
      [25_276_026_880, "23.54GiB"],
    ];
    for (const [bytes, text] of cases) {
      assert.equal((await words(`bot ${bytes} 0`)).stdout, `{"bot":"${text} / 0B"}`);
    }
    const { stdout } = await used("printf '%s\\n' 'a 1 2' 'b 3 4' | memory_in_words");
    assert.equal(stdout, '{"a":"1B / 2B","b":"3B / 4B"}');
    assert.equal((await used("memory_in_words </dev/null")).stdout, "null");
  });
});
