import assert from "node:assert/strict";
import { array, list, withLibrary } from "./server-shell.ts";

const LIBS = ["common", "words", "backup-facts", "known", "news"];
const HOUR = 3600;
const NOW = Date.parse("2026-06-10T12:00:00Z") / 1000;

/** What is remembered, by key. */
type Known = Record<string, string>;

interface Look {
  verdicts: string[];
  known?: Known;
  now?: number;
}

const line = (level: string, check: string, text = "text") => `${level}\t${check}\t-\t${text}`;
const critical = line("critical", "database", "does not answer");
const warning = line("warning", "disk", "is tight");
const well = [line("ok", "database"), line("ok", "disk")];

const parse = (text: string): Known =>
  Object.fromEntries(
    text
      .split("\n")
      .filter(Boolean)
      .map((entry) => [entry.slice(0, entry.lastIndexOf("\t")), entry.slice(entry.lastIndexOf("\t") + 1)]),
  );

/** Runs bash with what is remembered, the verdicts and the time at hand; then gives what it prints and remembers. */
async function remembering(script: string, { verdicts, known = {}, now = NOW }: Look) {
  const text = `HEALTH_DIRECTORY=/dev/null WARNING_HOURS=24 CHANNELS=(telegram webhook) now=${now}
    ${array("known", known)}
    ${list("verdicts", verdicts)}
    ${script}
    echo ---
    for key in "\${!known[@]}"; do printf '%s\\t%s\\n' "$key" "\${known[$key]}"; done`;
  const [said = "", left = ""] = `\n${await withLibrary(LIBS, text)}\n`.split("\n---\n");
  return { said: said.split("\n").filter(Boolean), known: parse(left) };
}

/** What a channel is told of a look, and what is remembered where that could be sent. */
const tell = (look: Look, channel = "telegram", isSent = true) =>
  remembering(
    `remember_verdicts; find_news ${channel}; printf '%s\\n' "\${news_lines[@]}"; ${isSent ? "note_told" : ":"}`,
    look,
  );

describe("the news of a health check", () => {
  it("are a critical check at once, with since when, and its end, once each", async () => {
    const first = await tell({ verdicts: [critical] });
    assert.deepEqual(first.said, ["broken: database does not answer (since 2026-06-10 12:00 UTC)"]);
    const second = await tell({ verdicts: [critical], known: first.known, now: NOW + HOUR });
    assert.deepEqual(second.said, []);
    const end = await tell({ verdicts: well, known: second.known, now: NOW + 2 * HOUR });
    assert.deepEqual(end.said, ["recovered: database, after 2 h: text"]);
    const after = await tell({ verdicts: well, known: end.known, now: NOW + 3 * HOUR });
    assert.deepEqual([after.said, after.known], [[], {}]);
  });

  it("are none of a warning that does not last, nor of its end", async () => {
    const first = await tell({ verdicts: [warning] });
    const last = await tell({ verdicts: [warning], known: first.known, now: NOW + 24 * HOUR - 1 });
    const end = await tell({ verdicts: well, known: last.known, now: NOW + 24 * HOUR });
    assert.deepEqual([first.said, last.said, end.said, end.known], [[], [], [], {}]);
  });

  it("are a warning that has lasted, and then its end, once each", async () => {
    const first = await tell({ verdicts: [warning] });
    const lasted = await tell({ verdicts: [warning], known: first.known, now: NOW + 24 * HOUR });
    assert.deepEqual(lasted.said, ["warning: disk is tight (since 2026-06-10 12:00 UTC)"]);
    const again = await tell({ verdicts: [warning], known: lasted.known, now: NOW + 25 * HOUR });
    assert.deepEqual(again.said, []);
    const end = await tell({ verdicts: well, known: again.known, now: NOW + 26 * HOUR });
    assert.deepEqual(end.said, ["recovered: disk, after 26 h: text"]);
  });

  it("are a warning that has become critical, also where it was told as a warning", async () => {
    const worse = line("critical", "disk", "is full");
    for (const told of [{}, { "told\ttelegram\tdisk": `warning ${NOW}` }]) {
      const known = { "bad\tdisk": `${NOW} ${NOW}`, ...told } as Known;
      const { said } = await tell({ verdicts: [worse], known, now: NOW + 30 * HOUR });
      assert.deepEqual(said, ["broken: disk is full (since 2026-06-10 12:00 UTC)"]);
    }
  });

  it("are the end of a critical check that is a warning still, and no second one while that lasts", async () => {
    const known = { "bad\tdisk": `${NOW} ${NOW}`, "told\ttelegram\tdisk": `critical ${NOW}` };
    const soon = await tell({ verdicts: [warning], known, now: NOW + HOUR });
    assert.deepEqual(soon.said, ["recovered: disk, after 60 min: is tight"]);
    const late = await tell({ verdicts: [warning], known, now: NOW + 30 * HOUR });
    assert.deepEqual(late.said, []);
  });

  it("are only of checks that this look has made", async () => {
    const known = { "bad\toutside": `${NOW} ${NOW}`, "told\ttelegram\toutside": `critical ${NOW}` };
    const without = await tell({ verdicts: well, known, now: NOW + HOUR });
    assert.deepEqual([without.said, without.known], [[], known]);
    const made = await tell({ verdicts: [line("ok", "outside")], known, now: NOW + HOUR });
    assert.equal(made.said.length, 1);
  });

  it("are news to each channel until it has got them", async () => {
    const failed = await tell({ verdicts: [critical] }, "telegram", false);
    const other = await tell({ verdicts: [critical], known: failed.known }, "webhook");
    const again = await tell({ verdicts: [critical], known: other.known });
    const none = await tell({ verdicts: [critical], known: again.known }, "webhook");
    assert.deepEqual(
      [failed, other, again, none].map(({ said }) => said.length),
      [1, 1, 1, 0],
    );
  });

  it("forget a check that was not made for a week", async () => {
    const known = {
      "bad\tredis": `${NOW} ${NOW}`,
      "told\ttelegram\tredis": `critical ${NOW}`,
      "told\twebhook\tredis": `critical ${NOW}`,
    };
    const kept = await tell({ verdicts: well, known, now: NOW + 7 * 24 * HOUR });
    assert.deepEqual(kept.known, known);
    const { said, known: left } = await tell({ verdicts: well, known, now: NOW + 7 * 24 * HOUR + 1 });
    assert.deepEqual([said, left], [[], {}]);
  });
});

