// @ts-nocheck
import assert from "node:assert/strict";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import {
  type Evidence,
  failureMessage,
  judgeOutcome,
  type Plan,
  planUpgrade,
  refuseUpgrade,
  successMessage,
} from "../../operator/database/upgrade-plan.ts";
import { rawConfig } from "./fixtures.ts";

const OLD = { major: 13, volume: "training_bot_db_data" };
const NEW = { major: 15, volume: "training_bot_db_data_15" };
const MOVE: Plan = {
  action: "move",
  present: OLD,
  major: 15,
  image: "postgres:15",
  volume: NEW.volume,
  configured: OLD.volume,
};

const configured = (changes: Record<string, unknown> = {}) =>
  parsePlainConfig({ ...rawConfig(), ...changes });

describe("an upgrade of PostgreSQL, decided", () => {
  it("cannot begin with an unknown version, or before anything runs", () => {
    assert.equal(
      refuseUpgrade(configured(), 12),
      "PostgreSQL 12 is not known here; there are: 13, 14, 15, 16, 17, 18.",
    );
    assert.equal(
      refuseUpgrade(configured({ commit: undefined }), 15),
      "Nothing runs yet; begin with: ./delivery deploy",
    );
    assert.equal(refuseUpgrade(configured(), 15), undefined);
  });

  it("moves the data into a volume that is named after the new version", () => {
    assert.deepEqual(planUpgrade(configured(), 15, OLD), { plan: MOVE });
  });

  it("takes the new image from where the present one comes, and the old volume from the configuration", () => {
    const settings = configured({
      name: "chess",
      database: { image: "registry.example.org/postgres:15", volume: "chess_db_data_15" },
    });
    assert.deepEqual(planUpgrade(settings, 17, { major: 15, volume: "chess_db_data_15" }), {
      plan: {
        action: "move",
        present: { major: 15, volume: "chess_db_data_15" },
        major: 17,
        image: "registry.example.org/postgres:17",
        volume: "chess_db_data_17",
        configured: "chess_db_data_15",
      },
    });
  });

  it("refuses the version that runs, and an older one", () => {
    for (const major of [13, 14]) {
      const settings = configured({ database: { image: "postgres:14", volume: "v" } });
      assert.deepEqual(planUpgrade(settings, major, { major: 14, volume: "v" }), {
        refusal: "The database is PostgreSQL 14 already; only a newer major version can be upgraded to.",
      });
    }
  });

  it("finishes one that was cut off: the version runs, on a volume that the configuration does not know", () => {
    assert.deepEqual(planUpgrade(configured(), 15, NEW), {
      plan: { ...MOVE, action: "finish", present: NEW },
    });
    assert.ok("refusal" in planUpgrade(configured(), 14, NEW), "another version is not that upgrade");
  });

  describe("has ended", () => {
    const evidence = (changes: Partial<Evidence>): Evidence => ({
      served: OLD,
      status: 1,
      last: "The bot does not get healthy.",
      ...changes,
    });

    it("well, if the new volume is served, whatever this side has seen", () => {
      assert.deepEqual(judgeOutcome(MOVE, evidence({ served: NEW, status: 0, last: "done" })), {
        upgraded: true,
        complete: true,
      });
      assert.deepEqual(judgeOutcome(MOVE, evidence({ served: NEW, fault: "The connection is gone." })), {
        upgraded: true,
        complete: false,
      });
    });

    it("badly, if the old volume is served, even if the script ended well", () => {
      assert.deepEqual(judgeOutcome(MOVE, evidence({})), {
        upgraded: false,
        cause: "The bot does not get healthy",
      });
      assert.deepEqual(judgeOutcome(MOVE, evidence({ status: 0, last: "done" })), {
        upgraded: false,
        cause: "done",
      });
    });

    it("with the cause from this side, if there is one", () => {
      assert.deepEqual(judgeOutcome(MOVE, evidence({ fault: "Pulumi could not switch;" })), {
        upgraded: false,
        cause: "Pulumi could not switch",
      });
    });
  });

  it("is reported with what to do next", () => {
    assert.equal(
      successMessage(MOVE, "Pulumi.production.yaml", 12.34, "ssh x docker volume rm training_bot_db_data"),
      "database upgrade: PostgreSQL 15 runs (before: 13), 12.3 s in all\n" +
        "Pulumi.production.yaml says so; commit it. The old data is kept in the volume training_bot_db_data; once you do not need it any more, remove it with: ssh x docker volume rm training_bot_db_data",
    );
    assert.match(
      successMessage({ ...MOVE, action: "finish" }, "f", 1, "r"),
      /^database upgrade: PostgreSQL 15 runs, 1\.0 s in all$/m,
    );
    assert.equal(
      failureMessage(MOVE, "The disk is full", true),
      "The upgrade failed: The disk is full. PostgreSQL 13 runs as before.",
    );
    assert.equal(
      failureMessage(MOVE, "The disk is full", false),
      "The upgrade failed: The disk is full. PostgreSQL 13 runs, but the stack could not follow; go on with: ./delivery deploy --recover",
    );
  });
});
