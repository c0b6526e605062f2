import assert from "node:assert/strict";
import { RESOURCES } from "../../../infra/model/names.ts";
import { DOCKER, exported, listed, OLD } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

describe("deploy and the server that it finds", function () {
  withProject(this);

  describe("where nothing is of this stack", () => {
    const shown =
      /bot\.example\.org:22 shows a server without this stack \(host key SHA256:[\w+/]{43}\); its bot, database and backups would be made anew there, and the old ones stay where they are\./;
    const untouched = () => {
      assert.deepEqual([project.calls("pulumi stack import"), project.calls("pulumi up").length], [[], 1]);
    };

    for (const [what, state] of [
      ["with another host key", exported({ hostKey: "ssh-ed25519 AAAAOTHER" })],
      ["with the same host key, where the claim is gone too", exported()],
    ] as const) {
      it(`${what}, it changes nothing before the operator has said so`, async () => {
        project
          .answer("pulumi stack export", { stdout: state })
          .answer("ssh check-server.sh", { stdout: "" });
        const { status, stderr } = await project.run(["deploy"]);
        assert.equal(status, 1);
        assert.match(stderr, shown);
        assert.match(
          stderr,
          / Deploy there with `\.\/delivery deploy --new-server`, or correct `server\.host`\.$/,
        );
        untouched();
      });
    }

    it("asks on a terminal, and takes everything but yes for no", async () => {
      project.answer("ssh check-server.sh", { stdout: "" });
      const { status, stdout } = await project.run(["deploy"], {}, "y\n");
      assert.equal(status, 1);
      assert.match(stdout, shown);
      assert.match(
        stdout,
        /Deploy there\? \(yes\/no\)[^]*Nothing was changed; answer yes, or correct `server\.host`\./,
      );
      untouched();
    });

    it("goes on after a yes", async () => {
      const empty = JSON.stringify({ deployment: {} });
      project
        .answer("pulumi stack export", { stdout: exported() }, { stdout: exported() }, { stdout: empty })
        .answer("ssh check-server.sh", { stdout: "" })
        .answer("pulumi stack import", {});
      const { status } = await project.run(["deploy"], {}, "yes\n");
      assert.equal(status, 0);
    });
  });

  it("it touches no directory that another state of the stack has claimed", async () => {
    project.answer("ssh check-server.sh", { stdout: listed().replace("id-stack", "id-other") });
    const { status, stderr } = await project.run(["deploy"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: The directory \/home\/deploy\/hockey on the server belongs to the stack hockey\/test of another state/,
    );
    assert.equal(project.calls("pulumi up").length, 1);
  });

  it("it forgets another server's resources, and keeps GitHub's", async () => {
    const elsewhere = exported({ hostKey: "ssh-ed25519 AAAAOTHER" });
    const empty = JSON.stringify({ deployment: {} });
    project
      .answer("pulumi stack export", { stdout: elsewhere }, { stdout: elsewhere }, { stdout: empty })
      .answer("ssh check-server.sh", { stdout: "" })
      .answer("pulumi stack import", {});
    const { status, stdout } = await project.run(["deploy", "--new-server"]);
    assert.equal(status, 0);
    assert.match(stdout, /^Everything is made anew on this server\.$/m);
    const [imported] = project.calls("pulumi stack import");
    const { deployment } = JSON.parse(imported?.stdin ?? "") as {
      deployment: { resources: { urn: string }[] };
    };
    assert.deepEqual(
      deployment.resources.map((resource) => resource.urn.split("::").at(-1)),
      ["hockey-test", "github-SSH_HOST", RESOURCES.id, "release"],
    );
  });

  describe("it takes the certificates along to another server", () => {
    const PAGE = { domain: "bot.example.org" };
    const elsewhere = exported({ hostKey: "ssh-ed25519 AAAAOTHER" });

    beforeEach(() => {
      project.configure({ commit: OLD, proxy: PAGE });
      project
        .answer("pulumi stack export", ...[1, 2, 3].map(() => ({ stdout: elsewhere })), {
          stdout: JSON.stringify({ deployment: {} }),
        })
        .answer("ssh check-server.sh", { stdout: "" })
        .answer("pulumi stack import", {})
        .answer("ssh docker container", { stdout: "ok\n" })
        .answer("ssh docker create", { stdout: "carrier\n" })
        .answer("ssh docker cp", { stdout: "the archive" })
        .answer("ssh docker rm", {})
        .answer("ssh docker volume", {});
    });

    const hostOf = ({ args }: { args: string[] }) => args.at(-2);

    it("through this process alone, into a volume that nothing uses yet", async () => {
      const { status, stdout, stderr } = await project.run(["deploy", "--new-server"]);
      assert.deepEqual([status, stderr], [0, ""]);
      assert.match(stdout, /^The certificates of the proxy came along from the old server: /m);
      const copies = project.calls("ssh docker cp");
      const [from, to] = ["old.example.org", "bot.example.org"].map((host) =>
        copies.find((call) => hostOf(call) === host),
      );
      assert.equal(from?.command, `docker cp ${DOCKER.proxy}:/data/. -`);
      assert.ok(from.args.includes("KnownHostsCommand=/bin/echo %H ssh-ed25519 AAAAOTHER"));
      assert.ok(from.args.join(" ").includes("-p 2222 -l deploy"));
      assert.deepEqual([to?.command, to?.stdin], ["docker cp - carrier:/data", "the archive"]);
      const [create] = project.calls("ssh docker create");
      assert.equal(create?.command, `docker create --volume ${DOCKER.certificates}:/data caddy:2`);
      assert.deepEqual(project.calls("ssh docker volume"), []);
    });

    it("or says in a sentence why they stay behind, and goes on", async () => {
      project.answer("ssh docker container", { status: 255, stderr: "ssh: connect: no route to host" });
      const { status, stdout } = await project.run(["deploy", "--new-server"]);
      assert.equal(status, 0);
      assert.match(
        stdout,
        /^The certificates of the proxy could not come along from the old server \(ssh: connect: no route to host\); Caddy gets new ones as soon as bot\.example\.org leads here\.$/m,
      );
      assert.deepEqual(project.calls("ssh docker create"), []);
    });

    it("and leaves no half of them", async () => {
      project.answer("ssh docker cp", { stdout: "half", status: 1 });
      const { status, stdout } = await project.run(["deploy", "--new-server"]);
      assert.equal(status, 0);
      assert.match(stdout, /\(the copy broke off\)/);
      assert.equal(project.calls("ssh docker volume")[0]?.command, `docker volume rm ${DOCKER.certificates}`);
    });

    it("but not where the page has no domain", async () => {
      project.configure({ commit: OLD });
      project.answer(
        "pulumi stack export",
        { stdout: elsewhere },
        { stdout: elsewhere },
        { stdout: '{"deployment":{}}' },
      );
      const { stdout } = await project.run(["deploy", "--new-server"]);
      assert.doesNotMatch(stdout, /certificates/);
    });
  });

  it("and says why where the state cannot be changed", async () => {
    project
      .answer("pulumi stack export", { stdout: exported({ hostKey: "ssh-ed25519 AAAAOTHER" }) })
      .answer("ssh check-server.sh", { stdout: "" })
      .answer("pulumi stack import", { status: 1, stderr: "error: no space" });
    const { status, stderr } = await project.run(["deploy", "--new-server"]);
    assert.deepEqual([status, stderr], [1, "error: The state could not be changed: error: no space"]);
  });
});