describe("what a health check remembers", () => {
  it("is what an earlier version has told already", async () => {
    const earlier = `{"failing":{"database":"2026-06-10T10:00:00.000Z","/health":"2026-06-10T11:00:00.000Z"},"pendingSince":"2026-06-10T09:00:00.000Z"}`;
    const { known } = await remembering(`load_earlier '${earlier}'`, { verdicts: [] });
    assert.deepEqual(known, {
      pending: String(NOW - 3 * HOUR),
      "bad\tdatabase": `${NOW - 2 * HOUR} ${NOW}`,
      "bad\t/health": `${NOW - HOUR} ${NOW}`,
      "told\ttelegram\tdatabase": `critical ${NOW - 2 * HOUR}`,
      "told\twebhook\tdatabase": `critical ${NOW - 2 * HOUR}`,
      "told\ttelegram\t/health": `critical ${NOW - HOUR}`,
      "told\twebhook\t/health": `critical ${NOW - HOUR}`,
    });
    const { said } = await tell({ verdicts: [critical], known });
    assert.deepEqual(said, []);
    assert.deepEqual((await remembering("load_earlier '{\"failing\":{}}'", { verdicts: [] })).known, {});
  });

  /** The facts of a look at one container. */
  const counting = (facts: Record<string, string>, look: Partial<Look> = {}) =>
    remembering(
      `containers=(bot); ${array("fact", { docker: "/x", oom: "", pending: "", "bot.id": "a", "bot.created": "2026-06-10T00:00:00Z", "bot.restarts": "0", ...facts })}; remember_facts`,
      { verdicts: [], ...look },
    );
  const made = NOW - 12 * HOUR;

  it("are restarts of one or two hours ago, of the same container", async () => {
    const key = "restarts\tbot";
    const first = await counting({ "bot.restarts": "3" });
    assert.equal(first.known[key], `a 0 ${made} 3 ${NOW}`);
    const soon = await counting({ "bot.restarts": "4" }, { known: first.known, now: NOW + HOUR - 1 });
    assert.equal(soon.known[key], `a 0 ${made} 3 ${NOW}`);
    const later = await counting({ "bot.restarts": "5" }, { known: soon.known, now: NOW + HOUR });
    assert.equal(later.known[key], `a 3 ${NOW} 5 ${NOW + HOUR}`);
    const other = await counting({ "bot.id": "b", "bot.restarts": "1" }, { known: later.known });
    assert.equal(other.known[key], `b 0 ${made} 1 ${NOW}`);
    const byHand = await counting({ "bot.restarts": "1" }, { known: later.known });
    assert.equal(byHand.known[key], `a 0 ${made} 1 ${NOW}`);
  });

  it("is the kernel's count of processes it had to kill, and when it last grew", async () => {
    const first = await counting({ oom: "7" });
    assert.equal(first.known.oom, "7 0 0");
    const grown = await counting({ oom: "9" }, { known: first.known, now: NOW + HOUR });
    assert.equal(grown.known.oom, `9 2 ${NOW + HOUR}`);
    const same = await counting({ oom: "9" }, { known: grown.known, now: NOW + 2 * HOUR });
    assert.equal(same.known.oom, `9 2 ${NOW + HOUR}`);
    const unknown = await counting({}, { known: same.known });
    assert.equal(unknown.known.oom, `9 2 ${NOW + HOUR}`);
  });

  it("is since when updates wait at Telegram", async () => {
    const first = await counting({ pending: "3" });
    assert.equal(first.known.pending, String(NOW));
    assert.equal(
      (await counting({ pending: "1" }, { known: first.known, now: NOW + 9 })).known.pending,
      String(NOW),
    );
    assert.equal((await counting({}, { known: first.known })).known.pending, String(NOW));
    assert.equal((await counting({ pending: "0" }, { known: first.known })).known.pending, undefined);
  });
});
