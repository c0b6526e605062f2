import assert from "node:assert/strict";
import { dataDirectory, imageOf, majorOf, MAJORS, supportWarning } from "../../infra/model/postgres.ts";

const DIGEST = `@sha256:${"0".repeat(64)}`;

describe("a version of PostgreSQL", () => {
  for (const [image, major] of [
    ["postgres:13", 13],
    ["postgres:13.22-bookworm", 13],
    ["postgres:17-alpine", 17],
    ["registry.example.org:5000/mirror/postgres:15", 15],
    ["registry.example.org:5000/mirror/postgres", undefined],
    ["postgres:bookworm", undefined],
    [`postgres${DIGEST}`, undefined],
    [`postgres:17.2${DIGEST}`, 17],
    [`registry.example.org:5000/mirror/postgres:15${DIGEST}`, 15],
    [`registry.example.org:5000/mirror/postgres${DIGEST}`, undefined],
  ] as const) {
    it(`of ${image} is ${major ?? "unknown"}`, () => {
      assert.equal(majorOf(image), major);
    });
  }

  it("is had from where the present one comes", () => {
    assert.equal(imageOf("postgres:13", 17), "postgres:17");
    assert.equal(
      imageOf("registry.example.org:5000/mirror/postgres:13.22", 17),
      "registry.example.org:5000/mirror/postgres:17",
    );
    assert.equal(
      imageOf(`registry.example.org:5000/postgres${DIGEST}`, 17),
      "registry.example.org:5000/postgres:17",
    );
  });

  it("is had without the digest of the present one", () => {
    assert.equal(imageOf(`postgres:17.2${DIGEST}`, 18), "postgres:18");
    assert.equal(
      imageOf(`registry.example.org:5000/postgres:13${DIGEST}`, 17),
      "registry.example.org:5000/postgres:17",
    );
  });

  it("keeps its data one directory up since 18", () => {
    assert.equal(dataDirectory("postgres:17"), "/var/lib/postgresql/data");
    assert.equal(dataDirectory("postgres:18"), "/var/lib/postgresql");
    assert.equal(dataDirectory(`postgres:18${DIGEST}`), "/var/lib/postgresql");
    assert.equal(dataDirectory(`postgres${DIGEST}`), "/var/lib/postgresql/data");
  });

  it("is warned of from the day after the end of its support, in a sentence with what to do", () => {
    assert.equal(supportWarning("postgres:13", new Date("2025-11-13T23:59:59Z")), undefined);
    assert.equal(
      supportWarning("postgres:13", new Date("2025-11-14T00:00:00Z")),
      "PostgreSQL 13 has had no security fixes since 2025-11-13; move the data to a newer one with: ./delivery database upgrade 17",
    );
    for (const image of ["postgres:18", "postgres:bookworm", "postgres:99", `postgres${DIGEST}`]) {
      assert.equal(supportWarning(image, new Date("2028-01-01")), undefined, image);
    }
  });

  it("is supported for five years", () => {
    for (const major of MAJORS) {
      assert.equal(supportWarning(`postgres:${major}`, new Date(`${2012 + major}-11-01`)), undefined);
      assert.match(
        supportWarning(`postgres:${major}`, new Date(`${2012 + major}-12-01`)) ?? "",
        /no security/,
      );
    }
  });
});
