import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { outermost } from "../bench/idle.ts";
import { parseHeld, parseTimings } from "../bench/ours.ts";
import { memoryBelow, parseProcess } from "../bench/perform.ts";
import { plot } from "../bench/plot.ts";
import { bars } from "../bench/report-ours.ts";
import { DOCUMENT, PLOT, report } from "../bench/report.ts";
import {
  type BrokenRound,
  type Change,
  type Fault,
  merge,
  type Measured,
  readResults,
  type Results,
} from "../bench/results.ts";
import { lastTrouble, median, middle, summarize, tidy } from "../bench/statistics.ts";
import { judge } from "../bench/targets.ts";
import { timeline } from "../bench/timeline.ts";

const change: Change = {
  ...{
    answers: 5,
    ends: 6,
    requests: 100,
    failed: 0,
    slowest: 1.5,
    overlaps: 0,
    messages: 9,
    lost: 0,
    doubled: 0,
  },
  ...{ connections: 4, memoryHere: 400, memoryServer: 10, heldSeconds: 1.2 },
};

/** A flow's figures, as if measured once. */
function measured(release: Partial<Change> = {}): Measured {
  const round = {
    ...{ load: 0.5, release: { ...change, ...release }, restart: change, rollback: change },
    ...{
      nothing: { again: 2, preview: 2.5, up: 3 },
      marks: { "the image is there": 1, "the swap begins": 2 },
    },
  };
  return { ...round, measured: "2026-11-29T00:00:00.000Z", rounds: [round] };
}

const flows = {
  seed: measured({ failed: 90, answers: 60 }),
  ansible: measured(),
  ours: measured(),
  floor: measured({ answers: 1 }),
};
const sick = {
  load: 1,
  status: 1,
  ends: 20,
  requests: 500,
  failed: 0,
  slowest: 15,
  overlaps: 0,
  messages: 40,
  lost: 0,
  doubled: 0,
};
/** What tells the target of a fault. */
const TOLD = { crash: "at import", late: "after 3 s", sick: "500", silent: "never" };
const results: Results = {
  note: "for this test",
  machine: {
    date: "2026-11-29T00:00:00.000Z",
    processor: "a processor",
    cores: 2,
    memoryGiB: 4,
    versions: { node: "24" },
  },
  ...{ sample: flows, heavy: flows, heavyBroken: {} },
  sampleBroken: {
    ours: { crash: { ...sick, goodAgain: 19, measured: "2026-11-29T00:00:00.000Z", rounds: [sick] } },
    seed: { crash: { ...sick, status: 0, measured: "2026-11-29T00:00:00.000Z", rounds: [sick] } },
  },
  growth: [{ bots: 20, nothingOne: 2, nothingAll: 40, releaseOne: 8 }],
  idle: { seconds: 60, on: 1.9, off: 1.6 },
  push: {
    ...{ ours: 40, seed: 90, measured: "2026-11-29T00:00:00.000Z" },
    rounds: [{ load: 0.5, ours: 40, seed: 90 }],
  },
  timeline: { ours: { answers: 5, ends: 6, at: [-500, 0, 2000], took: [20, 30, 1500], failed: [1] } },
};

describe("the figures of the benchmarks", () => {
  it("are medians: of an even number of rounds the greater middle value", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 3);
    assert.ok(Number.isNaN(median([])));
    assert.equal(
      middle(["a", "bbb", "cc"], ({ length }) => length),
      "cc",
    );
  });

  it("are the worst round's for what visitors notice, also in parts of a round", () => {
    const round = (ends: number, failed: number, restart?: { ends: number }) => ({
      release: { ends, failed },
      restart,
    });
    const rounds = [round(1, 0), round(2, 7, { ends: 5 }), round(3, 0)];
    assert.deepEqual(summarize(rounds), { release: { ends: 2, failed: 7 }, restart: { ends: 5 } });
    assert.equal(summarize([round(1, 0)]).restart, undefined);
  });

  it("are rounded, without what was not measured", () => {
    assert.deepEqual(tidy({ one: 1.2345, part: { two: 0.001, none: undefined } }), {
      one: 1.23,
      part: { two: 0 },
    });
  });

  it("replace older ones flow by flow", () => {
    const merged = merge({ sample: { ours: 1, floor: 2 }, growth: [1] }, { sample: { ours: 3 }, growth: [] });
    assert.deepEqual(merged, { sample: { ours: 3, floor: 2 }, growth: [] });
  });

  it("know when the last trouble of a broken release ended", () => {
    const probe = (at: number, took = 0.1, good = true) => ({ at, took, good });
    assert.equal(lastTrouble([probe(0), probe(4)], 3), 0);
    assert.equal(lastTrouble([probe(0), probe(1, 0.1, false), probe(5)], 3), 1.1);
    assert.equal(lastTrouble([probe(0), probe(1, 6), probe(11)], 3), 7, "a held answer is trouble, too");
    assert.equal(lastTrouble([probe(0), probe(4, 0.1, false), probe(5)], 3), undefined);
    assert.equal(lastTrouble([], 3), undefined);
  });
});

