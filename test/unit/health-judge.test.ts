import assert from "node:assert/strict";
import { parseLook } from "../../operator/health/look.ts";
import { BOT_CASES } from "./health-cases-bot.ts";
import { SERVER_CASES } from "./health-cases-server.ts";
import { SETTINGS, type Values, WELL, NOW } from "./health-facts.ts";
import { array, withLibrary } from "./server-shell.ts";

const LIBS = ["words", "backup-facts", "judge-backups", "judge-server", "judge"];

async function judged(change: Values = {}, known: Values = {}, settings: Record<string, string> = {}) {
  const script = `${array("fact", { ...WELL, ...change })}
    ${array("known", known)}
    now=${NOW} containers=(bot bot_db bot_proxy)
    judge
    printf '%s\\n' "\${verdicts[@]}"`;
  return parseLook(await withLibrary(LIBS, script, { ...SETTINGS, ...settings })).verdicts;
}

describe("the judgement of health", () => {
  it("finds nothing where all is well", async () => {
    const verdicts = await judged();
    assert.deepEqual(
      verdicts.filter(({ level }) => level !== "ok"),
      [],
    );
    assert.deepEqual(
      verdicts.map(({ check }) => check),
      [
        ...["docker", "bot", "bot_db", "bot_proxy", "/health", "page", "database", "poller"],
        ...[
          "backup",
          "copies",
          "tables",
          "disk",
          "memory",
          "reboot",
          "time",
          "clock",
          "cron",
          "images",
          "drift",
        ],
      ],
    );
  });

  for (const { check, level, text, ...changes } of [...BOT_CASES, ...SERVER_CASES]) {
    it(`calls it ${level}: ${check} ${text.source}`, async () => {
      const verdicts = await judged(changes.change, changes.known, changes.settings);
      const [found, another] = verdicts.filter((verdict) => verdict.check === check);
      assert.ok(found !== undefined && another === undefined, JSON.stringify(verdicts));
      assert.equal(found.level, level, found.text);
      assert.match(found.text, text);
    });
  }

  it("says nothing of what cannot be known", async () => {
    const nothing = { cron: "", drift: "", "images.known": "", synchronised: "NTP=no\nNTPSynchronized=no" };
    const checks = (await judged(nothing, {}, { CALLER_TIME: "" })).map(({ check }) => check);
    for (const check of ["cron", "drift", "images", "time", "clock", "certificate"])
      assert.ok(!checks.includes(check), check);
    const without = (await judged({ docker: "" })).map(({ check }) => check);
    for (const check of ["bot", "/health", "page", "database", "poller", "memory"])
      assert.ok(!without.includes(check), check);
    assert.ok(without.includes("disk") && without.includes("backup"));
  });

  it("keeps a text on one line, and names the container whose log tells more", async () => {
    const verdicts = await judged({ "health.status": 503, "health.reasons": "a\tb\nc" });
    const found = verdicts.find(({ check }) => check === "/health");
    assert.deepEqual([found?.text, found?.container], ["status 503: a b c", "bot"]);
  });
});

describe("figures on the server", () => {
  const words = (line: string) => withLibrary(["words"], line);

  it("are rounded to what matters", async () => {
    assert.equal(
      await words(`for n in 0 1023 1024 $((1536 * 1024)) $((3 * 1024 ** 3)); do bytes_in_words $n; done`),
      "0 B\n1023 B\n1 KiB\n1.5 MiB\n3.0 GiB",
    );
    assert.equal(
      await words(`for n in -5 90 600 7200 259200; do span_in_words $n; done`),
      "0 s\n90 s\n10 min\n2 h\n3 days",
    );
    assert.equal(await words("time_in_words 0"), "1970-01-01 00:00 UTC");
    assert.equal(
      await words(`unset EPOCHREALTIME; EPOCHREALTIME=1764549219.123456; seconds_since 1764549208,990000`),
      "10.1",
    );
  });
});
