import { spawnSync } from "node:child_process";
import assert from "node:assert/strict";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import { findNews, remember, sendAlert, tell } from "../../operator/health/alerts.ts";
import { hasAnotherKey, type State, withoutServer } from "../../operator/release/server-migration.ts";
import { ago, bytes, judge, type Report, worst } from "../../operator/health/checks.ts";
import { findLock } from "../../operator/lock.ts";
import { parseHistory, type Update } from "../../operator/pulumi.ts";
import { chooseRollback, withRelease } from "../../operator/release/release.ts";
import { withConfig } from "../../operator/release/update.ts";
import { statusPage } from "../../operator/health/status-page.ts";
import { rawConfig } from "./fixtures.ts";

const [A, B, C] = ["a1".repeat(20), "b2".repeat(20), `b2b2b2${"c".repeat(34)}`] as const;
const plain = parsePlainConfig(rawConfig());

const update = (commit: string | undefined, changes: Partial<Update> = {}): Update => ({
  ...{
    kind: "update",
    succeeded: true,
    started: new Date(0),
    seconds: 1,
    message: "",
    commit,
    config: { commit },
  },
  ...changes,
});

describe("a rollback", () => {
  const chosen = (history: Update[], wanted?: string) => {
    const choice = chooseRollback(history, wanted);
    return typeof choice === "string" ? choice : choice.commit;
  };

  it("goes to the newest earlier commit that really ran, not to one that failed", () => {
    const history = [
      update(A),
      update(B, { succeeded: false }),
      update(A),
      update(A, { kind: "refresh" }),
      update(C),
    ];
    assert.equal(chosen(history), C);
  });

  it("takes the newest configuration that a commit ran with", () => {
    const history = [update(A), update(B, { config: { app: "new" } }), update(B, { config: { app: "old" } })];
    assert.deepEqual(chooseRollback(history, B), history[1]);
  });

  it("takes a short hash, and refuses one of several commits with the list", () => {
    const history = [update(A), update(B), update(C)];
    assert.equal(
      chosen(history, "b2b2b2"),
      `b2b2b2 is the beginning of several commits; name more digits. There are:\n  ${A} (runs now)\n  ${B}\n  ${C}`,
    );
    assert.equal(chosen(history, "b2b2b2c"), C);
  });

  it("refuses what is unknown, no hash, or when there is nothing", () => {
    assert.match(
      chosen([update(A), update(B)], "ffff"),
      /^No release of ffff is known\. What can be rolled back to:/,
    );
    assert.match(chosen([update(A), update(B)], ".*"), /^No release/);
    assert.match(chosen([update(A)]), /is the only commit that was ever released/);
    assert.match(chosen([]), /^Nothing has been released yet/);
  });

  it("puts commit, app and proxy of then into the stack's file, and leaves the rest", () => {
    const file =
      "encryptionsalt: v1:x\nconfig:\n  # why\n  hockey:app:\n    repository: /new\n  hockey:commit: new\n  hockey:database:\n    name: kept\n  hockey:secretKey:\n    secure: v1:kept\n";
    const release = {
      commit: "old",
      app: { repository: "/old" },
      database: { name: "lost" },
      server: { host: "lost" },
    };
    const result = withRelease(file, release);
    assert.equal(result, file.replace("/new", "/old").replace("commit: new", "commit: old"));
  });
});

describe("an upgrade of the database", () => {
  const values = { "database.image": "postgres:17", "database.volume": "v17" };

  it("puts image and volume into the stack's file, and leaves the rest", () => {
    const file =
      "config:\n  hockey:commit: a\n  hockey:database:\n    name: kept\n    image: postgres:13 # why\n";
    const lines = "    image: postgres:17 # why\n    volume: v17\n";
    assert.equal(withConfig(file, values), file.replace("    image: postgres:13 # why\n", lines));
  });

  it("makes the place for them", () => {
    const lines = "  hockey:database:\n    image: postgres:17\n    volume: v17\n";
    assert.equal(
      withConfig("config:\n  hockey:commit: a\n", values),
      `config:\n  hockey:commit: a\n${lines}`,
    );
  });
});

