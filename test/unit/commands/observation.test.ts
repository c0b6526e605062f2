import assert from "node:assert/strict";
import { DOCKER, OLD, report } from "../live-stack.ts";
import { healthy, project, withProject } from "../project.ts";

describe("commands that look", function () {
  withProject(this, healthy);

  it("have Pulumi download no plugin by itself", async () => {
    project.answer("pulumi stack history", {
      talk: 'echo "$PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" >asked; echo "[]"',
    });
    assert.equal((await project.run(["history"])).status, 0);
    assert.equal(project.read("asked"), "true\n");
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
        .answer("ssh check-health.sh", {
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
      project.answer("ssh check-health.sh", { status: 255, stderr: "ssh: Could not resolve hostname" });
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

    it("lets Pulumi ask the ssh-agent only where the stack has no key of its own", async () => {
      project.answer("pulumi stack history", { talk: '[ -z "$SSH_AUTH_SOCK" ] && echo "[]"' });
      const agent = { SSH_AUTH_SOCK: "/tmp/an-agent" };
      assert.equal((await project.run(["history"], agent)).status, 1);
      project.configure({ sshPrivateKey: { secure: "v1:AAAA:BBBB" } });
      assert.equal((await project.run(["history"], agent)).status, 0);
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
});
