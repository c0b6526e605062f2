import assert from "node:assert/strict";
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { answer, directory, settingsFile, sh, withSettings } from "./shell-settings.ts";

describe("the library of the scripts on the server", function () {
  withSettings(this);

  it("quotes PostgreSQL without a secret in it", async () => {
    const { stderr } = await sh(`
      docker() { cat >/dev/null; [[ $* == *hockey_db* ]] || return 0; echo 'ERROR: no role with the password correct-horse' >&2; return 1; }
      SECRET_TEXTS=$scratch/texts
      echo correct-horse >"$SECRET_TEXTS"
      gzip </dev/null >"$scratch/archive"
      superusers=([db]=postgres ["\${setting[container]}"]=postgres)
      load "$scratch/archive" db hockey_db || true`);
    assert.equal(stderr, "ERROR: no role with the password [secret]");
  });

  describe("settings", () => {
    it("are all that the stack writes", async () => {
      assert.equal(
        await answer('echo "${setting[page]} ${setting[holdSeconds]} [${setting[remote]}]"'),
        "5000/health 71 []",
      );
      assert.equal((await stat(join(directory, "backups"))).mode & 0o777, 0o700);
    });

    for (const key of ["directory", "keepAtLeast", "upgradeHoldSeconds", "firstVersionedPostgres"]) {
      it(`without ${key} are refused`, async () => {
        const text = await readFile(settingsFile, "utf8");
        await writeFile(settingsFile, text.replace(new RegExp(`^${key}=.*\n`, "m"), ""));
        const { status, stderr } = await sh("");
        assert.equal(status, 1);
        assert.equal(
          stderr,
          `The settings file ${settingsFile} has no ${key}; run \`pulumi up\`, which writes it anew.`,
        );
      });
    }

    it("come with a lock that one script holds at a time", async () => {
      const script = `take_lock 0; (exec 9>&-; take_lock 0) && echo twice || echo "$?"`;
      const { stdout, stderr } = await sh(script);
      assert.equal(stdout, "75");
      assert.equal(stderr, "Another backup, restore or upgrade is running; try again when it has ended.");
    });
  });

  it("writes a failure as JSON, whatever is in the sentence", async () => {
    assert.deepEqual(JSON.parse(await answer(`error_json $'a "b" \\\\ c\\nd'`)), { error: "a b  cd" });
  });

  it("hands a query to psql as a value", async () => {
    const digest = await answer(`setting[query]="SELECT 'a\\\\b'"; query_digest`);
    assert.equal(
      digest,
      "\\set query 'SELECT ''a\\\\b'''\nSELECT md5(query_to_xml(:'query', true, true, '')::text);",
    );
  });

  it("hands a value to psql whatever is in it", async () => {
    assert.equal(await answer(`psql_variable a "it's a \\\\ b"`), "\\set a 'it''s a \\\\ b'");
  });

  it("counts tables by their kinds, whatever their names are", async () => {
    assert.equal(
      await answer(
        `count_tables '{"rows" : {"public.x\\"r" : 5}, "objects" : {"r" : 3, "p" : 2, "v" : 7}, "digests" : {}}'; count_tables '{}'`,
      ),
      "5\n0",
    );
  });

  it("returns with a status, because in a trap bash would take that of the command before the trap", async () => {
    const files = (await readdir(SERVER_SCRIPTS, { recursive: true })).filter((name) => name.endsWith(".sh"));
    assert.ok(files.length > 10);
    for (const file of files) {
      const text = await readFile(join(SERVER_SCRIPTS, file), "utf8");
      assert.doesNotMatch(text, /\breturn *(?:[;}|&\n]|$)/, file);
    }
  });

  describe("a change that needs the bot to stand still", () => {
    /** The script that ends a swap which was cut off: it may have nothing to do, do it, or fail. */
    const recovering = (how: string) =>
      writeFile(join(directory, "swap-bot.sh"), `#!/bin/bash\n[[ $* == recover ]] && ${how}\n`, {
        mode: 0o755,
      });

    beforeEach(() => recovering("true"));

    it("waits until no swap is under way, and lets none begin before it says so", async () => {
      const said = await answer(`mkdir -p "\${setting[swapDirectory]}"
        exec 8>"\${setting[swapLock]}"
        flock 8
        (exec 8>&-; hold_swaps; echo held; flock -n "\${setting[swapLock]}" true || echo closed; release_swaps
          flock -n "\${setting[swapLock]}" echo open) &
        until grep -q -e "-> FLOCK .*:$(stat -c %i "\${setting[swapLock]}") " /proc/locks; do sleep 0.02; done
        echo swapped
        exec 8>&-
        wait`);
      assert.equal(said, "swapped\nheld\nclosed\nopen");
    });

    it("ends a swap that has lost its guard first", async () => {
      await recovering("source <(sed -n s/^swapJournal=/ended=/p $SETTINGS) && rm $ended");
      assert.equal(
        await answer(
          'mkdir -p "${setting[swapDirectory]}"; touch "${setting[swapJournal]}"; hold_swaps; echo held',
        ),
        "held",
      );
    });

    it("does not begin after a swap that has lost its guard and cannot be ended", async () => {
      await recovering("false");
      const { status, stderr } = await sh(
        'mkdir -p "${setting[swapDirectory]}"; touch "${setting[swapJournal]}"; hold_swaps',
      );
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^A release was cut off while it swapped the bot; end it with `\.\/delivery deploy`/,
      );
    });
  });
});
