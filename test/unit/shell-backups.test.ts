import assert from "node:assert/strict";
import { answer, directory, sh, withSettings } from "./shell-settings.ts";

describe("a backup on the server", function () {
  withSettings(this);

  it("is as old as its name says", async () => {
    assert.equal(
      await answer('date() { command date "$@"; }; age_of hockey_db_2026-01-02_030405.sql.gz').then(
        (age) => Math.abs(Number(age) - (Date.now() / 1000 - Date.UTC(2026, 0, 2, 3, 4, 5) / 1000)) < 5,
      ),
      true,
    );
  });

  it("has no age where its name has an impossible time", async () => {
    const { status, stderr } = await sh("age=$(age_of hockey_db_2026-13-01_000000.sql.gz); echo $age");
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^The backup hockey_db_2026-13-01_000000\.sql\.gz has a time in its name that there is not; /,
    );
  });

  const newer = "hockey_db_2026-01-02_000000.sql.gz";
  const older = "hockey_db_2026-01-01_000000.sql.gz";

  it("is listed by the time in its name, and no other file is", async () => {
    await answer(
      `cd "\${setting[directory]}"; touch ${older} ${newer} ${newer}.sha256 .partial chess_db_2026-01-02_000000.sql.gz`,
    );
    assert.equal(await answer("backups"), `${newer}\n${older}`);
  });

  it("is verified by its newest line in the manifest; a damaged line is none", async () => {
    await answer(`
      record "$(manifest_entry ${older} 10 sum 13.1 2 false '{"rows":{}}')"
      record "$(manifest_entry ${older} 10 sum 13.1 2 true '{"rows":{"a":1}}')"
      printf '{"file":"${newer}","verified":true,"cont' >>"\${setting[directory]}/manifest.jsonl"
      touch "\${setting[directory]}/"{${older},${newer}}
      record "$(manifest_entry other 10 sum 13.1 2 true '{}')"`);
    assert.equal(await answer(`is_verified ${older} && echo yes`), "yes");
    assert.equal(await answer(`is_verified ${newer} || echo no`), "no");
    assert.equal(await answer("latest_backup"), older);
    assert.equal(
      await answer(`line=$(manifest_line ${older}); file_in "$line"; contents_in "$line"`),
      `${older}\n{"rows":{"a":1}}`,
    );
    const list = JSON.parse(await answer("backups_json")) as { file: string; verified: boolean }[];
    assert.deepEqual(
      list.map(({ file, verified }) => [file, verified]),
      [
        [newer, false],
        [older, true],
      ],
    );
  });

  it("is copied elsewhere once, the newest first, where that was wanted when it was made", async () => {
    const names = ["01", "02", "03", "04", "05"].map((day) => `hockey_db_2026-01-${day}_000000.sql.gz`);
    const [plain, wanted, also, release, bad] = names.map((name) => JSON.stringify(name));
    await answer(`
      touch ${names.map((name) => `"\${setting[directory]}/${name}"`).join(" ")}
      record "$(manifest_entry ${plain ?? ""} 1 s 13.1 2 true '{}')"
      record "$(manifest_entry ${wanted ?? ""} 1 s 13.1 2 true '{"rows":{"a":1}}' '"copy":"wanted",')"
      record "$(manifest_entry ${also ?? ""} 1 s 13.1 2 true '{}' '"copy":"wanted",')"
      record "$(manifest_entry ${release ?? ""} 1 s 13.1 2 true '{}' '"for":"release",')"
      record "$(manifest_entry ${bad ?? ""} 1 s 13.1 2 false '{}' '"copy":"wanted",')"`);
    assert.equal(await answer("next_to_copy"), names[2]);
    await answer(`record_copy ${also ?? ""}`);
    assert.equal(await answer("next_to_copy"), names[1]);
    await answer(`record_copy ${wanted ?? ""}`);
    assert.equal(await answer("next_to_copy"), "");
    const line = await answer(`manifest_line ${wanted ?? ""}`);
    assert.match(
      line,
      /"verified":true,"copy":"wanted","copied":"20\S+T\S+Z","contents":\{"rows":\{"a":1\}\}\}$/,
    );
    // A copy of an older one does not make it the newest.
    assert.match(await answer("newest_verified_line"), new RegExp(`^\\{"file":${release ?? ""},`));
    const listed = async (remote: string) =>
      (JSON.parse(await answer(`setting[remote]=${remote}; backups_json`)) as { copied?: string }[]).map(
        (backup) => ("copied" in backup ? backup.copied : "-"),
      );
    assert.deepEqual(await listed(""), ["-", "-", "-", "-", "-"]);
    const [first, second, third, fourth, fifth] = await listed("offsite:x");
    assert.deepEqual([first, second, fifth], [null, null, null]);
    assert.match(`${third ?? ""} ${fourth ?? ""}`, /^20\S+Z 20\S+Z$/);
  });

  it("is described with all others at once, by few processes", async () => {
    const names = Array.from({ length: 50 }, (_, day) => {
      const time = new Date(Date.UTC(2026, 0, 1 + day)).toISOString();
      return `hockey_db_${time.slice(0, 10)}_000000.sql.gz`;
    });
    await answer(`
      for name in ${names.join(" ")}; do printf 12345 >"\${setting[directory]}/$name"; done
      record "$(manifest_entry ${names[1] ?? ""} 5 sum 13.1 2 true '{}')"`);
    const lines = (await answer("describe_backups")).split("\n").map((line) => line.split(" "));
    assert.deepEqual(
      lines.map(([name]) => name),
      [...names].reverse(),
    );
    assert.deepEqual(
      lines.filter(([, , , verified]) => verified === "true").map(([name]) => name),
      [names[1]],
    );
    const [, age, bytes] = lines[0] ?? [];
    assert.equal(bytes, "5");
    assert.ok(Math.abs(Number(age) - (Date.now() / 1000 - Date.UTC(2026, 1, 19) / 1000)) < 60);
    const called = await answer(`
      for tool in date find grep awk stat tail; do
        eval "$tool() { echo $tool >>${directory}/called; command $tool \\"\\$@\\"; }"
      done
      describe_backups >/dev/null; sort ${directory}/called`);
    assert.equal(called, "awk\ndate\nfind\nfind\ngrep");
  });

  it("with an impossible time in its name is refused", async () => {
    await answer('touch "${setting[directory]}/hockey_db_2026-13-01_000000.sql.gz"');
    const { status, stderr } = await sh("describe_backups");
    assert.equal(status, 1);
    assert.match(stderr, /A backup in .* has a time in its name that there is not \(see above\); /);
  });

  it("must exist before the newest is named", async () => {
    const { status, stderr } = await sh("latest_backup");
    assert.equal(status, 1);
    assert.match(stderr, /^There is no verified backup in .*; name one that `\.\/delivery backups` lists/);
  });
});