describe("the history", () => {
  it("is read without secrets, objects as objects", () => {
    const config = {
      "hockey:commit": { value: A, secret: false },
      "hockey:app": { value: "{}", objectValue: { branch: "main" }, secret: false },
      "hockey:secretKey": { secret: true },
      "other:key": { value: "x", secret: false },
    };
    const times = { startTime: "2026-01-01T00:00:00.000Z", endTime: "2026-01-01T00:00:09.000Z" };
    const [entry] = parseHistory(
      JSON.stringify([{ kind: "update", ...times, message: "deploy", result: "failed", config }]),
      "hockey",
    );
    assert.deepEqual(entry?.config, { commit: A, app: { branch: "main" } });
    assert.deepEqual([entry.commit, entry.seconds, entry.succeeded], [A, 9, false]);
  });
});

describe("a lock", () => {
  const message = (pid: number, host: string) =>
    `error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with \`pulumi cancel\`.\n  file:///x.json: created by ann@${host} (pid ${pid}) at 2026-01-01T00:00:00Z`;

  it("is told from other faults, and a holder elsewhere is never taken for dead", () => {
    assert.equal(findLock("error: something else"), undefined);
    assert.deepEqual(findLock(message(1, "elsewhere")), {
      holder: "ann@elsewhere (process 1, since 2026-01-01T00:00:00Z)",
      dead: false,
    });
  });

  it("of Pulumi Cloud is known too", () => {
    assert.equal(findLock("error: [409] Conflict: Another update is currently in progress.")?.dead, false);
  });
});

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

describe("another server", () => {
  const key = "ssh-ed25519 AAAAold";
  const urn = (name: string) => `urn:pulumi:test::hockey::x::${name}`;
  const state: State = {
    deployment: {
      pending_operations: [{ type: "creating", resource: { urn: urn("bot") } }],
      resources: [
        { urn: urn("stack"), type: "pulumi:pulumi:Stack" },
        {
          urn: urn("provider"),
          type: "pulumi:providers:docker",
          inputs: { sshOpts: JSON.stringify(["-o", `KnownHostsCommand=/bin/echo %H ${key}`]) },
        },
        { urn: urn("files"), type: "command:remote:Command" },
        { urn: urn("bot"), type: "docker:index/container:Container", dependencies: [urn("files")] },
        {
          urn: urn("secret"),
          type: "github:index/actionsSecret:ActionsSecret",
          dependencies: [urn("files"), urn("stack")],
          propertyDependencies: { value: [urn("files")] },
        },
      ],
    },
  };

  it("is known by its host key", () => {
    assert.equal(hasAnotherKey(state, key), false);
    assert.equal(hasAnotherKey(state, "ssh-ed25519 AAAAnew"), true);
    assert.equal(hasAnotherKey({ deployment: {} }, key), false);
  });

  it("begins with a state that has forgotten the old one, and nothing of GitHub's", () => {
    const { resources = [], pending_operations } = withoutServer(state).deployment;
    assert.deepEqual(pending_operations, []);
    assert.deepEqual(
      resources.map(({ urn: name, dependencies }) => [name, dependencies]),
      [
        [urn("stack"), []],
        [urn("secret"), [urn("stack")]],
      ],
    );
    assert.deepEqual(resources[1]?.propertyDependencies, { value: [] });
  });
});

describe("the checks", () => {
  it("find nothing where all is well", () => {
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
  const well = judge(good, plain, NOW);

  it("is sent once when something breaks and once when it is mended", () => {
    assert.deepEqual(findNews(well, null), { broken: [], mended: [] });
    assert.deepEqual(
      findNews(bad, null).broken.map(({ check }) => check),
      ["database"],
    );
    const known = remember(bad, null, NOW);
    assert.deepEqual(known.failing, { database: NOW.toISOString() });
    assert.deepEqual(findNews(bad, known), { broken: [], mended: [] });
    assert.deepEqual(findNews(well, known), { broken: [], mended: ["database"] });
    assert.deepEqual(remember(well, known, NOW).failing, {});
  });

  it("keeps since when", () => {
    const known = { failing: { database: "2026-06-01T00:00:00.000Z" } };
    assert.deepEqual(remember(bad, known, NOW).failing, known.failing);
  });

  it("says what broke, and never the token when it cannot be sent", async () => {
    const news = findNews(bad, null);
    assert.equal(tell("bot", news), "bot\nbroken: database does not accept connections");
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
