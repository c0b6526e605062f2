import assert from "node:assert/strict";
import type { GoAhead } from "../../infra/model/conversation.ts";
import { digest } from "../../infra/model/digest.ts";
import { MAKE_SECONDS } from "../../infra/model/limits.ts";
import { TYPES } from "../../infra/model/names.ts";
import { INSTALLED } from "../../infra/model/paths.ts";
import { inputsOf, letGoAhead, onServer, optionsOf, runHook, runProgram, withoutServer } from "./program.ts";

describe("the stack swaps the bot's container", function () {
  const server = withoutServer(this);

  beforeEach(() => {
    server.answer("exit 0");
  });
  before(() => runProgram());

  it("for one that is made first, and leaves the old one to the server", () => {
    assert.deepEqual(optionsOf("bot-container"), {
      ...{ deleteBeforeReplace: false, retainOnDelete: true },
      ...{ beforeCreate: ["bot-swap"], onError: ["bot-abandon"], ignoreChanges: [] },
    });
    for (const name of ["database-container", "proxy-container"]) {
      const { deleteBeforeReplace, retainOnDelete, beforeCreate } = optionsOf(name);
      assert.deepEqual([deleteBeforeReplace, retainOnDelete, beforeCreate], [true, false, []]);
    }
  });

  it("after the server has begun the swap, and not where it refuses", async () => {
    assert.deepEqual(await runHook("bot-swap"), { error: "", retry: false });
    assert.match(server.calls().at(-1) ?? "", / bot\.example\.org .*\/hockey\/bin\/swap-bot\.sh begin$/);
    server.answer("echo more >&2; echo 'The database is being restored.' >&2; exit 1");
    const { error } = await runHook("bot-swap");
    assert.equal(error, "The database is being restored.");
  });

  describe("while all else is compared", () => {
    const begun = () => server.calls().filter((call) => call.endsWith("swap-bot.sh begin")).length;

    /** The digest of the manifest that the last run would have put on the server. */
    const wantedManifest = () => digest(onServer(INSTALLED.manifest));

    /** Runs the program on a server that has the files of the last run; gives how often a swap was begun meanwhile. */
    async function release(manifest: string, answer: GoAhead): Promise<number> {
      server.answer(`case "$*" in *begin) ;; *) echo manifest=${manifest};; esac`);
      letGoAhead(answer);
      const before = begun();
      await runProgram();
      return begun() - before;
    }

    afterEach(() => {
      letGoAhead({});
    });

    it("in a release that changes no file on the server, once", async () => {
      await runProgram();
      const manifest = wantedManifest();
      assert.match(manifest, /^[0-9a-f]{64}$/);
      assert.equal(await release(manifest, { isRelease: true }), 1);
      const before = begun();
      assert.deepEqual(await runHook("bot-swap"), { error: "", retry: false });
      assert.equal(begun(), before);
      assert.equal(await release(manifest, { isRelease: false }), 0);
      assert.equal(await release("another", { isRelease: true }), 0);
    });

    it("and fails where the server refuses", async () => {
      const manifest = wantedManifest();
      await release(manifest, { isRelease: true });
      server.answer(`case "$*" in *begin) echo No. >&2; exit 1;; *) echo manifest=${manifest};; esac`);
      await runProgram();
      assert.equal((await runHook("bot-swap")).error, "No.");
    });

    it("and once more where that has taken so long that the server may have given up", async () => {
      await release(wantedManifest(), { isRelease: true });
      const before = begun();
      const { now } = Date;
      Date.now = () => now() + MAKE_SECONDS * 1000;
      await runHook("bot-swap").finally(() => (Date.now = now));
      assert.equal(begun(), before + 1);
    });
  });

  it("and tells the server where it could not be made, once", async () => {
    assert.deepEqual(await runHook("bot-abandon"), { error: "", retry: false });
    assert.match(server.calls().at(-1) ?? "", /\/hockey\/bin\/swap-bot\.sh abandon$/);
  });

  it("and waits for the verdict on the very one that was made; only a removal of the stack removes it", () => {
    const { create, delete: remove, stdin } = inputsOf(TYPES.command, "bot-verdict");
    const script = "/home/deploy/hockey/bin/swap-bot.sh";
    const settings = "SETTINGS=/home/deploy/hockey/backups/settings";
    assert.equal(create, `env ${settings} CONTAINER_ID=bot-container-id ${script} verdict`);
    assert.equal(remove, `env ${settings} ${script} remove`);
    assert.equal(stdin, undefined);
  });
});
