// @ts-nocheck
import assert from "node:assert/strict";
import { withRelease } from "../../operator/release/release.ts";
import { withConfig } from "../../operator/release/update.ts";

describe("a release in the stack's file", () => {
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

describe("a value in the stack's file", () => {
  const values = { "database.image": "postgres:17", "database.volume": "v17" };

  it("replaces the one that is there, and leaves the rest", () => {
    const file =
      "config:\n  hockey:commit: a\n  hockey:database:\n    name: kept\n    image: postgres:13 # why\n";
    const lines = "    image: postgres:17 # why\n    volume: v17\n";
    assert.equal(withConfig(file, values), file.replace("    image: postgres:13 # why\n", lines));
  });

  it("gets a place where there is none", () => {
    const lines = "  hockey:database:\n    image: postgres:17\n    volume: v17\n";
    assert.equal(
      withConfig("config:\n  hockey:commit: a\n", values),
      `config:\n  hockey:commit: a\n${lines}`,
    );
  });
});
