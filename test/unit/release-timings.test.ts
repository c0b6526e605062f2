import assert from "node:assert/strict";
import { mock } from "node:test";
import { Timings } from "../../operator/release/timings.ts";

describe("what took how long", () => {
  afterEach(() => {
    mock.restoreAll();
  });

  it("counts from the start of the process, in the order of the marks, in words for people", async () => {
    const timings = new Timings();
    const moments = [1500, 2250, 9000];
    mock.method(performance, "now", () => moments.shift());
    timings.marking("lock")();
    timings.mark("swapping");
    timings.mark("something new");
    const lines = (await timings.table()).split("\n");
    const at = (moment: string) => lines.findIndex((line) => line.includes(moment));
    assert.match(lines[at("1.50 s")] ?? "", /Pulumi has the stack's lock/);
    assert.match(lines[at("2.25 s")] ?? "", /the swap begins/);
    assert.match(lines[at("9.00 s")] ?? "", /something new/);
    assert.ok(at("1.50 s") < at("2.25 s") && at("2.25 s") < at("9.00 s"));
  });
});
