import assert from "node:assert/strict";
import { parseHistory, pickUpdates, type Update } from "../../operator/pulumi.ts";
import { historyRow } from "../../operator/release/history-table.ts";
import { chooseRollback, liveReleases } from "../../operator/release/history.ts";

const [A, B, C] = ["a1".repeat(20), "b2".repeat(20), `b2b2b2${"c".repeat(34)}`] as const;

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

describe("the newest updates", () => {
  /** What is picked, and how many entries were read each time. */
  const pick = async (count: number, history: Update[]) => {
    const sizes: number[] = [];
    const picked = await pickUpdates(count, (size) => {
      sizes.push(size);
      return Promise.resolve(history.slice(0, size));
    });
    return { picked: picked.map(({ commit }) => commit), sizes };
  };
  const refresh = update(C, { kind: "refresh" });

  it("are found among few entries, without anything else", async () => {
    const { picked, sizes } = await pick(2, [refresh, update(A), refresh, update(B), update(C), update(C)]);
    assert.deepEqual([picked, sizes], [[A, B], [5]]);
  });

  it("are all there are of a short history", async () => {
    assert.deepEqual(await pick(2, [update(A), refresh]), { picked: [A], sizes: [5] });
    assert.deepEqual(await pick(1, []), { picked: [], sizes: [3] });
  });

  it("are looked for in the whole history behind many other entries", async () => {
    const others = new Array<Update>(5).fill(refresh);
    const { picked, sizes } = await pick(2, [...others, update(A), update(B), update(C)]);
    assert.deepEqual([picked, sizes.length], [[A, B], 2]);
    assert.ok((sizes[1] ?? 0) >= 10_000);
  });
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

  describe("that follows on another one", () => {
    const deployed = (commit: string) => update(commit, { message: `deploy ${commit.slice(0, 7)}, by ann` });
    const back = (commit: string) => update(commit, { message: `rollback ${commit.slice(0, 7)}, by ann` });
    const putBack = (commit: string) => update(commit, { message: `put back ${commit.slice(0, 7)}, by ann` });
    const again = (commit: string, shown: string) =>
      `Nothing ran before ${commit} that was not rolled back from; to run ${shown} again: ./delivery rollback ${shown}`;
    const D = "d4".repeat(20);
    const byHand = update;

    for (const [what, oldestFirst, expected] of [
      ["goes further back", [deployed(A), deployed(B), deployed(D), back(B)], A],
      ["never goes forward", [deployed(A), deployed(B), back(A)], again(A, "b2b2b2b")],
      [
        "names the newest that was left",
        [deployed(A), deployed(B), deployed(D), back(A)],
        again(A, "d4d4d4d"),
      ],
      [
        "goes back step by step",
        [deployed(A), deployed(B), deployed(D), back(B), back(A)],
        again(A, "b2b2b2b"),
      ],
      ["leaves out what was put right at once", [deployed(A), deployed(B), putBack(A), deployed(D)], A],
      ["goes back from a deploy after it", [deployed(A), deployed(B), back(A), deployed(D)], A],
      ["goes to what ran before the second time", [deployed(A), deployed(B), back(A), back(B)], A],
      ["undoes a deploy of an earlier commit", [deployed(A), deployed(B), deployed(A)], B],
      [
        "does not count updates by hand",
        [byHand(A), byHand(B), byHand(B), back(A), byHand(A)],
        again(A, "b2b2b2b"),
      ],
      ["is not misled by one to what runs", [deployed(A), deployed(B), back(B)], A],
      [
        "goes over what was rolled back from",
        [deployed(A), deployed(B), back(A), deployed(B), back(A), deployed(D)],
        A,
      ],
      [
        "forgets that a commit was left, once it ran again",
        [deployed(A), deployed(B), back(A), deployed(B)],
        A,
      ],
    ] as const) {
      it(what, () => {
        assert.equal(chosen([...oldestFirst].reverse()), expected);
      });
    }
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
    assert.equal(chosen([update(A), update(B)], "b2b2"), B);
  });

  for (const [what, history, wanted, refusal] of [
    [
      "a commit that was never live",
      [update(A)],
      "ffff",
      `No release of ffff is known. What can be rolled back to:\n  ${A} (runs now)`,
    ],
    ["a commit that only failed", [update(A), update(B, { succeeded: false })], B, /^No release of b2/],
    ["a pattern", [update(A), update(B)], ".*", /^No release of \.\* /],
    ["a hash with something around it", [update(A), update(B)], " b2b2", /^No release of {2}b2b2 /],
    ["fewer than four digits", [update(A), update(B)], "b2b", /^No release of b2b /],
    [
      "to go back from the only commit",
      [update(A), update(A)],
      undefined,
      `${A} is the only commit that was ever released; there is nothing to roll back to.`,
    ],
    [
      "anything before the first release",
      [update(undefined)],
      undefined,
      "Nothing has been released yet, so there is nothing to roll back to.",
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      const choice = chosen([...history], wanted);
      if (typeof refusal === "string") assert.equal(choice, refusal);
      else assert.match(choice, refusal);
    });
  }
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
      [{ kind: "update", ...times, message: "deploy", result: "failed", config }],
      "hockey",
    );
    assert.deepEqual(entry?.config, { commit: A, app: { branch: "main" } });
    assert.deepEqual(entry, {
      ...{ kind: "update", succeeded: false, started: new Date(times.startTime), seconds: 9 },
      ...{ message: "deploy", commit: A, config: { commit: A, app: { branch: "main" } } },
    });
  });

  it("takes an update without an end, a message or a configuration as it is", () => {
    const entry = { kind: "refresh", startTime: "2026-01-01T00:00:00.000Z", result: "succeeded" };
    const [update] = parseHistory([entry], "hockey");
    assert.deepEqual(update, {
      ...{ kind: "refresh", succeeded: true, started: new Date(entry.startTime), seconds: 0 },
      ...{ message: "", commit: undefined, config: {} },
    });
  });

  it("is shown in rows, with a word for what has no message or commit", () => {
    const started = new Date("2026-01-02T03:04:05Z");
    assert.deepEqual(
      [
        update(A, { started, message: "deploy a1, by ann" }),
        update(undefined, { started, kind: "destroy", succeeded: false, seconds: 9 }),
      ].map(historyRow),
      [
        ["2026-01-02 03:04", "a1a1a1a", "deploy a1, by ann", "1 s", "succeeded"],
        ["2026-01-02 03:04", "", "destroy, by hand", "9 s", "failed"],
      ],
    );
  });

  it("names the releases that have been live: successful updates with a commit", () => {
    const history = [
      update(A, { kind: "refresh" }),
      update(B, { succeeded: false }),
      update(undefined),
      update(C),
    ];
    assert.deepEqual(liveReleases(history), [history[3]]);
  });
});
