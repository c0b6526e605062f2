import assert from "node:assert/strict";
import { longestGap } from "../../infra/model/schedule.ts";

const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];

describe("the longest time between two runs of a schedule", () => {
  const CASES: [schedule: string, seconds: number][] = [
    ["0 6 * * *", DAY],
    ["* * * * *", MINUTE],
    ["*/15 * * * *", 15 * MINUTE],
    ["5/20 * * * *", 20 * MINUTE],
    ["0,10 * * * *", 50 * MINUTE],
    ["0 6,18 * * *", 12 * HOUR],
    ["0 6,8 * * *", 22 * HOUR],
    ["30 8-10 * * *", 22 * HOUR],
    ["0 6 * * 1-5", 3 * DAY],
    ["0 6 * * 0", 7 * DAY],
    ["0 6 * * 7", 7 * DAY],
    ["0 6 * * 1,4", 4 * DAY],
    ["0 3 1 * *", 31 * DAY],
    ["0 3 1 1 *", 366 * DAY],
    ["0 3 29 2 *", (4 * 365 + 1) * DAY],
    // Where both fields for days are restricted, cron takes either.
    ["0 3 1 * 1", 7 * DAY],
    ["0 3 */2 * 1", 21 * DAY],
  ];
  for (const [schedule, seconds] of CASES) {
    it(`is ${seconds / HOUR} h for ${schedule}`, () => {
      assert.equal(longestGap(schedule), seconds);
    });
  }

  it("is longer than any server lives where there is none", () => {
    assert.ok(longestGap("0 0 31 2 *") > 20 * 365 * DAY);
  });
});
