import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { FakeProject } from "../fake-tools.ts";
import { DOCKER, report } from "../live-stack.ts";

const TOKEN = "123456789:AAFakeTokenForTestsOnly-0123456789ab";
const BROKEN = { databaseReady: false };

/** What Telegram and a webhook would get: a real HTTP server on this machine. */
class Receiver {
  readonly requests: { path: string; body: unknown }[] = [];
  /** The paths of what was asked for. */
  readonly asked: string[] = [];
  /** The status of every answer to a POST. */
  status = 200;
  pending = 0;
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => {
      void this.answer(request).then(({ status, body }) => {
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      });
    });
  }

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => receiver.server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage) {
    const { url: path = "", method } = request;
    const sent = await text(request);
    if (method === "GET") {
      this.asked.push(path);
      return { status: 200, body: { ok: true, result: { pending_update_count: this.pending } } };
    }
    this.requests.push({ path, body: JSON.parse(sent) as unknown });
    return { status: this.status, body: {} };
  }
}

describe("health", function () {
  // Each command starts a process, which takes seconds on a busy machine.
  this.timeout(60_000);
  let project: FakeProject;
  let receiver: Receiver;

  beforeEach(async () => {
    receiver = await Receiver.start();
    const alerts = { telegramChat: "-100123", telegramApiUrl: receiver.url, webhook: `${receiver.url}/hook` };
    project = new FakeProject({ alerts })
      .answer("pulumi config get telegramToken", { stdout: `${TOKEN}\n` })
      .answer("ssh report-status.sh", { stdout: report() })
      .answer("ssh show-logs.sh", { stdout: "the container's log\n" })
      .answer("ssh install", {});
  });
  afterEach(async () => {
    project.close();
    await receiver.close();
  });

  /** What was put on the server to be remembered. */
  const kept = () => {
    const [write] = project.calls("ssh install");
    return write && { path: write.command.split(" ").at(-1), content: JSON.parse(write.stdin) as unknown };
  };

  it("ends with 0 and sends no alert where everything is healthy", async () => {
    const { status, stdout, stderr } = await project.run(["health"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /^ok +training_bot +runs, healthy$/m);
    assert.doesNotMatch(stdout, /warning|critical|log/);
    assert.deepEqual(receiver.requests, []);
    assert.deepEqual(kept(), { path: "/home/deploy/hockey/health.json", content: { failing: {} } });
  });

  it("ends with 1 for a warning, which sends no alert", async () => {
    project.answer("ssh report-status.sh", { stdout: report({ gateClosed: true }) });
    const { status, stdout } = await project.run(["health"]);
    assert.equal(status, 1);
    assert.match(stdout, /^warning +page +requests are held/m);
    assert.deepEqual(receiver.requests, []);
  });

  it("ends with 2 for what is critical, alerts every channel and shows the container's log", async () => {
    project.answer("ssh report-status.sh", { stdout: report(BROKEN) });
    const { status, stdout, stderr } = await project.run(["health"]);
    assert.deepEqual([status, stderr], [2, ""]);
    assert.match(stdout, /^critical +database +does not accept connections$/m);
    assert.match(stdout, /The last 100 log lines of training_bot_db:\nthe container's log/);
    assert.match(project.calls("ssh show-logs.sh")[0]?.command ?? "", /CONTAINER=training_bot_db /);
    const [hook, chat] = receiver.requests.sort((a, b) => b.path.localeCompare(a.path));
    const message = "training_bot on bot.example.org\nbroken: database does not accept connections";
    assert.deepEqual(chat, { path: `/bot${TOKEN}/sendMessage`, body: { chat_id: "-100123", text: message } });
    const text = "does not accept connections";
    const broken = [{ check: "database", container: DOCKER.database, level: "critical", text }];
    const told = hook?.body as Record<string, unknown> | undefined;
    assert.deepEqual([hook?.path, told?.text, told?.broken], ["/hook", message, broken]);
    const { failing } = kept()?.content as { failing: Record<string, string> };
    assert.deepEqual(Object.keys(failing), ["database"]);
  });

  it("alerts once when a check breaks and once when it recovers", async () => {
    const remembered = { failing: { database: "2026-01-01T00:00:00.000Z" } };
    project.answer("ssh report-status.sh", { stdout: report({ ...BROKEN, remembered }) });
    assert.equal((await project.run(["health"])).status, 2);
    assert.equal(receiver.requests.length, 0);
    assert.deepEqual(kept()?.content, remembered);
    project.answer("ssh report-status.sh", { stdout: report({ remembered }) });
    assert.equal((await project.run(["health"])).status, 0);
    assert.equal(receiver.requests.length, 2);
    assert.match(JSON.stringify(receiver.requests), /training_bot on bot\.example\.org\\n\w+: database/);
  });

  it("prints JSON for a program, and neither logs nor alerts with --no-alert", async () => {
    project.answer("ssh report-status.sh", { stdout: report(BROKEN) });
    const { status, stdout } = await project.run(["health", "--json", "--no-alert"]);
    assert.equal(status, 2);
    const { level, verdicts } = JSON.parse(stdout) as {
      level: string;
      verdicts: { check: string; level: string }[];
    };
    assert.equal(level, "critical");
    assert.deepEqual(
      verdicts.filter((verdict) => verdict.level === "critical").map(({ check }) => check),
      ["database"],
    );
    assert.deepEqual(receiver.requests, []);
  });

  it("asks nothing but the server where that knows the bot's token", async () => {
    project.answer("ssh report-status.sh", { stdout: `token=${TOKEN}\n${report()}` });
    receiver.pending = 3;
    const { status } = await project.run(["health", "--no-alert"]);
    assert.equal(status, 0);
    assert.deepEqual(receiver.asked, [`/bot${TOKEN}/getWebhookInfo`]);
    assert.deepEqual(project.called(), ["ssh report-status.sh"]);
    assert.match(project.calls()[0]?.command ?? "", /WITH_TOKEN=yes/);
  });

  it("counts the updates that wait by the configured token where the bot does not run", async () => {
    await project.run(["health", "--no-alert"]);
    assert.deepEqual(receiver.asked, [`/bot${TOKEN}/getWebhookInfo`]);
  });

  it("alerts by the configured token, which is the newer one where the two differ", async () => {
    project.answer("ssh report-status.sh", { stdout: `token=1:older\n${report(BROKEN)}` });
    await project.run(["health"]);
    assert.deepEqual(receiver.asked, ["/bot1:older/getWebhookInfo"]);
    assert.ok(receiver.requests.some(({ path }) => path === `/bot${TOKEN}/sendMessage`));
  });

  it("forgets nothing that could not be sent, and names the channel without the token", async () => {
    receiver.status = 500;
    project.answer("ssh report-status.sh", { stdout: report(BROKEN) });
    const { status, stderr } = await project.run(["health"]);
    assert.equal(status, 2);
    assert.match(stderr, /^warning: The alert could not be sent by Telegram: it answered 500\.$/m);
    assert.match(stderr, /^warning: The alert could not be sent by the webhook: it answered 500\.$/m);
    assert.ok(!stderr.includes(TOKEN));
    assert.equal(kept(), undefined);
  });

  it("takes the bot's token from its container where Pulumi cannot tell, and counts the updates that wait", async () => {
    const pendingSince = new Date(Date.now() - 600_000).toISOString();
    receiver.pending = 7;
    project
      .answer("pulumi config get telegramToken", { status: 1, stderr: "error: no passphrase" })
      .answer("ssh report-status.sh", {
        stdout: `token=${TOKEN}\n${report({
          health: Buffer.from("HTTP/1.1 200 OK\r\n\r\n{}").toString("base64"),
          remembered: { failing: {}, pendingSince },
        })}`,
      });
    const { status, stdout } = await project.run(["health"]);
    assert.equal(status, 2);
    assert.match(stdout, /^critical +poller +leaves 7 updates at Telegram, since /m);
    assert.ok(receiver.requests.some(({ path }) => path === `/bot${TOKEN}/sendMessage`));
  });

  it("says that Telegram cannot be told where nothing knows the token", async () => {
    project
      .answer("pulumi config get telegramToken", { status: 1 })
      .answer("ssh report-status.sh", { stdout: report(BROKEN) });
    const { stderr } = await project.run(["health"]);
    assert.match(
      stderr,
      /^warning: The alert could not be sent by Telegram: the bot's token is out of reach\.$/,
    );
    assert.deepEqual(
      receiver.requests.map(({ path }) => path),
      ["/hook"],
    );
  });

  it("ends with 3 where the server does not answer, and alerts once", async () => {
    const gone = { status: 255, stderr: "ssh: connect to host: Connection refused" };
    project.answer("ssh report-status.sh", gone);
    const first = await project.run(["health"]);
    assert.equal(first.status, 3);
    assert.match(first.stdout, /^critical +server +The server does not answer at bot\.example\.org:22/m);
    assert.match(first.stderr, /^error: The server does not answer at bot\.example\.org:22 .*$/);
    assert.equal(receiver.requests.length, 2);
    assert.equal((await project.run(["health"])).status, 3);
    assert.equal(receiver.requests.length, 2);
    // It is back: what was only known here is told, and remembered on the server again.
    project.answer("ssh report-status.sh", { stdout: report() });
    assert.equal((await project.run(["health"])).status, 0);
    assert.equal(receiver.requests.length, 4);
    assert.equal(project.read(".ssh/unreachable.json"), "null");
  });

  it("ends with 2 where the server answers and cannot report", async () => {
    project.answer("ssh report-status.sh", { status: 1, stderr: "no docker" });
    const { status, stdout, stderr } = await project.run(["health"]);
    assert.deepEqual([status, stderr], [2, "error: no docker"]);
    assert.match(stdout, /^critical +server +no docker$/m);
  });

  it("warns where it cannot remember on the server", async () => {
    project.answer("ssh install", { status: 1, stderr: "disk full" });
    const { status, stderr } = await project.run(["health"]);
    assert.deepEqual(
      [status, stderr],
      [0, "warning: /home/deploy/hockey/health.json could not be written: disk full"],
    );
  });
});
