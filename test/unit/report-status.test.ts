import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle, SCRIPTS, SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { factsByName } from "../../infra/model/server-settings.ts";
import type { Report } from "../../operator/health/report.ts";
import { settings } from "./fixtures.ts";

const MIB = 1024 ** 2;

/** Runs bash; gives its end. Without SHLVL it would take itself for a login over a network. */
const bash = (args: string[], input: string, env: Record<string, string>) =>
  new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    const options = { env: { PATH: process.env.PATH, SHLVL: "1", ...env } };
    const child = execFile("bash", args, options, (_, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, stdout: stdout.trim(), stderr: stderr.trim() });
    });
    // What reads nothing may have ended before.
    child.stdin?.on("error", () => undefined).end(input);
  });

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

describe("the report of a server", function () {
  this.timeout(20_000);
  let root: string;
  /** Answers like PostgreSQL, or not. */
  let postgres: Server;
  let answer: string;
  let asked: string[];
  const NAMES = ["training_bot", "training_bot_db", "training_bot_proxy"] as const;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "report-"));
    answer = "R\0\0\0\u0008\0\0\0\u0003";
    asked = [];
    postgres = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (data) => {
        asked.push(data.toString("latin1"));
        socket.end(answer);
      });
    });
    await new Promise<void>((resolve) => postgres.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    postgres.close();
    rmSync(root, { recursive: true });
  });

  /** Runs the script with a `docker` that answers by its first words, and notes them. */
  async function report(
    docker: Record<string, string>,
    env: Record<string, string> = {},
  ): Promise<{ report: Report; stdout: string; stderr: string; status: number; calls: string[] }> {
    const cases = Object.entries(docker).map(([words, does]) => `"${words}"*) ${does} ;;`);
    const log = join(root, "calls");
    writeFileSync(log, "");
    const fake = `#!/bin/bash\necho "$*" >>${log}\ncase "$*" in\n${cases.join("\n")}\n*) exit 1 ;;\nesac\n`;
    mkdirSync(join(root, "bin"), { recursive: true });
    writeFileSync(join(root, "bin/docker"), fake);
    chmodSync(join(root, "bin/docker"), 0o755);
    const all = factsByName(settings());
    const facts = SCRIPTS["report-status.sh"].facts.map((name) => [name, all[name]]);
    const ended = await bash(["-s"], bundle("report-status.sh"), {
      ...(Object.fromEntries(facts) as Record<string, string>),
      ...{ CGROUPS: join(root, "cgroup"), PROCESSES: join(root, "proc") },
      DATABASE_PORT: String((postgres.address() as AddressInfo).port),
      PUBLIC_PORT: "1",
      ...{
        BACKUP_MANIFEST: join(root, "manifest"),
        DRIFT: join(root, "drift"),
        HEALTH: join(root, "health"),
      },
      ...env,
      PATH: `${join(root, "bin")}:${process.env.PATH ?? ""}`,
    });
    const calls = readFileSync(log, "utf8").trimEnd().split("\n");
    const json = ended.stdout.split("\n").at(-1) ?? "";
    return { report: JSON.parse(json.startsWith("{") ? json : "{}") as Report, calls, ...ended };
  }

  const fact = (name: string, pid = 7, limit = 512 * MIB, token = "") =>
    `echo '${name} id-${name} ${pid} ${limit} {"name":"${name}","status":"running"}' token:$([[ $* != *TELEGRAM_TOKEN* ]] || echo ${token}) 127.0.0.1`;
  const inspect = (...facts: string[]) => ({ "container inspect": facts.join("; ") || "exit 1" });
  const RUNNING = {
    "info --format": "echo /",
    ...inspect(...NAMES.map((name) => fact(name))),
    [`exec ${NAMES[2]} test -e`]: "exit 1",
  };

  beforeEach(() => {
    mkdirSync(join(root, "proc"));
    writeFileSync(join(root, "proc/meminfo"), `MemTotal:       ${8 * 1024 * 1024} kB\n`);
    for (const name of NAMES) {
      mkdirSync(join(root, `cgroup/docker/id-${name}`), { recursive: true });
      writeFileSync(join(root, `cgroup/docker/id-${name}/memory.current`), `${35 * MIB}\n`);
      writeFileSync(join(root, `cgroup/docker/id-${name}/memory.stat`), "inactive_file 0\n");
    }
  });

  it("starts docker three times, and never to sample the memory", async () => {
    const { report: found, calls, stderr, status } = await report(RUNNING);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.deepEqual(calls.map((call) => call.split(" ").slice(0, 2).join(" ")).sort(), [
      "container inspect",
      `exec ${NAMES[2]}`,
      "info --format",
    ]);
    assert.deepEqual(
      found.containers.map(({ name, status }) => [name, status]),
      NAMES.map((name) => [name, "running"]),
    );
    assert.deepEqual(found.memory, Object.fromEntries(NAMES.map((name) => [name, "35MiB / 512MiB"])));
    assert.ok(Math.abs(found.clock - Date.now() / 1000) < 60);
    assert.ok(found.disk.size > found.disk.free && found.disk.free > 0);
    assert.deepEqual([found.gateClosed, found.databaseReady], [false, true]);
    assert.match(found.load, /^[\d.]+ [\d.]+ [\d.]+$/);
    assert.deepEqual([found.certificate, found.backup, found.verifiedBackup], ["", null, null]);
    assert.deepEqual([found.drift, found.remembered, found.health, found.page], [null, null, "", ""]);
  });

  it("knows of a container that is gone, one that has stopped, and one without a limit", async () => {
    const { report: found } = await report({
      ...RUNNING,
      ...inspect(fact(NAMES[1], 0), fact(NAMES[2], 7, 0), "exit 1"),
    });
    assert.deepEqual(found.containers[0], { name: NAMES[0], status: "gone" });
    assert.deepEqual(found.memory, { [NAMES[1]]: "0B / 0B", [NAMES[2]]: "35MiB / 8GiB" });
  });

  it("knows of a server without any container", async () => {
    const { report: found } = await report({ ...RUNNING, "container inspect": "exit 1" });
    assert.deepEqual(
      [found.containers.map(({ status }) => status), found.memory, found.databaseReady],
      [["gone", "gone", "gone"], null, false],
    );
  });

  it("leaves out the memory that cannot be known", async () => {
    rmSync(join(root, "cgroup"), { recursive: true });
    assert.equal((await report(RUNNING)).report.memory, null);
  });

  it("asks PostgreSQL for a session as the bot's role, and pg_isready only where that says nothing", async () => {
    await report(RUNNING);
    const [packet = ""] = asked;
    assert.equal(packet.charCodeAt(3), packet.length);
    assert.equal(packet.slice(4), "\0\u0003\0\0user\0hockey\0database\0hockey_db\0\0");
    answer = "E";
    assert.equal((await report(RUNNING)).report.databaseReady, false);
    const isReady = { ...RUNNING, [`exec ${NAMES[1]} pg_isready`]: "exit 0" };
    assert.equal((await report(isReady)).report.databaseReady, true);
  });

  it("does not wait for a page that the closed gate holds", async () => {
    const held = createServer(() => undefined);
    await new Promise<void>((resolve) => held.listen(0, "127.0.0.1", resolve));
    try {
      const began = Date.now();
      const closed = { ...RUNNING, [`exec ${NAMES[2]} test -e`]: "exit 0" };
      const { report: found } = await report(closed, {
        PUBLIC_PORT: String((held.address() as AddressInfo).port),
      });
      assert.deepEqual([found.gateClosed, found.page], [true, ""]);
      assert.ok(Date.now() - began < 8000);
    } finally {
      held.close();
    }
  });

  it("does not wait long for a page while the bot does not answer", async () => {
    const held = createServer((socket) => socket.on("error", () => undefined));
    await new Promise<void>((resolve) => held.listen(0, "127.0.0.1", resolve));
    try {
      const began = Date.now();
      const PUBLIC_PORT = String((held.address() as AddressInfo).port);
      const { report: found } = await report(RUNNING, { PORT: "1", PUBLIC_PORT });
      assert.deepEqual([found.health, found.page], ["", ""]);
      assert.ok(Date.now() - began < 8000);
    } finally {
      held.close();
    }
  });

  it("has what the bot and the page answer", async () => {
    const web = createServer((socket) => {
      let asked = "";
      socket
        .on("error", () => undefined)
        .on("data", (data) => {
          asked += data.toString();
          const [, host = ""] = asked.split("\r\n");
          if (asked.endsWith("\r\n\r\n")) socket.end(`HTTP/1.0 200 OK\r\n\r\n${host}`);
        });
    });
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    try {
      const port = String((web.address() as AddressInfo).port);
      const { report: found } = await report(RUNNING, { PORT: port, PUBLIC_PORT: port });
      const text = (base64: string) => Buffer.from(base64, "base64").toString().split("\r\n\r\n")[1];
      assert.deepEqual([text(found.health), text(found.page)], ["Host: 127.0.0.1", "Host: localhost"]);
      assert.ok(found.healthMilliseconds >= 0);
    } finally {
      web.close();
    }
  });

  it("has the newest backup, the newest verified one, and what commands keep", async () => {
    const entries = [
      '{"file":"a","verified":true,"x":1}',
      '{"file":"b","verified":false}',
      '{"file":"c","ver',
    ];
    writeFileSync(join(root, "manifest"), entries.join("\n"));
    writeFileSync(join(root, "drift"), '{"drifted":false}\n');
    const { report: found } = await report(RUNNING);
    assert.deepEqual([found.backup?.file, found.verifiedBackup?.file], ["b", "a"]);
    assert.deepEqual(found.drift, { drifted: false });
  });

  it("tells the bot's token only when it is asked for", async () => {
    const knows = { ...RUNNING, ...inspect(fact(NAMES[0], 7, 0, "1:A"), fact(NAMES[1], 7, 0, "2:B")) };
    assert.doesNotMatch((await report(knows)).stdout, /token|1:A/);
    const { stdout, calls } = await report(knows, { WITH_TOKEN: "yes" });
    assert.match(stdout, /^token=1:A\n\{/);
    assert.equal(calls.length, 3);
    assert.match((await report(RUNNING, { WITH_TOKEN: "yes" })).stdout, /^\{/);
  });

  it("is refused where Docker does not answer", async () => {
    const { status, stdout, stderr } = await report({});
    assert.deepEqual([status, stdout], [1, ""]);
    assert.equal(stderr, "Docker does not answer on the server; start it there with: systemctl start docker");
  });
});
