// @ts-nocheck
import assert from "node:assert/strict";
import { explain } from "../../infra/model/ssh.ts";
import { settings } from "./fixtures.ts";

describe("what a script on the server said", () => {
  const explained = (status: number, stderr: string) => explain({ status, stdout: "", stderr }, settings());

  it("is nothing to explain when it succeeded", () => {
    assert.equal(explained(0, "a warning"), undefined);
  });

  it("is a sentence, with a full stop of its own or one that is added", () => {
    assert.equal(explained(1, "noise\nThe disk is full.\n"), "The disk is full.");
    assert.equal(
      explained(1, "fatal: no repository at /srv/notebot"),
      "fatal: no repository at /srv/notebot.",
    );
    assert.equal(explained(7, ""), "The script on the server ended with status 7.");
  });
});
