import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeProject } from "../fake-tools.ts";
import { rawConfig } from "../fixtures.ts";
import { BROKEN, DOCKER, exported, verdicts } from "../live-stack.ts";
import { project, withProject } from "../project.ts";
import { Receiver } from "../receiver.ts";

const TOKEN = "123456789:AAFakeTokenForTestsOnly-0123456789ab";
const { server: rawServer } = rawConfig() as { server: object };
const GONE = { status: 255, stderr: "ssh: connect to host: Connection refused" };

describe("health", function () {
  let receiver: Receiver;
  /** The bot's page, as visitors get it. */
  let page: Receiver;

  withProject(this, async () => {
    [receiver, page] = [await Receiver.start(), await Receiver.start()];
    const at = {
      server: { ...rawServer, host: "127.0.0.1" },
      proxy: { port: Number(new URL(page.url).port) },
    };
    const alerts = { telegramChat: "-100123", telegramApiUrl: receiver.url, webhook: `${receiver.url}/hook` };
    return new FakeProject({ alerts, ...at })
      .answer("pulumi config get telegramToken", { stdout: `${TOKEN}\n` })
      .answer("pulumi stack tag get unreachable-since", { status: 1, stderr: "not found" })
      .answer("pulumi stack tag set unreachable-since", {})
      .answer("pulumi stack tag rm unreachable-since", {})
      .answer("ssh check-health.sh", { stdout: verdicts() })
      .answer("ssh show-logs.sh", { stdout: "the container's log\n" });
  });
  afterEach(async () => {
    await receiver.close();
    await page.close();
  });

  /** What the server was asked, each time: its words, and what came after the script. */
  const looks = () =>
    project.calls("ssh check-health.sh").map(({ command, stdin }) => ({
      word: command.split(" ").at(-1),
      command,
      more: stdin.slice(stdin.lastIndexOf("\n}\n") + 3),
    }));

  it("ends with 0 where everything is healthy, and has the server tell what is news", async () => {
    const { status, stdout, stderr } = await project.run(["health"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /^ok +training_bot +runs, healthy$/m);
    assert.doesNotMatch(stdout, /warning|critical|log/);
    const [look] = looks();
    assert.equal(look?.word, "tell");
    assert.match(look.command, /CALLER_TIME=\d{10} /);
    const { host } = new URL(page.url);
    assert.equal(
      look.more,
      [
        `ok\toutside: ports\t-\t${host.replace("127.0.0.1:", "")} of 127.0.0.1 can be reached`,
        `ok\toutside: page\t-\thttp://${host}/health answers 200`,
        "setting\ttelegramChat\t-100123",
        `setting\ttelegramApiUrl\t${receiver.url}`,
        `setting\twebhook\t${receiver.url}/hook\n`,
      ].join("\n"),
    );
  });

  it("asks nothing but the server, and beside it for the stack's tag", async () => {
    await project.run(["health"]);
    assert.deepEqual(project.called().sort(), [
      "pulumi stack tag get unreachable-since",
      "ssh check-health.sh",
    ]);
  });

  it("ends with 1 for a warning", async () => {
    project.answer("ssh check-health.sh", {
      stdout: verdicts({ page: "warning\tpage\t-\trequests are held" }),
    });
    const { status, stdout } = await project.run(["health"]);
    assert.equal(status, 1);
    assert.match(stdout, /^warning +page +requests are held/m);
  });

  it("ends with 2 for what is critical, and shows the container's log before the table", async () => {
    project.answer("ssh check-health.sh", { stdout: verdicts(BROKEN) });
    const { status, stdout, stderr } = await project.run(["health"]);
    assert.deepEqual([status, stderr], [2, ""]);
    assert.match(
      stdout,
      /^The last log lines of training_bot_db:\nthe container's log\n\n[^]*^critical +database +does not accept connections$/m,
    );
    assert.match(
      project.calls("ssh show-logs.sh")[0]?.command ?? "",
      /CONTAINER=training_bot_db LOG_LINES=20 /,
    );
  });

  it("shows no log lines with --no-logs", async () => {
    project.answer("ssh check-health.sh", { stdout: verdicts(BROKEN) });
    const { status, stdout } = await project.run(["health", "--no-logs"]);
    assert.equal(status, 2);
    assert.doesNotMatch(stdout, /log/);
    assert.deepEqual(project.calls("ssh show-logs.sh"), []);
  });

  it("shows the proxy's warnings and errors only", async () => {
    const lines = Array.from({ length: 30 }, (_, index) => [
      `2026 {"level":"info","msg":"handled request"}`,
      `2026 {"level":"error","msg":"failure ${index}"}`,
    ]).flat();
    project
      .answer("ssh check-health.sh", {
        stdout: verdicts({ page: `critical\tpage\t${DOCKER.proxy}\tno answer` }),
      })
      .answer("ssh show-logs.sh", { stdout: lines.join("\n") });
    const { stdout } = await project.run(["health"]);
    assert.deepEqual(
      [...stdout.matchAll(/failure (\d+)/g)].map(([, number]) => Number(number)),
      Array.from({ length: 20 }, (_, index) => index + 10),
    );
    assert.doesNotMatch(stdout, /handled request/);
    assert.match(project.calls("ssh show-logs.sh")[0]?.command ?? "", /LOG_LINES=500 /);
  });

  it("prints JSON for a program, and neither logs nor alerts with --no-alert", async () => {
    project.answer("ssh check-health.sh", { stdout: verdicts(BROKEN) });
    const { status, stdout } = await project.run(["health", "--json", "--no-alert"]);
    assert.equal(status, 2);
    const { level, verdicts: found } = JSON.parse(stdout) as { level: string; verdicts: object[] };
    assert.equal(level, "critical");
    const text = "does not accept connections";
    assert.deepEqual(
      found.filter((verdict) => "check" in verdict && verdict.check === "database"),
      [{ check: "database", level: "critical", text, container: DOCKER.database }],
    );
    assert.deepEqual(
      [looks().map(({ word }) => word), project.called(), receiver.requests],
      [["look"], ["ssh check-health.sh"], []],
    );
  });

  it("repeats what the server says of channels that failed", async () => {
    const stderr = "The alert could not be sent by the webhook: it answered 500.\n";
    project.answer("ssh check-health.sh", { stdout: `${verdicts()}unsent\twebhook\n`, stderr });
    const ended = await project.run(["health"]);
    assert.deepEqual([ended.status, ended.stderr], [0, `warning: ${stderr.trim()}`]);
    assert.equal(looks().length, 1);
  });

  it("hands the configured token over where the server could not tell by Telegram", async () => {
    const stderr = "The alert could not be sent by Telegram: the bot's token is out of reach.\n";
    project.answer(
      "ssh check-health.sh",
      { stdout: `${verdicts()}unsent\ttelegram\n`, stderr },
      { stdout: verdicts() },
    );
    const ended = await project.run(["health"]);
    assert.deepEqual([ended.status, ended.stderr], [0, ""]);
    assert.match(looks()[1]?.more ?? "", new RegExp(`^setting\ttelegramToken\t${TOKEN}$`, "m"));
    assert.ok(!looks().some(({ command }) => command.includes(TOKEN)));
    project
      .answer("ssh check-health.sh", { stdout: `${verdicts()}unsent\ttelegram\n`, stderr })
      .answer("pulumi config get telegramToken", { status: 1 });
    assert.equal((await project.run(["health"])).stderr, `warning: ${stderr.trim()}`);
  });

  describe("of a server that does not answer", () => {
    beforeEach(() => {
      project.answer("ssh check-health.sh", GONE);
    });
    /** Where Pulumi keeps the tags of a stack in files. */
    const state = () => {
      const directory = join(project.directory, "state/.pulumi/stacks/hockey");
      mkdirSync(directory, { recursive: true });
      writeFileSync(
        join(directory, "test.json"),
        JSON.stringify({
          checkpoint: { latest: (JSON.parse(exported()) as { deployment: object }).deployment },
        }),
      );
      return join(directory, "test.pulumi-tags");
    };
    const tagged = (tags: string) => {
      writeFileSync(state(), JSON.stringify({ version: 1, tags: { "unreachable-since": tags } }));
    };
    const SINCE = "2026-01-01T00:00:00.000Z";

    it("ends with 3, tells every channel, and leaves a tag beside the state", async () => {
      const { status, stdout, stderr } = await project.run(["health"]);
      assert.equal(status, 3);
      assert.match(stdout, /^critical +server +The server does not answer at 127\.0\.0\.1:22/m);
      assert.match(stderr, /^error: The server does not answer at 127\.0\.0\.1:22 .*$/);
      const message =
        /^training_bot on 127\.0\.0\.1\nbroken: server The server does not .* \(since 20.* UTC\)$/;
      const chat = JSON.parse(receiver.to(`/bot${TOKEN}/sendMessage`)[0] ?? "{}") as Record<string, string>;
      const hook = JSON.parse(receiver.to("/hook")[0] ?? "{}") as { text: string; broken: object[] };
      assert.equal(chat.chat_id, "-100123");
      assert.match(chat.text ?? "", message);
      assert.deepEqual([hook.text, hook.broken.length], [chat.text, 1]);
      const [set] = project.calls("pulumi stack tag set unreachable-since");
      assert.match(set?.args.join(" ") ?? "", /^stack tag set unreachable-since 20\S+Z --stack test /);
    });

    it("tells no second time while the tag is there, whichever machine looks", async () => {
      project.answer("pulumi stack tag get unreachable-since", { stdout: `${SINCE}\n` });
      assert.equal((await project.run(["health"])).status, 3);
      assert.deepEqual(receiver.requests, []);
    });

    it("reads the tag of a state in files itself", async () => {
      tagged(SINCE);
      assert.equal((await project.run(["health"])).status, 3);
      assert.deepEqual(receiver.requests, []);
      assert.deepEqual(project.called(), ["ssh check-health.sh"]);
    });

    it("tells once that the server is back, and takes the tag away", async () => {
      tagged(SINCE);
      project.answer("ssh check-health.sh", { stdout: verdicts() });
      assert.equal((await project.run(["health"])).status, 0);
      assert.match(
        (JSON.parse(receiver.to("/hook")[0] ?? "{}") as { text: string }).text,
        /\nrecovered: server, which could not be asked since 2026-01-01 00:00 UTC$/,
      );
      assert.equal(project.calls("pulumi stack tag rm unreachable-since").length, 1);
    });

    it("leaves the news to others on a machine that knows no channel", async () => {
      project.configure({ server: { ...rawServer, host: "127.0.0.1" } });
      assert.equal((await project.run(["health"])).status, 3);
      tagged(SINCE);
      project.answer("ssh check-health.sh", { stdout: verdicts() });
      await project.run(["health"]);
      assert.deepEqual(project.calls("pulumi stack tag set unreachable-since"), []);
      assert.deepEqual(project.calls("pulumi stack tag rm unreachable-since"), []);
    });

    it("keeps a file on this machine where Pulumi's state is out of reach", async () => {
      for (const word of ["get", "set", "rm"])
        project.answer(`pulumi stack tag ${word} unreachable-since`, {
          status: 255,
          stderr: "error: no bucket",
        });
      await project.run(["health"]);
      await project.run(["health"]);
      assert.equal(receiver.to("/hook").length, 1);
      assert.match(project.read(".ssh/unreachable.json"), /^\{"since":"20\S+Z"\}$/);
      project.answer("ssh check-health.sh", { stdout: verdicts() });
      await project.run(["health"]);
      await project.run(["health"]);
      assert.equal(receiver.to("/hook").length, 2);
      assert.throws(() => project.read(".ssh/unreachable.json"));
    });

    it("knows what an earlier version has told", async () => {
      project.write(".ssh/unreachable.json", JSON.stringify({ failing: { server: SINCE } }));
      await project.run(["health"]);
      assert.deepEqual(receiver.requests, []);
      project.write(".ssh/unreachable.json", "null");
      await project.run(["health"]);
      assert.equal(receiver.to("/hook").length, 1);
    });

    it("tries again where a channel failed, and names it without the token", async () => {
      receiver.status = 500;
      const { status, stderr } = await project.run(["health"]);
      assert.equal(status, 3);
      assert.match(stderr, /^warning: The alert could not be sent by Telegram: it answered 500\.$/m);
      assert.match(stderr, /^warning: The alert could not be sent by the webhook: it answered 500\.$/m);
      assert.ok(!stderr.includes(TOKEN));
      assert.deepEqual(project.calls("pulumi stack tag set unreachable-since"), []);
    });

    it("tells and remembers nothing with --no-alert", async () => {
      assert.equal((await project.run(["health", "--no-alert"])).status, 3);
      assert.deepEqual([receiver.requests, project.called()], [[], ["ssh check-health.sh"]]);
    });

    it("ends with 2 where it answers and cannot look", async () => {
      project.answer("ssh check-health.sh", { status: 1, stderr: "no bash" });
      const { status, stdout, stderr } = await project.run(["health"]);
      assert.deepEqual([status, stderr], [2, "error: no bash"]);
      assert.match(stdout, /^critical +server +no bash$/m);
    });
  });
});
