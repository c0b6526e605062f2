import assert from "node:assert/strict";
import { hostname, userInfo } from "node:os";
import { relative } from "node:path";
import { FakeProject } from "../fake-tools.ts";
import { DOCKER, history, NEW, OLD, report } from "../live-stack.ts";

describe("commands that look", function () {
  // Each command starts a process, which takes seconds on a busy machine.
  this.timeout(60_000);
  let project: FakeProject;

  beforeEach(() => {
    project = new FakeProject()
      .answer("ssh report-status.sh", { stdout: report() })
      .answer("pulumi stack history", {
        stdout: history([OLD, "succeeded", { repository: "/old" }], [NEW, "failed"]),
      });
  });
  afterEach(() => {
    project.close();
  });

  describe("status", () => {
    it("shows checks, containers and releases on one screen", async () => {
      const { status, stdout, stderr } = await project.run(["status"]);
      assert.deepEqual([status, stderr], [0, ""]);
      assert.match(stdout, /^training_bot on bot\.example\.org \(stack test\)\n\nChecks\n/);
      assert.match(stdout, /^ok +database +accepts connections$/m);
      assert.match(stdout, /^training_bot +running +healthy +\d+ days ago +a1a1a1a +0 +35MiB \/ 512MiB$/m);
      assert.match(stdout, /^training_bot_db +running .* - *$/m);
      assert.match(stdout, /^2026-01-20 00:00 +a1a1a1a +deploy a1a1a1a, by ann +9 s +succeeded$/m);
      assert.match(stdout, /^2026-01-19 00:00 +b2b2b2b .* failed$/m);
    });

    it("shows what is gone, and does without the releases where Pulumi cannot tell", async () => {
      project
        .answer("ssh report-status.sh", {
          stdout: report({ containers: [{ name: DOCKER.bot, status: "gone" }], memory: null }),
        })
        .answer("pulumi stack history", { status: 1, stderr: "error: no bucket" });
      const { status, stdout } = await project.run(["status"]);
      assert.equal(status, 0);
      assert.match(stdout, /^training_bot +gone +- +- +0 +-$/m);
      assert.match(stdout, /Last releases\nThe stack's history cannot be read: error: no bucket$/);
    });

    it("says that nothing was released yet", async () => {
      project.answer("pulumi stack history", { stdout: "[]" });
      assert.match((await project.run(["status"])).stdout, /Last releases\nNothing has been released yet\.$/);
    });

    it("prints JSON with the whole report", async () => {
      const { stdout } = await project.run(["status", "--json"]);
      const view = JSON.parse(stdout) as {
        releases: string[][];
        report: { databaseReady: boolean };
        note: string;
      };
      assert.deepEqual([view.releases.length, view.report.databaseReady, view.note], [2, true, ""]);
    });

    it("writes one page, where it was called", async () => {
      const page = `${project.directory}/page.html`;
      const { status, stdout } = await project.run(["status", "--html", page]);
      assert.deepEqual([status, stdout], [0, `written to ${page}`]);
      assert.match(project.read("page.html"), /<h1>training_bot on bot\.example\.org \(stack test\)<\/h1>/);
    });

    it("ends with 1 where the server cannot be asked", async () => {
      project.answer("ssh report-status.sh", { status: 255, stderr: "ssh: Could not resolve hostname" });
      const { status, stderr } = await project.run(["status"]);
      assert.deepEqual(
        [status, stderr],
        [1, "error: The server's name bot.example.org is unknown; correct `server.host`."],
      );
    });
  });

  describe("history", () => {
    it("lists the newest releases first, as many as are wanted", async () => {
      const { stdout } = await project.run(["history", "1"]);
      assert.match(stdout, /^when \(UTC\) .*\n2026-01-20 00:00 +a1a1a1a .*succeeded$/);
    });

    it("reads no more of the state than it shows, or little more", async () => {
      await project.run(["history", "4"]);
      await project.run(["status"]);
      const sizes = project
        .calls("pulumi stack history")
        .map(({ args }) => args[args.indexOf("--page-size") + 1]);
      assert.deepEqual(sizes, ["9", "11"]);
    });

    it("prints them with their configuration, without secrets", async () => {
      const { stdout } = await project.run(["history", "--json"]);
      const [first] = JSON.parse(stdout) as { config: object }[];
      assert.deepEqual(first?.config, { commit: OLD, app: { repository: "/old" } });
    });
  });

  describe("logs", () => {
    beforeEach(() => {
      project.answer("ssh show-logs.sh", { stdout: "a line\n" });
    });

    for (const [args, words] of [
      [["logs"], /CONTAINER=training_bot LOG_LINES=100 bash/],
      [["logs", "20", "--db"], /CONTAINER=training_bot_db LOG_LINES=20 bash/],
      [["logs", "-f", "--proxy"], /CONTAINER=training_bot_proxy LOG_LINES=100 FOLLOW=yes bash/],
    ] as const) {
      it(`shows what ${args.join(" ")} asks for`, async () => {
        const { status, stdout } = await project.run([...args]);
        assert.deepEqual([status, stdout], [0, "a line"]);
        assert.match(project.calls("ssh show-logs.sh")[0]?.command ?? "", words);
      });
    }

    it("says why there are none", async () => {
      project.answer("ssh show-logs.sh", { status: 1, stderr: "There is no container.\n" });
      const { status, stderr } = await project.run(["logs"]);
      assert.deepEqual([status, stderr], [1, "error: There is no container."]);
    });
  });

  describe("restart", () => {
    it("restarts the bot, and says how long it took", async () => {
      project.answer("ssh restart-bot.sh", { stderr: "held\n" });
      const { status, stdout, stderr } = await project.run(["restart"]);
      assert.deepEqual([status, stderr], [0, "held"]);
      assert.match(stdout, /^restart: training_bot is .*, \d+\.\d s$/);
    });

    it("says why it failed", async () => {
      project.answer("ssh restart-bot.sh", { status: 1, stderr: "held\nThe bot did not come up.\n" });
      const { status, stderr } = await project.run(["restart"]);
      assert.equal(status, 1);
      assert.match(stderr, /error: The restart failed: The bot did not come up\.$/);
    });
  });

  describe("drift", () => {
    const writes = () =>
      project.calls("ssh install").map(({ command, stdin }) => [command.split("/").at(-1), stdin]);
    beforeEach(() => {
      project.answer("ssh check-files.sh", {}).answer("pulumi refresh", {}).answer("ssh install", {});
    });

    it("finds none on a server that is as the stack left it, and remembers that", async () => {
      const { status, stdout } = await project.run(["drift"]);
      assert.equal(status, 0);
      assert.match(stdout, /^no drift/);
      assert.ok(project.calls("pulumi refresh")[0]?.args.includes("--preview-only"));
      const [[name, written] = [], ...more] = writes();
      assert.deepEqual([name, more], ["drift.json", []]);
      assert.equal((JSON.parse(written ?? "") as { drifted: boolean }).drifted, false);
    });

    it("names files that differ, and remembers since when for the next update", async () => {
      project.answer("ssh check-files.sh", { stdout: "changed bin/x.sh\nmissing proxy/Caddyfile\n" });
      const { status, stdout } = await project.run(["drift"]);
      assert.equal(status, 2);
      assert.match(stdout, /^changed bin\/x\.sh in \/home\/deploy\/hockey\nmissing proxy\/Caddyfile in /);
      assert.match(stdout, /pulumi up/);
      assert.deepEqual(
        writes().map(([name]) => name),
        ["damaged", "drift.json"],
      );
    });

    it("shows what Pulumi finds", async () => {
      project.answer("pulumi refresh", { status: 7, stdout: "~ docker:Container bot-container\n" });
      const { status, stdout } = await project.run(["drift"]);
      assert.equal(status, 2);
      assert.match(
        stdout,
        /^~ docker:Container bot-container\n\n.*differ from the stack; .*\.\/delivery deploy/,
      );
      assert.match(writes()[0]?.[1] ?? "", /"drifted":true/);
    });

    it("shows all that Pulumi says where it cannot compare, the last line last", async () => {
      project.answer("pulumi refresh", { status: 255, stdout: "Diagnostics:\n  one\n  two\n" });
      const { stderr } = await project.run(["drift"]);
      assert.equal(stderr, "Diagnostics:\n  one\nerror: Pulumi could not compare: two");
    });

    it("ends with 1 where Pulumi cannot compare, and remembers nothing", async () => {
      project.answer("pulumi refresh", { status: 255, stderr: "error: no plugin" });
      const { status, stderr } = await project.run(["drift"]);
      assert.deepEqual([status, stderr], [1, "error: Pulumi could not compare: error: no plugin"]);
      assert.deepEqual(writes(), []);
    });

    it("ends with 3 while an update has the stack", async () => {
      project.lock({ pid: process.pid, hostname: hostname() });
      const { status, stderr } = await project.run(["drift", "--wait", "0"]);
      assert.equal(status, 3);
      assert.match(stderr, /^error: The stack is locked by ann@/);
      assert.deepEqual(project.called(), []);
    });

    it("finds the update's lock on a backend that Pulumi names itself", async () => {
      project.lock({ pid: process.pid, hostname: hostname() });
      const home = relative(userInfo().homedir, project.directory);
      const backend = { url: `file://~/${home}/state?no_tmp_dir=true` };
      project.answer("pulumi whoami", { stdout: JSON.stringify(backend) });
      const { status } = await project.run(["drift", "--wait", "0"], { PULUMI_BACKEND_URL: undefined });
      assert.equal(status, 3);
    });

    it("says so where the backend is out of reach", async () => {
      project.answer("pulumi whoami", { status: 1, stderr: "error: no login" });
      const { status, stderr } = await project.run(["drift"], { PULUMI_BACKEND_URL: undefined });
      assert.deepEqual([status, stderr], [1, "error: Pulumi's backend is out of reach: error: no login"]);
    });

    it("takes no change of an update that began meanwhile for drift", async () => {
      project.answer("ssh check-files.sh", { stdout: "changed bin/x.sh\n" });
      project.answer("pulumi refresh", { talk: `${project.lockLater()}; exit 7` });
      const { status } = await project.run(["drift", "--wait", "0"]);
      assert.equal(status, 3);
      assert.deepEqual(writes(), []);
    });

    it("counts an unfinished operation as an update where the backend shows no locks", async () => {
      const pending = {
        deployment: { pending_operations: [{ type: "creating", resource: { urn: "a::bot" } }] },
      };
      project.answer("pulumi stack export", { stdout: JSON.stringify(pending) });
      const { status, stderr } = await project.run(["drift", "--wait", "0"], {
        PULUMI_BACKEND_URL: "https://x",
      });
      assert.equal(status, 3);
      assert.match(stderr, /The stack is locked by another update/);
    });
  });

  describe("a stack", () => {
    it("is the one that --stack or PULUMI_STACK names, else the only one", async () => {
      project.write("Pulumi.other.yaml", project.read("Pulumi.test.yaml"));
      for (const [args, env, title] of [
        [["--stack", "other"], {}, "other"],
        [[], { PULUMI_STACK: "other" }, "other"],
        [["--stack", "test"], { PULUMI_STACK: "other" }, "test"],
      ] as const) {
        const { stdout } = await project.run(["status", ...args], env);
        assert.match(stdout, new RegExp(`\\(stack ${title}\\)`));
      }
      const { status, stderr } = await project.run(["status"]);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^error: There are several stacks here \((other, test|test, other)\); name one with --stack\.$/,
      );
    });

    it("must be there", async () => {
      const { stderr } = await project.run(["status", "--stack", "none"]);
      assert.equal(stderr, "error: There is no Pulumi.none.yaml; name a stack with --stack (here: test).");
    });

    /** How a command fails on a configuration with these changes. */
    const refusal = async (changes: Record<string, unknown>, ...args: string[]) => {
      project.configure(changes);
      const { status, stdout, stderr } = await project.run(args.length > 0 ? args : ["status"]);
      assert.deepEqual([status, stdout, project.called()], [1, "", []]);
      return stderr;
    };

    it("must have a configuration without faults, before anything is asked for", async () => {
      const verbs = "deploy,rollback,restart,history,status,drift,logs,backup,backups".split(",");
      for (const verb of verbs) {
        assert.equal(
          await refusal({ name: "My Bot" }, verb),
          "error: Pulumi.test.yaml: name: is not valid; it needs lower-case letters, digits, _ and -, starting with a letter, e.g. training_bot",
        );
      }
    });

    it("must have its secrets, and have them encrypted", async () => {
      assert.match(
        await refusal({ telegramToken: undefined }),
        /^error: Pulumi\.test\.yaml: telegramToken: is missing; it needs the bot's token from @BotFather, e\.g\. .*$/,
      );
      assert.equal(
        await refusal({ telegramToken: "123456789:AAFakeTokenForTestsOnly-0123456789ab" }),
        "error: Pulumi.test.yaml: telegramToken: is stored in clear; set it again with `pulumi config set --secret telegramToken`",
      );
    });

    it("is told all its faults at once, and the cause last", async () => {
      assert.match(
        await refusal({ secretKey: undefined, colour: "red", app: "/srv/bot" }),
        /^ {2}app: is not valid; .*\n {2}secretKey: is missing; .*\n {2}colour: is not a key of this program; .*\nerror: Pulumi\.test\.yaml: The configuration has 3 faults; nothing was changed\.$/,
      );
    });

    it("must have a file that is YAML", async () => {
      project.write("Pulumi.test.yaml", "config:\n  hockey:app: [1\n");
      const { status, stderr } = await project.run(["status"]);
      assert.equal(status, 1);
      assert.match(stderr, /^error: Pulumi\.test\.yaml is not valid YAML: .* at line \d+, column \d+\.$/);
      project.write("Pulumi.test.yaml", "");
      assert.match(
        (await project.run(["status"])).stderr,
        /^ {2}server: is missing; [^]*\nerror: .* 5 faults; /,
      );
    });

    it("may have keys without the project's name, and objects as JSON, as Pulumi takes both", async () => {
      const text = project.read("Pulumi.test.yaml");
      project.write("Pulumi.test.yaml", text.replace("config:", "config:\n  proxy: '{\"port\": 8080}'"));
      assert.equal((await project.run(["status"])).status, 0);
      assert.match(project.calls("ssh report-status.sh")[0]?.command ?? "", /PUBLIC_PORT=8080/);
      project.write("Pulumi.test.yaml", text.replace("config:", "config:\n  comit: x"));
      assert.match(
        (await project.run(["status"])).stderr,
        /^error: .*: comit: is not a key of this program; /,
      );
    });
  });
});
