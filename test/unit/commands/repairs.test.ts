import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { TYPES } from "../../../infra/model/names.ts";
import type { Reply } from "../fake-tools.ts";
import { DOCKER, exported, history, listed, LIVE, NEW, OLD, urn } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

describe("deploy, where state and server differ:", function () {
  withProject(this);

  const updates = () => project.calls("pulumi up");
  /** The flags of the last update beside those that each one has. */
  const flags = () => {
    const args = updates().at(-1)?.args ?? [];
    return ["--refresh", "--replace"].filter((flag) => args.includes(flag));
  };

  it("it ends the update that it has begun, refreshes after one that was killed, then begins another", async () => {
    const pending = exported({ pending: [["creating", urn(TYPES.container, "bot-container")]] });
    project
      .answer("pulumi up", { update: { then: "touch gone-ahead" } })
      .answer("pulumi stack export", { stdout: pending }, { stdout: exported() })
      .answer("pulumi refresh", { talk: "[ ! -e gone-ahead ]" });
    const { status, stdout, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /state and the server differ: creating bot-container was begun and not finished\./);
    assert.match(stdout, /^deploy: b2b2b2b is live/m);
    const [refresh] = project.calls("pulumi refresh");
    assert.ok(refresh?.args.includes("--clear-pending-creates"));
    assert.equal(updates().length, 2);
    // The image was built beside the first one.
    assert.equal(project.calls("ssh build-image.sh").length, 1);
  });

  it("and says why where it cannot refresh", async () => {
    project
      .answer("ssh check-server.sh", { stdout: listed({ without: ["id-bot"] }) })
      .answer("pulumi up", { update: { then: "touch gone-ahead" } })
      .answer("pulumi refresh", { status: 1, stderr: "error: no backend" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [1, "error: The state could not be refreshed: error: no backend"]);
    assert.ok(!existsSync(join(project.directory, "gone-ahead")));
  });

  it("it has the state follow a bot that the server has put back by itself", async () => {
    const replaced = exported({ replacedBot: "id-failed" });
    project
      .answer("pulumi stack export", { stdout: replaced }, { stdout: replaced }, { stdout: exported() })
      .answer("pulumi stack import", {});
    const { status, stdout } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.match(stdout, /^The server has put a1a1a1a back by itself; Pulumi's state follows\.$/m);
    const [imported] = project.calls("pulumi stack import");
    assert.deepEqual(JSON.parse(imported?.stdin ?? ""), JSON.parse(exported()));
    assert.deepEqual(project.calls("pulumi refresh"), []);
  });

  it("it has the state follow so after its own update that failed, before it puts the last release back", async () => {
    project
      .answer("pulumi up", { update: { errors: ["ended with status 3"] } }, { update: {} })
      .answer("pulumi stack history", { stdout: history([NEW, "failed"], LIVE) })
      .answer("pulumi stack import", {});
    const replaced = { stdout: exported({ replacedBot: "id-failed" }) };
    project
      .answer("pulumi stack export", { stdout: exported() }, replaced, replaced, { stdout: exported() })
      .answer("ssh docker inspect", { stdout: "id-bot\n" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /: ended with status 3; a1a1a1a is back\.$/);
    const [imported, ...more] = project.calls("pulumi stack import");
    assert.deepEqual(JSON.parse(imported?.stdin ?? ""), JSON.parse(exported()));
    assert.deepEqual([more, updates().length], [[], 2]);
  });

  it("and leaves that to the plan where it cannot be done at once", async () => {
    project
      .answer("pulumi up", { update: { errors: ["ended with status 3"] } }, { update: {} })
      .answer("pulumi stack history", { stdout: history([NEW, "failed"], LIVE) })
      .answer("pulumi stack import", {})
      .answer("ssh docker inspect", { status: 255, stderr: "Connection refused" });
    const replaced = { stdout: exported({ replacedBot: "id-failed" }) };
    project.answer("pulumi stack export", { stdout: exported() }, ...Array<Reply>(3).fill(replaced), {
      stdout: exported(),
    });
    const { stderr } = await project.run(["deploy"]);
    assert.match(stderr, /; a1a1a1a is back\.$/);
    assert.equal(project.calls("pulumi stack import").length, 1);
  });

  it("it compares everything where a container has stopped, and builds an image anew that is gone", async () => {
    const stopped = listed().replace("id-proxy running", "id-proxy exited");
    project.answer("ssh check-server.sh", { stdout: stopped });
    assert.equal((await project.run(["deploy"])).status, 0);
    assert.deepEqual([flags(), updates().length], [["--refresh"], 2]);
    project
      .answer("ssh check-server.sh", { stdout: listed().replace(/^image=.*\n/, "") })
      .answer("ssh build-image.sh", {});
    assert.equal((await project.run(["deploy", OLD])).status, 0);
    assert.deepEqual([flags(), updates().length], [["--replace"], 4]);
  });

  it("it leaves a bot that the state does not know to the swap", async () => {
    const more = [`container=${DOCKER.bot} id-lost exited ${OLD}`];
    project
      .answer("ssh check-server.sh", { stdout: listed({ without: ["id-bot"], more }) })
      .answer("pulumi stack export", { stdout: exported() }, { stdout: exported({ without: "id-bot" }) })
      .answer("pulumi refresh", {});
    const { status } = await project.run(["deploy"]);
    assert.equal(status, 0);
    assert.deepEqual(project.calls("ssh docker rm"), []);
  });

  /** The copy of a container that an upgrade of the database makes. */
  const copy = listed({ more: [`container=${DOCKER.database} id-copy exited copy`] });

  it("it removes what else the state does not know, while the proxy holds the requests", async () => {
    project
      .answer("ssh check-server.sh", { stdout: copy }, { stdout: copy }, { stdout: listed() })
      .answer("pulumi refresh", {})
      .answer("ssh hold-requests.sh", { status: 1, stderr: "no proxy" })
      .answer("ssh docker stop", { status: 1 })
      .answer("ssh docker rm", {});
    const { status, stderr } = await project.run(["deploy"]);
    assert.deepEqual([status, stderr], [0, "The proxy could not hold the requests: no proxy"]);
    const calls = project
      .calls()
      .map(({ name, command }) => (name.startsWith("ssh docker") ? command : name));
    const at = calls.indexOf("ssh hold-requests.sh");
    assert.deepEqual(calls.slice(at, at + 4), [
      "ssh hold-requests.sh",
      "docker stop id-copy",
      "docker rm --force id-copy",
      "pulumi up",
    ]);
  });

  it("and stops where that cannot be removed", async () => {
    project
      .answer("ssh check-server.sh", { stdout: copy })
      .answer("pulumi up", { update: { then: "touch gone-ahead" } })
      .answer("pulumi refresh", {})
      .answer("ssh hold-requests.sh", {})
      .answer("ssh docker stop", {})
      .answer("ssh docker rm", { status: 1, stderr: "device is busy" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /The container training_bot_db is left over and could not be removed: device is bu/);
    assert.ok(!existsSync(join(project.directory, "gone-ahead")));
  });

  it("it lets a data volume leave the stack that is not wanted any more", async () => {
    project.configure({ commit: OLD, database: { volume: "other_volume" } });
    project
      .answer("pulumi stack export", { stdout: exported() }, { stdout: exported({ unprotected: true }) })
      .answer("pulumi state unprotect", {});
    const { status } = await project.run(["deploy"]);
    assert.equal(status, 0);
    const [unprotect] = project.calls("pulumi state unprotect");
    assert.equal(unprotect?.args[2], urn(TYPES.volume, "database-data"));
  });

  it("and does not begin again and again where that has no effect", async () => {
    project.configure({ commit: OLD, database: { volume: "other_volume" } });
    project.answer("pulumi state unprotect", {});
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: What had to be put right first \(unprotect\) was done and is still not right\./,
    );
    assert.equal(updates().length, 2);
  });

  it("and stops where it cannot", async () => {
    project.configure({ commit: OLD, database: { volume: "other_volume" } });
    project.answer("pulumi state unprotect", { status: 1, stderr: "error: no such urn" });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: The volume database-data cannot leave the stack: error: no such urn$/);
  });

  it("it touches nothing that this stack did not make", async () => {
    const foreign = listed({
      without: ["id-proxy"],
      more: [`container=${DOCKER.proxy} id-other running -`],
    });
    const state = exported().replace('"id":"id-proxy"', '"id":""');
    project
      .answer("ssh check-server.sh", { stdout: foreign })
      .answer("pulumi stack export", { stdout: state })
      .answer("pulumi refresh", {});
    const { status, stderr } = await project.run(["deploy", "--new-server"]);
    assert.equal(status, 1);
    assert.match(stderr, /has a container training_bot_proxy that this stack did not make/);
    assert.deepEqual(project.calls("ssh docker rm"), []);
  });
});
