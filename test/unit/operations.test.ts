import { spawnSync } from "node:child_process";
import assert from "node:assert/strict";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import { describeNews, findNews, nextState, sendAlert } from "../../operator/health/alerts.ts";
import { judge, worst } from "../../operator/health/checks.ts";
import { ago, bytes } from "../../operator/health/figures.ts";
import { type Report, splitToken } from "../../operator/health/report.ts";
import { statusPage } from "../../operator/health/status-page.ts";
import { rawConfig } from "./fixtures.ts";

const plain = parsePlainConfig(rawConfig());

const response = (status: number, body: unknown) =>
  Buffer.from(`HTTP/1.1 ${status} X\r\nServer: x\r\n\r\n${JSON.stringify(body)}`).toString("base64");
const NOW = new Date("2026-06-10T12:00:00Z");
const backupAt = (time: string, verified = true) => ({ file: `${time}.sql.gz`, time, bytes: 2048, verified });
const withBackup = (time: string) => ({ backup: backupAt(time), verifiedBackup: backupAt(time) });
const good: Report = {
  clock: NOW.getTime() / 1000,
  timeZone: "UTC",
  containers: ["training_bot", "training_bot_db", "training_bot_proxy"].map((name) => ({
    ...{ name, status: "running", health: "healthy", restarts: 0 },
    ...{ started: "2026-06-01T00:00:00Z", created: "2026-06-01T00:00:00Z" },
  })),
  memory: null,
  databaseReady: true,
  gateClosed: false,
  health: response(200, { poller: { seconds_since_success: 3 } }),
  healthMilliseconds: 9,
  page: response(200, {}),
  disk: { size: 100 * 1024 ** 3, free: 50 * 1024 ** 3 },
  load: "0 0 0",
  certificate: "",
  backup: backupAt("2026-06-10T06:00:05Z"),
  verifiedBackup: backupAt("2026-06-10T06:00:05Z"),
  drift: null,
  remembered: null,
};

describe("a report", () => {
  const text = JSON.stringify(good);

  it("comes with the bot's token, or without", () => {
    assert.deepEqual(splitToken(`token=1:A=\n${text}`), { report: good, token: "1:A=" });
    assert.deepEqual(splitToken(text), { report: good, token: undefined });
  });
});

describe("the checks", () => {
  it("find nothing on a healthy server", () => {
    const verdicts = judge(good, plain, NOW);
    assert.deepEqual(
      verdicts.filter(({ level }) => level !== "ok"),
      [],
    );
    assert.equal(worst(verdicts), "ok");
  });

  /** What is changed, the check that must notice, how bad it is, and what it says. */
  const CASES: [change: Partial<Report>, check: string, level: string, text: RegExp, pending?: number][] = [
    [
      { containers: [{ name: "training_bot", status: "gone" }] },
      "training_bot",
      "critical",
      /is gone; put it back with: \.\/delivery deploy/,
    ],
    [
      { containers: [{ name: "training_bot", status: "restarting" }] },
      "training_bot",
      "critical",
      /is restarting/,
    ],
    [
      { containers: [{ name: "training_bot", status: "running", health: "unhealthy" }] },
      "training_bot",
      "critical",
      /unhealthy/,
    ],
    [
      { containers: [{ name: "training_bot", status: "running", health: "healthy", restarts: 3 }] },
      "training_bot",
      "warning",
      /3 times/,
    ],
    [
      { health: response(503, { reasons: ["no database"] }) },
      "/health",
      "critical",
      /status 503: no database/,
    ],
    [{ health: "" }, "/health", "critical", /no answer/],
    [{ page: "" }, "page", "critical", /no answer through the proxy/],
    [{ page: "", gateClosed: true }, "page", "warning", /held/],
    [{ databaseReady: false }, "database", "critical", /does not accept/],
    [
      { health: response(200, { poller: { seconds_since_success: 500 } }) },
      "poller",
      "critical",
      /for 500 s/,
    ],
    [
      { health: response(200, {}), remembered: { failing: {}, pendingSince: "2026-06-10T11:00:00Z" } },
      ...(["poller", "critical", /leaves 7 updates/, 7] as const),
    ],
    [{ backup: null, verifiedBackup: null }, "backup", "critical", /there is none/],
    [
      { backup: backupAt("2026-06-10T06:00:05Z", false), verifiedBackup: null },
      ...(["backup", "critical", /not verified, and none that is/] as const),
    ],
    [
      {
        backup: backupAt("2026-06-10T06:00:05Z", false),
        verifiedBackup: backupAt("2026-06-09T06:00:05Z"),
      },
      ...(["backup", "critical", /not verified; the last verified one is 2026-06-09/] as const),
    ],
    // The last one is due since 06:00: late from 07:00 on; of a daily one, older than 26 hours is a failure.
    [
      { ...withBackup("2026-06-09T06:00:05Z"), clock: Date.parse("2026-06-10T07:30:00Z") / 1000 },
      ...(["backup", "warning", /25 h ago: one is missing/] as const),
    ],
    [
      { ...withBackup("2026-06-09T06:00:05Z"), clock: Date.parse("2026-06-10T08:00:00Z") / 1000 },
      ...(["backup", "warning", /25 h ago: one is missing/] as const),
    ],
    [
      { ...withBackup("2026-06-09T06:00:05Z"), clock: Date.parse("2026-06-10T08:01:00Z") / 1000 },
      ...(["backup", "critical", /26 h ago: too old; make one with: \.\/delivery backup/] as const),
    ],
    [withBackup("2026-06-09T18:00:00Z"), "backup", "warning", /18 h ago: one is missing/],
    [withBackup("2026-06-01T06:00:00Z"), "backup", "critical", /too old/],
    [{ disk: { size: 100 * 1024 ** 3, free: 1000 } }, "disk", "critical", /1000 B of 100\.0 GiB free/],
    [{ disk: { size: 100 * 1024 ** 3, free: 5 * 1024 ** 3 } }, "disk", "warning", /5\.0 GiB/],
    [{ clock: good.clock + 86_400 }, "clock", "warning", /86400 s ahead/],
    [{ drift: { time: "2026-06-10T11:00:00Z", drifted: true } }, "drift", "warning", /60 min ago/],
  ];
  for (const [change, check, level, text, pending] of CASES) {
    it(`call it ${level}: ${check} ${text.source}`, () => {
      const found = judge({ ...good, ...change }, plain, NOW, pending).find(
        (verdict) => verdict.check === check,
      );
      assert.equal(found?.level, level);
      assert.match(found.text, text);
    });
  }

  it("take updates that wait at Telegram for a fault only when they do so for a while", () => {
    const fresh = {
      ...good,
      health: response(200, {}),
      remembered: { failing: {}, pendingSince: "2026-06-10T11:59:30Z" },
    };
    assert.equal(worst(judge(fresh, plain, NOW, 7)), "ok");
  });
});

