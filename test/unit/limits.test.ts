import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as limits from "../../infra/model/limits.ts";
import {
  RESTORE_STAGES,
  STANDSTILL_STAGES,
  SWITCHING_STAGE,
  UPGRADE_STAGES,
} from "../../infra/model/journal.ts";
import { IN_CONTAINER } from "../../infra/model/paths.ts";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";

/** What `app.startSeconds` may be. */
const [LEAST_START, MOST_START] = [5, 300] as const;

const sum = (...numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

describe("the limits", () => {
  const { DRAIN_SECONDS, BOT_STOP_SECONDS, MAKE_SECONDS, PUT_BACK_SECONDS, START_SECONDS } = limits;
  const { PROBATION_SECONDS, UPGRADE_HOLD_SECONDS, DATABASE_STOP_SECONDS, READY_SECONDS } = limits;
  const { GIT_SECONDS, HEALTH_CHECK } = limits;

  for (const start of [LEAST_START, START_SECONDS, MOST_START]) {
    describe(`for a bot that may take ${start} s to start`, () => {
      /** The longest swap: the new bot is given up at the last moment, and the old one starts as slowly. */
      const longest = sum(DRAIN_SECONDS, BOT_STOP_SECONDS, MAKE_SECONDS, start, PUT_BACK_SECONDS, start);

      it("end a swap, and what is watched after it, before the gate opens by itself", () => {
        assert.equal(limits.swapSeconds(start), longest);
        assert.ok(longest + PROBATION_SECONDS < limits.holdSeconds(start));
      });

      it("have the gate open, for whatever it was closed, before the proxy gives up a request", () => {
        const closed = Math.max(limits.holdSeconds(start), UPGRADE_HOLD_SECONDS);
        assert.ok(closed < limits.GATE_WAIT_SECONDS);
      });

      it("give the server time to end a swap before it answers", () => {
        const longestAnswer = Math.max(GIT_SECONDS, DRAIN_SECONDS + BOT_STOP_SECONDS);
        assert.ok(limits.holdSeconds(start) + longestAnswer < limits.answerSeconds(start));
      });

      it("end an upgrade's standstill, but for the data that it moves, before the gate opens by itself", () => {
        const stops = BOT_STOP_SECONDS + 2 * DATABASE_STOP_SECONDS;
        assert.ok(sum(DRAIN_SECONDS, stops, READY_SECONDS, start) < UPGRADE_HOLD_SECONDS);
      });
    });
  }

  it("have the old bot serve again before the proxy gives up a request that met the end of the new one", () => {
    assert.ok(sum(PUT_BACK_SECONDS, START_SECONDS) < limits.BOT_WAIT_SECONDS);
  });

  it("let Docker ask the bot more seldom than an answer may take", () => {
    assert.ok(sum(HEALTH_CHECK.timeout) < HEALTH_CHECK.interval);
  });

  it("keep one disk from being filled by a build before a backup is refused", () => {
    assert.ok(sum(limits.BACKUP_FREE_MB) < limits.BUILD_FREE_MB);
  });
});

describe("the Caddyfile", () => {
  const caddyfile = readFileSync(join(SERVER_SCRIPTS, "container", "Caddyfile"), "utf8");

  /** What follows a word of the Caddyfile, wherever it stands, in order. */
  const values = (word: string) =>
    [...caddyfile.matchAll(new RegExp(`^\\s*${word} (\\S+)$`, "gm"))].map(([, value]) => value);

  it("lets as many requests in as the limits say", () => {
    const { PROXY_UPLOADS, PROXY_REQUESTS, BOT_UPLOADS, BOT_REQUESTS } = limits;
    // The last one counts the uploads that have lost their clients, too.
    assert.deepEqual(
      values("unhealthy_request_count"),
      [PROXY_UPLOADS, PROXY_REQUESTS, 2 * BOT_UPLOADS].map(String),
    );
    assert.deepEqual(values("import hop"), [BOT_UPLOADS, BOT_REQUESTS].map(String));
    assert.ok(sum(BOT_UPLOADS, BOT_REQUESTS) <= 128, "most servers queue as many connections");
  });

  it("holds requests as long as the limits say", () => {
    const { GATE_WAIT_SECONDS, BOT_WAIT_SECONDS } = limits;
    const held = [...caddyfile.matchAll(/^\s*import hold (\d+)s /gm)].map(([, seconds]) => Number(seconds));
    assert.deepEqual(held, [GATE_WAIT_SECONDS, BOT_WAIT_SECONDS]);
  });

  it("looks for the gate where scripts close it", () => {
    const [, root, file] = /root (\S+)\s+try_files (\S+)/.exec(caddyfile) ?? [];
    assert.equal(`${root ?? ""}${file ?? ""}`, IN_CONTAINER.gate);
    assert.equal(root, IN_CONTAINER.gateDirectory);
  });
});

describe("the journals' stages", () => {
  for (const [script, stages] of [
    ["restore-db.sh", RESTORE_STAGES],
    ["upgrade-db.sh", UPGRADE_STAGES],
  ] as const) {
    it(`are those that ${script} writes`, () => {
      const text = readFileSync(join(SERVER_SCRIPTS, script), "utf8");
      const written = [...text.matchAll(/^ *(?:journal|begin_change|enter) ([a-z]+)$/gm)].map(
        ([, stage]) => stage,
      );
      assert.deepEqual(written, stages);
    });
  }

  it("are those of a standing bot from holding on", () => {
    assert.deepEqual(STANDSTILL_STAGES, [
      ...["holding", "stopping", "swapping", "starting"],
      ...["moving", "switching"],
    ]);
    assert.equal(UPGRADE_STAGES.at(-1), SWITCHING_STAGE);
  });
});
