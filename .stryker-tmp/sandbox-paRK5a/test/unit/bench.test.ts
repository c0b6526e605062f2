// @ts-nocheck
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { plot } from "../bench/plot.ts";
import { DOCUMENT, judge, PLOT, report } from "../bench/report.ts";
import { FLOWS, readResults, type Results } from "../bench/results.ts";

const REQUIRED = [
  ...(["seconds", "failed", "slowestSeconds"] as const),
  ...(["rollbackSeconds", "noopSeconds", "sshConnections"] as const),
];

describe("the benchmarks", () => {
  let results: Results;

  before(async () => {
    results = await readResults();
  });

  for (const flow of FLOWS) {
    it(`have every figure of "${flow}"`, () => {
      for (const key of REQUIRED) assert.ok(Number.isFinite(results[flow][key]), key);
      assert.ok(results[flow].rounds.length >= 3);
    });
  }

  it("know how it goes with 1, 5 and 20 bots", () => {
    assert.deepEqual(
      results.growth.map(({ stacks }) => stacks),
      [1, 5, 20],
    );
  });

  it("are the document and the plot, figure by figure", async () => {
    assert.equal(
      await readFile(DOCUMENT, "utf8"),
      await report(results),
      "make it anew: npm run bench -- --report",
    );
    assert.equal(await readFile(PLOT, "utf8"), plot(results), "make it anew: npm run bench -- --report");
  });

  it("call a missed target by its name", async () => {
    const missed = { ...results, ours: { ...results.ours, failed: 1 } };
    assert.equal(judge(missed)[0]?.met, false);
    assert.match(await report(missed), /\| No request fails[^|]*\| 1 and \d+ +\| \*\*no\*\* +\|/);
  });
});
