import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { refuseClaim } from "../../infra/model/claim.ts";
import { serverPaths } from "../../infra/model/paths.ts";
import { settingsFile } from "../../infra/model/server-settings.ts";
import { COMMIT, Directories } from "./fake-directories.ts";
import { settings } from "./fixtures.ts";

describe("the directories of a stack", () => {
  let server: Directories;
  beforeEach(() => {
    server = new Directories();
  });
  afterEach(() => {
    server.close();
  });

  const refused = (ended: { status: number | null; stderr: string }, sentence: string) => {
    assert.equal(ended.stderr.replaceAll(server.directory, ""), sentence);
    assert.equal(ended.status, 1);
  };

  describe("are claimed", () => {
    const claim = (id = "id-1", name = "hockey/test", stack = server.stack()) =>
      server.run("claim-directories.sh", { STACK: name, STACK_ID: id }, stack, ["claim"]);
    const release = (id: string) =>
      server.run("claim-directories.sh", { STACK: "hockey/test", STACK_ID: id }, server.stack(), ["release"]);
    const isThere = (path: string) => existsSync(join(server.directory, path));

    it("by a stack that comes first, in files for its user alone", () => {
      assert.equal(claim().status, 0);
      for (const file of ["hockey/stack", "backups/.stack"]) {
        assert.equal(server.read(file), "hockey/test id-1\n");
        assert.equal(statSync(join(server.directory, file)).mode & 0o777, 0o600);
      }
    });

    it("by the same one again, which may have been killed, and which may have another name by now", () => {
      claim();
      assert.equal(claim().status, 0);
      assert.equal(claim("id-1", "hockey/production").status, 0);
      assert.equal(server.read("hockey/stack"), "hockey/production id-1\n");
    });

    it("by no other one, nor by another state of the same one", () => {
      claim();
      for (const name of ["hockey/test", "hockey/other"]) {
        refused(
          claim("id-2", name),
          "The directory /hockey on the server has just been claimed by the stack hockey/test of another state; nothing was changed.",
        );
      }
      refused(
        claim("id-2", "hockey/other", server.stack({}, ["other", "backups"])),
        "The directory /backups on the server has just been claimed by the stack hockey/test; nothing was changed.",
      );
      assert.equal(
        server.read("hockey/stack") + server.read("backups/.stack"),
        "hockey/test id-1\n".repeat(2),
      );
      assert.ok(!isThere("other/stack"));
    });

    it("by a new state of a stack that was lost, with the backups that it has left", () => {
      claim();
      server.remove("hockey/stack");
      assert.equal(claim("id-2").status, 0);
      assert.equal(server.read("backups/.stack"), "hockey/test id-2\n");
    });

    it("until that one gives them free, and no other, and those of backups as long as there are any", () => {
      claim();
      release("id-2");
      assert.ok(isThere("hockey/stack") && isThere("backups/.stack"));
      server.write("backups/hockey_db_2026-01-01_000000.sql.gz", "");
      release("id-1");
      assert.ok(!isThere("hockey/stack") && isThere("backups/.stack"));
      server.remove("backups/hockey_db_2026-01-01_000000.sql.gz");
      release("id-1");
      assert.ok(!isThere("backups/.stack"));
    });
  });

  describe("are looked at before each preview and update", () => {
    it("and the claim is told", () => {
      assert.doesNotMatch(server.check().stdout, /claim/);
      server.write("hockey/stack", "hockey/test id-1\n");
      assert.match(server.check().stdout, /^claim=id-1$/m);
    });

    it("and refused where they are another stack's", () => {
      server.write("hockey/stack", "hockey/other id-1\n");
      refused(
        server.check(),
        "The directory /hockey on the server is that of the stack hockey/other; give this one another with: pulumi config set --path server.deployPath /hockey-training_bot",
      );
      server.remove("hockey/stack");
      server.write("backups/.stack", "hockey/other id-1\n");
      refused(
        server.check(),
        "The directory /backups on the server has the backups of the stack hockey/other; give this one another with: pulumi config set --path server.backupPath /backups-training_bot",
      );
    });

    it("and refused while the database is being restored, at every stage", () => {
      const { bin, settings: file } = serverPaths(server.stack().server);
      for (const stage of ["loading", "starting"]) {
        server.write("backups/.restore", `stage=${stage}\n`);
        refused(
          server.check(),
          `The database is being restored on the server; wait until that has ended, or, if it was cut off, undo it there with: ${bin}/restore-db.sh ${file} recover`.replaceAll(
            server.directory,
            "",
          ),
        );
      }
    });

    describe("and the names of the bot's data", () => {
      const installed = (changes: Record<string, unknown> = {}) => {
        server.write("hockey/backups/settings", settingsFile(server.stack(changes)));
        server.write("there", "");
        server.write(
          "inventory",
          "container=training_bot_db 1 running -\ndatabase=training_bot_db_data /data 13\n",
        );
      };
      const claimed = () => {
        server.write("hockey/stack", "hockey/test id-1\n");
      };

      it("are refused where they were changed, with the key that was", () => {
        installed();
        claimed();
        for (const [changes, sentence] of [
          [
            { database: { name: "notes" } },
            "The database on the server is called hockey_db, and `database.name` says notes; put `database.name` back: the data keeps the name that it was made with.",
          ],
          [
            { database: { user: "notes" } },
            "The database on the server belongs to the role hockey, and `database.user` says notes; put `database.user` back: the data keeps the owner that it was made with.",
          ],
          [
            { name: "notes" },
            "The bot on the server is called training_bot, and `name` says notes; put `name` back: its containers and its data go by it.",
          ],
        ] as const) {
          refused(server.check(server.stack(changes)), sentence);
        }
        assert.equal(server.check().status, 0);
      });

      it("are not minded where nothing was made with them yet", () => {
        installed();
        claimed();
        for (const file of ["there", "inventory"]) server.remove(file);
        for (const changes of [{ database: { name: "notes", user: "notes" } }, { name: "notes" }])
          assert.equal(server.check(server.stack(changes)).stderr, "");
      });

      it("are unknown where an earlier version has left no settings, or others than today's", () => {
        installed();
        server.write("hockey/backups/settings", "directory=/x\n");
        assert.equal(server.check().stderr, "");
        server.remove("hockey/backups/settings");
        assert.equal(server.check().stderr, "");
      });

      it("may tell another bot, where an earlier version has claimed nothing", () => {
        installed();
        server.write("volume", "training_bot_db_data\n");
        const renamed = (volume?: string) =>
          server.check(server.stack({ name: "notes", database: { volume } }));
        refused(
          renamed(),
          "The directory /hockey on the server is that of the bot training_bot; put `name` back, or, if this is another bot, give this one another with: pulumi config set --path server.deployPath /hockey-notes",
        );
        assert.match(
          renamed("training_bot_db_data").stderr,
          /^The bot on the server is called training_bot, and/,
        );
      });
    });

    describe("and those of its neighbours", () => {
      const check = (changes: Record<string, unknown> = {}, backups = "backups-2") =>
        server.check(server.stack(changes, ["hockey-2", backups]), "hockey/second");

      for (const [what, claim, other] of [
        ["that have claimed theirs", "hockey/first", "the stack hockey/first"],
        ["of an earlier version, which have not", undefined, "the bot training_bot"],
      ] as const) {
        it(`share no directory, network or volume with it, ${what}`, () => {
          server.neighbour({}, ["hockey", "backups"], claim);
          refused(
            check({ name: "notes" }, "backups"),
            `The directory /backups on the server has the backups of ${other}; give this one another with: pulumi config set --path server.backupPath /backups-notes`,
          );
          refused(
            check({ name: "bot" }),
            `The network bot_network on the server is that of ${other}; give this bot another one with: pulumi config set name NAME`,
          );
          if (claim !== undefined)
            refused(
              check({ name: "notes", database: { volume: "training_bot_db_data" } }),
              `The volume training_bot_db_data on the server is that of ${other}; give this bot another one with: pulumi config set name NAME`,
            );
          assert.equal(check({ name: "notes" }).stderr, "");
        });
      }

      it("share no container with it, whatever that is for them", () => {
        server.neighbour({}, ["hockey", "backups"], "hockey/first");
        for (const name of ["training_bot", "training_bot_db", "training_bot_proxy"])
          assert.match(
            check({ name }).stderr,
            /^The container training_bot\w* on the server is that of the stack/,
          );
      });

      it("are other stacks: one that has moved to another directory is none", () => {
        server.neighbour({}, ["hockey", "backups"], "hockey/second");
        assert.equal(check({}, "backups").stderr, "");
      });
    });
  });

  describe("take an image ahead of the update", () => {
    const build = (names: { STACK?: string; STACK_ID?: string }) =>
      server.run("build-image.sh", { IMAGE: "training_bot", COMMIT, ...names });

    it("only where they are this stack's, this state's where that is known, and have the bot's name", () => {
      const ours = { STACK: "hockey/test" };
      assert.deepEqual(build(ours), { status: 0, stdout: "", stderr: "" });
      server.write("hockey/stack", "hockey/test id-1\n");
      server.write("hockey/backups/settings", "bot=other_bot\n");
      assert.deepEqual(build(ours), { status: 0, stdout: "", stderr: "" });
      server.write("hockey/backups/settings", "bot=training_bot\n");
      for (const others of [{ STACK: "hockey/other" }, { ...ours, STACK_ID: "id-2" }])
        assert.deepEqual(build(others), { status: 0, stdout: "", stderr: "" });
      assert.ok(!existsSync(join(server.directory, "hockey/.build-lock")));
      for (const names of [ours, { ...ours, STACK_ID: "id-1" }]) assert.notEqual(build(names).status, 0);
      assert.ok(existsSync(join(server.directory, "hockey/.build-lock")));
    });
  });

  it("miss a claim only where the version that has put the files there makes one", () => {
    const check = () => server.run("check-files.sh", {}).stdout;
    server.write("hockey/manifest.sha256", "");
    server.write("hockey/backups/settings", "directory=/x\n");
    assert.equal(check(), "");
    server.write("hockey/backups/settings", settingsFile(server.stack()));
    assert.equal(check(), "missing stack");
    server.write("hockey/stack", "hockey/test id-1\n");
    assert.equal(check(), "");
  });

  it("are refused to a state that has not claimed them, and to none where nothing has", () => {
    const { server: at } = settings();
    const fault = (claimed?: string, id?: string) => refuseClaim(claimed, id, "hockey/test", at);
    assert.deepEqual([fault(), fault(undefined, "1"), fault("1", "1")], [undefined, undefined, undefined]);
    for (const id of ["2", undefined]) {
      assert.equal(
        fault("1", id),
        "The directory /home/deploy/hockey on the server belongs to the stack hockey/test of another state than this one; use that state (PULUMI_BACKEND_URL names where it is), or, if it is lost for good, take the directory over with: ssh -p 22 deploy@bot.example.org rm /home/deploy/hockey/stack",
      );
    }
  });
});
