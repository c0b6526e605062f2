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

const sum = (...numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

describe("the limits", () => {
  const { DRAIN_SECONDS, BOT_STOP_SECONDS, HEALTHY_SECONDS, STEADY_SECONDS, HOLD_SECONDS } = limits;
  const { UPGRADE_HOLD_SECONDS, DATABASE_STOP_SECONDS, READY_SECONDS } = limits;
  const { PROXY_HOLD_SECONDS, UNHEALTHY_SECONDS } = limits;

  it("end a swap before the gate opens by itself", () => {
    assert.ok(sum(DRAIN_SECONDS, BOT_STOP_SECONDS, HEALTHY_SECONDS) < HOLD_SECONDS);
  });

  it("end an upgrade's standstill, but for the data that it moves, before the gate opens by itself", () => {
    const stops = BOT_STOP_SECONDS + 2 * DATABASE_STOP_SECONDS;
    assert.ok(sum(DRAIN_SECONDS, stops, READY_SECONDS, HEALTHY_SECONDS) < UPGRADE_HOLD_SECONDS);
  });

  it("let a new release prove itself before it is given up", () => {
    assert.ok(sum(STEADY_SECONDS) < HEALTHY_SECONDS);
    assert.ok(sum(UNHEALTHY_SECONDS) < HEALTHY_SECONDS);
  });

  it("give up an unhealthy release before the proxy gives up its requests", () => {
    // A release that starts too slowly for its health check to fail is not covered: see limits.ts.
    assert.ok(sum(UNHEALTHY_SECONDS) < PROXY_HOLD_SECONDS);
    assert.ok(sum(HEALTHY_SECONDS) <= PROXY_HOLD_SECONDS);
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

  it("holds a request for as long as the limits say", () => {
    assert.deepEqual(values("lb_try_duration"), [`${limits.PROXY_HOLD_SECONDS}s`]);
  });

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
