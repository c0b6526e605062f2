import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { CheckHealth, fact, inspect, NAMES, RUNNING } from "./check-health-driver.ts";

describe("a health check on the server", function () {
  this.timeout(20_000);
  let server: CheckHealth;

  beforeEach(async () => {
    server = await CheckHealth.start();
  });
  afterEach(() => {
    server.close();
  });

  it("starts docker three times, never to sample the memory, and changes nothing where it only looks", async () => {
    const { report, calls, stderr, status, verdict } = await server.run("look");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.deepEqual([...new Set(calls.map((call) => call.split(" ").slice(0, 2).join(" ")))].sort(), [
      "container inspect",
      `exec ${NAMES[2]}`,
      "info --format",
    ]);
    assert.deepEqual(
      report?.containers.map(({ name, status }) => [name, status]),
      NAMES.map((name) => [name, "running"]),
    );
    assert.deepEqual(report.memory, Object.fromEntries(NAMES.map((name) => [name, "35MiB / 512MiB"])));
    assert.ok(Math.abs(report.clock - Date.now() / 1000) < 60);
    assert.ok(report.disk.size > report.disk.free && report.disk.free > 0);
    assert.deepEqual([report.gateClosed, report.databaseReady], [false, true]);
    assert.match(report.load, /^[\d.]+ [\d.]+ [\d.]+$/);
    assert.deepEqual([report.backup, report.verifiedBackup], [null, null]);
    assert.equal(verdict("database")?.level, "ok");
    assert.throws(() => server.read("deploy/health/known"));
  });

  it("knows of a container that is gone, one that has stopped, and one without a limit", async () => {
    const { report, verdict } = await server.run("look", {
      ...RUNNING,
      ...inspect(fact(NAMES[1], { pid: 0, status: "exited" }), fact(NAMES[2], { limit: 0 }), "exit 1"),
    });
    assert.deepEqual(report?.containers[0], { name: NAMES[0], status: "gone" });
    assert.deepEqual(report.memory, { [NAMES[1]]: "0B / 0B", [NAMES[2]]: "35MiB / 8GiB" });
    assert.match(verdict(NAMES[1])?.text ?? "", /^has stopped; start it with: docker start training_bot_db/);
  });

  it("leaves out the memory that cannot be known", async () => {
    rmSync(join(server.root, "cgroup"), { recursive: true });
    assert.equal((await server.run("look")).report?.memory, null);
  });

  it("asks PostgreSQL for a session as the bot's role, and pg_isready only where that says nothing", async () => {
    await server.run("look");
    const [packet = ""] = server.asked;
    assert.equal(packet.charCodeAt(3), packet.length);
    assert.equal(packet.slice(4), "\0\u0003\0\0user\0hockey\0database\0hockey_db\0\0");
    server.answer = "E";
    assert.equal((await server.run("look")).verdict("database")?.level, "critical");
    const isReady = { ...RUNNING, [`exec ${NAMES[1]} pg_isready`]: "exit 0" };
    assert.equal((await server.run("look", isReady)).verdict("database")?.level, "ok");
  });

  describe("of a gate that is closed", () => {
    const closed = (ago: number, holder: number) => ({
      ...RUNNING,
      [`exec ${NAMES[2]} sh -c stat`]: `echo $((EPOCHSECONDS - ${ago})); echo ${holder}-1`,
    });
    const NOT_THERE = 2 ** 22 + 1;

    it("does not wait for the page, and says what holds the requests", async () => {
      const { report, verdict } = await server.run("look", closed(60, process.pid));
      assert.equal(report?.gateClosed, true);
      assert.match(verdict("page")?.text ?? "", /^requests are held, for [56]\d s: a restart is under way$/);
      server.write("restore", "stage=holding\n");
      assert.match(
        (await server.run("look", closed(3, NOT_THERE))).verdict("page")?.text ?? "",
        /: a restore is/,
      );
      server.write("upgrade", "stage=holding\n");
      assert.match(
        (await server.run("look", closed(3, NOT_THERE))).verdict("page")?.text ?? "",
        /: an upgrade is/,
      );
    });

    it("knows a release by its guard's lock", async () => {
      server.write("swap/lock", "");
      const guard = `exec 9>>${server.root}/swap/lock; flock 9;`;
      const docker = closed(3, NOT_THERE);
      const info = { "info --format": `{ ${guard} sleep 5; } >/dev/null 2>&1 & echo /` };
      const { verdict } = await server.run("look", { ...docker, ...info });
      assert.match(verdict("page")?.text ?? "", /: a release is under way$/);
    });

    it("calls it a fault where nothing holds them any more", async () => {
      const { verdict } = await server.run("look", closed(3, NOT_THERE));
      assert.deepEqual(
        [verdict("page")?.level, verdict("page")?.text.includes("nothing is under way")],
        ["critical", true],
      );
    });
  });

  describe("of a page", () => {
    let web: Server;
    const listen = async (handler: Parameters<typeof createServer>[1]) => {
      web = createServer(handler);
      await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
      return String((web.address() as AddressInfo).port);
    };
    afterEach(() => web.close());

    it("does not wait long while the bot does not answer", async () => {
      const PUBLIC_PORT = await listen((socket) => socket.on("error", () => undefined));
      const began = Date.now();
      const { verdict } = await server.run("look", RUNNING, { PORT: "1", PUBLIC_PORT });
      assert.equal(verdict("page")?.text, "no answer through the proxy");
      assert.ok(Date.now() - began < 8000);
    });

    it("has what the bot and the page answer, the bot's reasons among it", async () => {
      const body =
        '{"status": "unhealthy", "reasons": ["no database", "deaf"], "poller": {"seconds_since_success": 300.5}}';
      const hosts: string[] = [];
      const port = await listen((socket) => {
        let asked = "";
        socket
          .on("error", () => undefined)
          .on("data", (data) => {
            asked += data.toString();
            if (!asked.endsWith("\r\n\r\n")) return;
            hosts.push(asked.split("\r\n")[1] ?? "");
            socket.end(`HTTP/1.0 503 No\r\n\r\n${body}`);
          });
      });
      const { verdict } = await server.run("look", RUNNING, { PORT: port, PUBLIC_PORT: port });
      assert.equal(verdict("/health")?.text, "status 503: no database; deaf");
      assert.equal(verdict("page")?.text, "status 503 through the proxy");
      assert.equal(verdict("poller")?.text, "has not got through to Telegram for 300 s");
      assert.deepEqual(hosts, ["Host: 127.0.0.1", "Host: localhost"]);
    });
  });

  it("has the newest backup, the newest verified one, copies, and what commands leave", async () => {
    const time = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString().slice(0, 19) + "Z";
    const entry = (file: string, hours: number, more: string) =>
      `{"file":"${file}","time":"${time(hours)}","bytes":10,${more},"contents":{"rows":{},"objects":{}}}`;
    const lines = [
      entry("a", 3, '"verified":true,"copy":"wanted"'),
      entry("b", 2, '"verified":false,"shrunk":"public.games 1000 to 10"'),
      // The newest line of a file counts, and its time.
      entry("a", 3, `"verified":true,"copy":"wanted","copied":"${time(1)}"`),
      '{"file":"c","ver',
    ];
    server.write("manifest", lines.join("\n"));
    server.write("drift", `{"drifted":true,"time":"${time(1)}"}\n`);
    server.write("images", `caddy:2 ${Math.floor(Date.now() / 1000) - 40 * 86_400}\n`);
    const { report, verdict } = await server.run("look", RUNNING, { REMOTE: "x:y" });
    assert.deepEqual([report?.backup?.file, report?.verifiedBackup?.file], ["b", "a"]);
    const texts = ["backup", "copies", "tables", "drift", "images"].map((check) => verdict(check)?.text);
    assert.match(
      texts[0] ?? "",
      /^b, 10 B, 2 h ago, not verified; the last verified one is a, 10 B, 3 h ago$/,
    );
    assert.deepEqual(texts.slice(1), [
      "the newest backup was copied 60 min ago",
      "rows were lost before b: public.games 1000 to 10",
      "found 60 min ago; see: ./delivery drift",
      "have had updates: caddy:2 for 40 days; see: ./delivery images",
    ]);
  });

  it("goes on where Docker does not answer, and says so", async () => {
    const { status, stderr, verdict, verdicts } = await server.run("look", {});
    assert.deepEqual([status, stderr], [0, ""]);
    assert.equal(verdict("docker")?.level, "critical");
    assert.ok(verdicts.some(({ check }) => check === "disk"));
    assert.ok(!verdicts.some(({ check }) => check === NAMES[0]));
  });
});
