import assert from "node:assert/strict";
import { healthy, project, withProject } from "../project.ts";

describe("a stack", function () {
  withProject(this, healthy);

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
    assert.match(project.calls("ssh check-health.sh")[0]?.command ?? "", /PUBLIC_PORT=8080/);
    project.write("Pulumi.test.yaml", text.replace("config:", "config:\n  comit: x"));
    assert.match((await project.run(["status"])).stderr, /^error: .*: comit: is not a key of this program; /);
  });
});