describe("what the benchmarks read", () => {
  it("is a process of /proc, whatever its name", () => {
    const rest = Array.from({ length: 19 }, () => "0").join(" ");
    assert.deepEqual(parseProcess(`12 (a (b) c) S 7 ${rest} 512 0`), {
      pid: 12,
      parent: 7,
      name: "a (b) c",
      mib: 2,
    });
  });

  it("is the memory of a command and all below it, in any order, without sshd's", () => {
    const process = (pid: number, parent: number, name = "bash") => ({ pid, parent, name, mib: pid });
    const all = [process(3, 4), process(4, 9, "sshd"), process(9, 1), process(20, 1)];
    assert.equal(memoryBelow(all, [9]), 12);
    assert.equal(memoryBelow(all, []), 0);
  });

  it("is each control group once", () => {
    assert.deepEqual(outermost(["/docker/a", "/docker/a/system.slice", "/docker/ab", "/docker/a"]), [
      "/docker/a",
      "/docker/ab",
    ]);
  });

  it("is what a release says of its time", () => {
    const output =
      "deploying\nat      what\n0.55 s  the image is there\n12.30 s  asked once more\nrequests were held for 1.25 s\n";
    assert.deepEqual(parseTimings(output), { "the image is there": 0.55, "asked once more": 12.3 });
    assert.equal(parseHeld(output), 1.25);
    assert.equal(parseHeld("nothing"), undefined);
  });
});

describe("the report of the benchmarks", () => {
  it("shows every flow that was measured, and what does not come back by itself", async () => {
    const text = await report(results);
    assert.match(text, /\| this project +\| 5 +\| 6 +\| 0 of 100 /);
    assert.match(
      text,
      /\| crash at import +\| before: down, build, up +\| 20 +\| 0 +\| \*\*not by itself\*\*/,
    );
    assert.match(text, /\*\*A new commit answers sooner\*\*: docker run by hand 1 s; this project 5 s/);
    assert.doesNotMatch(text, /undefined|NaN|Swarm, start-first +\| \d+ +\| \d+ +\| \d+ of/);
  });

  it("calls a missed target by its name, and one without figures", () => {
    assert.equal(judge(results)[0]?.met, true);
    assert.equal(judge({ ...results, sample: { ...flows, ours: measured({ failed: 1 }) } })[0]?.met, false);
    assert.ok(
      judge({
        ...{ ...results, sample: {}, heavy: {}, sampleBroken: {} },
        ...{ idle: undefined, push: undefined },
      }).every(({ met }) => met === undefined),
    );
  });

  it("measures a release that does not work by its wait and its way back, one that crashes later by its wait", () => {
    const verdict = (changes: Partial<BrokenRound>, fault: Fault) => {
      const round = { ...sick, ...changes };
      const one = { ...round, measured: "2026-11-29T00:00:00.000Z", rounds: [round] };
      const all = judge({ ...results, sampleBroken: { ours: { [fault]: one } } });
      return all.find(({ target }) => target.startsWith("A release") && target.includes(TOLD[fault]));
    };
    assert.equal(verdict({ goodAgain: 4.9, slowest: 3 }, "crash")?.met, true);
    assert.equal(verdict({ goodAgain: 4.9, slowest: 5.1 }, "crash")?.met, false);
    assert.equal(verdict({ goodAgain: undefined, slowest: 3 }, "sick")?.met, false);
    assert.equal(verdict({ goodAgain: 12, slowest: 3 }, "sick")?.met, true);
    assert.equal(verdict({ goodAgain: 9, slowest: 3 }, "late")?.met, true);
  });

  it("judges a figure by what docker run by hand takes, and a growth by one bot's", () => {
    const judged = (start: string, changes: Partial<Results> = {}) =>
      judge({ ...results, ...changes }).find(({ target }) => target.startsWith(start));
    assert.equal(judged("A new commit answers")?.is, "5 s of 3.5 s");
    assert.equal(judged("20 bots")?.met, undefined);
    const one = { bots: 1, nothingOne: 1.5, nothingAll: 1.5, releaseOne: 8 };
    assert.equal(judged("20 bots", { growth: [one, ...results.growth] })?.is, "2 s of 1.95 s");
    assert.equal(judged("From a push")?.met, true);
  });

  it("draws the parts of a release from the end of the part before", () => {
    const [image = "", swap = ""] = bars({ swap: 2, "the image is there": 1 }).split("\n");
    assert.match(image, /^ {2}1\.00 s {2}█{20} +the image is there$/);
    assert.match(swap, /^ {2}2\.00 s {2}█{40} +swap$/);
  });

  it("draws every request, and those that failed apart", () => {
    const visits = [3, 1, 2].map((at) => {
      return {
        method: "GET" as const,
        at,
        milliseconds: 10 * at,
        fault: at === 2 ? "status 503" : undefined,
      };
    });
    assert.deepEqual(timeline(visits, 1, 2), {
      answers: 1,
      ends: 2,
      at: [1, 2, 3],
      took: [10, 20, 30],
      failed: [1],
    });
    const drawn = plot(results);
    assert.match(drawn, /1 of 3 requests failed, the slowest answer took 1\.5 s/);
    assert.equal(drawn.match(/v-9/g)?.length, 1);
    assert.match(drawn, /prefers-color-scheme:dark/);
    assert.doesNotMatch(drawn.replace("http://www.w3.org/2000/svg", ""), /https?:|NaN|undefined/);
  });

  it("is the document and the picture, figure by figure", async () => {
    const last = await readResults();
    assert.equal(
      await readFile(DOCUMENT, "utf8"),
      await report(last),
      "make it anew: npm run bench -- --report",
    );
    assert.equal(await readFile(PLOT, "utf8"), plot(last), "make it anew: npm run bench -- --report");
  });
});