describe("an alert", () => {
  const bad = judge({ ...good, databaseReady: false }, plain, NOW);
  const fine = judge(good, plain, NOW);

  it("is sent once when something breaks and once when it recovers", () => {
    assert.deepEqual(findNews(fine, null), { broken: [], recovered: [] });
    assert.deepEqual(
      findNews(bad, null).broken.map(({ check }) => check),
      ["database"],
    );
    const known = nextState(bad, null, NOW);
    assert.deepEqual(known.failing, { database: NOW.toISOString() });
    assert.deepEqual(findNews(bad, known), { broken: [], recovered: [] });
    assert.deepEqual(findNews(fine, known), { broken: [], recovered: ["database"] });
    assert.deepEqual(nextState(fine, known, NOW).failing, {});
  });

  it("keeps since when", () => {
    const known = { failing: { database: "2026-06-01T00:00:00.000Z" } };
    assert.deepEqual(nextState(bad, known, NOW).failing, known.failing);
  });

  it("says what broke, and never the token when it cannot be sent", async () => {
    const news = findNews(bad, null);
    assert.equal(describeNews("bot", news), "bot\nbroken: database does not accept connections");
    const channel = { telegramChat: "1", telegramApiUrl: "http://127.0.0.1:1", webhook: undefined };
    const faults = await sendAlert(channel, "123:token", "x", news);
    assert.equal(faults.length, 1);
    assert.ok(!faults[0]?.includes("token"), faults[0]);
    assert.match((await sendAlert(channel, undefined, "x", news))[0] ?? "", /token is out of reach/);
  });
});

describe("the status page", () => {
  it("escapes what others have written", () => {
    const view = {
      title: "<b>",
      time: NOW.toISOString(),
      verdicts: [],
      containerColumns: [],
      containers: [],
    };
    const page = statusPage({
      ...view,
      releaseColumns: ["what"],
      releases: [["<script>alert('x')</script>"]],
      note: "",
    });
    assert.ok(!page.includes("<script>") && page.includes("&lt;script&gt;alert(&#39;x&#39;)"));
  });
});

describe("figures for a reader", () => {
  it("are rounded to what matters", () => {
    assert.deepEqual([0, 1023, 1024, 1536 * 1024, 3 * 1024 ** 3].map(bytes), [
      "0 B",
      "1023 B",
      "1 KiB",
      "1.5 MiB",
      "3.0 GiB",
    ]);
    assert.deepEqual([-5, 90e3, 600e3, 7200e3, 864e5 * 3].map(ago), [
      "0 s ago",
      "90 s ago",
      "10 min ago",
      "2 h ago",
      "3 days ago",
    ]);
  });
});

describe("health, when it cannot be asked for", () => {
  it("does not end with the status of a warning", () => {
    const { status, stderr } = spawnSync("./delivery", ["health", "--stack", "none"], {
      encoding: "utf8",
    });
    assert.equal(status, 3, stderr);
    assert.match(stderr, /^error: There is no Pulumi\.none\.yaml; name a stack with --stack/m);
  });
});
