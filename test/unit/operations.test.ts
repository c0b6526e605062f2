import { spawnSync } from "node:child_process";
import assert from "node:assert/strict";
import { lossOf, returnOf, sendAlert } from "../../operator/health/alerts.ts";
import { ago } from "../../operator/health/figures.ts";
import { parseLook } from "../../operator/health/look.ts";
import { statusPage } from "../../operator/health/status-page.ts";
import { type Level, worst } from "../../operator/health/verdict.ts";

const NOW = new Date("2026-06-10T12:00:00Z");

describe("what a look has found", () => {
  const found = parseLook(
    'ok\tdocker\t-\tanswers\ncritical\tpage\tbot_proxy\tno answer: a "b"\nunsent\ttelegram\n{"clock":1}\n',
  );

  it("are verdicts, channels that could not be told, and the facts", () => {
    assert.deepEqual(found.verdicts, [
      { check: "docker", level: "ok", text: "answers" },
      { check: "page", level: "critical", text: 'no answer: a "b"', container: "bot_proxy" },
    ]);
    assert.deepEqual([found.unsent, found.report], [["telegram"], { clock: 1 }]);
  });

  it("is as bad as its worst verdict", () => {
    const verdict = (level: Level) => ({ check: "x", level, text: "" });
    assert.equal(worst(found.verdicts), "critical");
    assert.equal(worst([verdict("ok"), verdict("warning")]), "warning");
    assert.equal(worst([]), "ok");
  });
});

describe("an alert about a server that does not answer", () => {
  const verdict = { check: "server", level: "critical", text: "does not answer" } as const;
  const news = lossOf("bot", verdict, NOW.toISOString());

  it("says what is lost, and later what is back, each with its time", () => {
    assert.equal(news.text, "bot\nbroken: server does not answer (since 2026-06-10 12:00 UTC)");
    assert.equal(
      returnOf("bot", "server", NOW.toISOString()).text,
      "bot\nrecovered: server, which could not be asked since 2026-06-10 12:00 UTC",
    );
  });

  it("never says the token when it cannot be sent", async () => {
    const channel = { telegramChat: "1", telegramApiUrl: "http://127.0.0.1:1", webhook: undefined };
    const faults = await sendAlert(channel, "123:token", news);
    assert.equal(faults.length, 1);
    assert.ok(!faults[0]?.includes("token"), faults[0]);
    assert.match((await sendAlert(channel, undefined, news))[0] ?? "", /token is out of reach/);
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
