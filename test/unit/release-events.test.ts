import assert from "node:assert/strict";
import { parseEvents } from "../../operator/release/events.ts";

const log = (...events: object[]) => events.map((event) => JSON.stringify(event)).join("\n");
const says = (severity: string, message: string) => ({ diagnosticEvent: { severity, message } });
const ends = (resourceChanges: Record<string, number>) => ({ summaryEvent: { resourceChanges } });
const begins = (op: string) => ({ resourcePreEvent: { metadata: { op } } });

describe("Pulumi's event log", () => {
  it("is empty where Pulumi did not come to write one", () => {
    assert.deepEqual(parseEvents(""), { changed: false, notes: [], errors: [] });
  });

  it("tells whether anything was changed", () => {
    const isChanged = (...events: object[]) => parseEvents(log(...events)).changed;
    assert.equal(isChanged(begins("same"), ends({ same: 12 })), false);
    assert.equal(isChanged(ends({})), false);
    assert.equal(isChanged(ends({ same: 12, update: 1 })), true);
    // A container that could not be made was begun, and nothing was changed.
    assert.equal(isChanged(begins("create"), ends({ same: 12 })), false);
  });

  it("tells it too where the engine was killed, by what it had begun", () => {
    const cutOff = `${log(begins("same"), begins("create-replacement"))}\n{"resourcePre`;
    assert.equal(parseEvents(cutOff).changed, true);
    assert.equal(parseEvents(log(begins("same"))).changed, false);
  });

  it("has what resources say and what went wrong, each in its order and without Pulumi's colours", () => {
    const { notes, errors } = parseEvents(
      log(
        says("info#err", "<{%fg 13%}>requests were held for 0.41 s<{%reset%}>\n"),
        says("error", "<{%reset%}>building failed\nno space left<{%reset%}>\n"),
        says("info", "second"),
        says("warning", "deprecated"),
        says("debug", "error"),
        says("info", " \n"),
        says("error", "update failed"),
        says("error", "second"),
      ),
    );
    assert.deepEqual(notes, ["requests were held for 0.41 s", "second"]);
    assert.deepEqual(errors, ["building failed\nno space left", "second"]);
  });
});
