import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import project from "../../package.json" with { type: "json" };
import { TemporaryDirectory } from "./temporary-directory.ts";

/** The oldest Node that the packages are for. */
const [, LEAST = ""] = /^>=([\d.]+)$/.exec(project.engines.node) ?? [];
const WRAPPER = join(import.meta.dirname, "..", "..", "delivery");

describe("the start of ./delivery", () => {
  let world: TemporaryDirectory;
  beforeEach(() => {
    world = new TemporaryDirectory("delivery");
    copyFileSync(WRAPPER, join(world.directory, "delivery"));
    mkdirSync(join(world.directory, "node_modules"));
  });
  afterEach(() => {
    world.close();
  });

  /** Puts a Node of a version somewhere in the project's directory, which then says with what it was started. */
  function install(version: string, directory: string): void {
    mkdirSync(join(world.directory, directory), { recursive: true });
    const node = join(world.directory, directory, "node");
    const script = `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; else echo "${directory} $*"; fi\n`;
    writeFileSync(node, script, { mode: 0o755 });
  }

  const start = () =>
    execa(join(world.directory, "delivery"), ["status"], {
      env: { PATH: `${world.directory}/machine:/usr/bin:/bin` },
      reject: false,
    });

  const refusal = () =>
    `error: Node.js or the project's packages are missing or too old; install them with: ${world.directory}/scripts/bootstrap`;

  for (const version of ["v18.19.0", "v20.20.2", "v22.18.0", `v${Number.parseInt(LEAST) - 1}.9.0`, ""]) {
    it(`refuses the machine's Node ${version || "that does not start"}`, async () => {
      install(version, "machine");
      const { exitCode, stderr } = await start();
      assert.deepEqual([exitCode, stderr], [1, refusal()]);
    });
  }

  for (const version of [`v${LEAST}.0`, "v26.1.0", "v30.0.0", "v100.0.0"]) {
    it(`takes the machine's Node ${version}`, async () => {
      install(version, "machine");
      const { stdout } = await start();
      assert.match(stdout, new RegExp(`^machine .*${world.directory}/operator/cli.ts status$`));
    });
  }

  it("takes the one that scripts/bootstrap installed first", async () => {
    install("v18.19.0", "machine");
    install("v24.21.0", ".tools/bin");
    const { stdout } = await start();
    assert.match(stdout, /^\.tools\/bin /);
  });

  it("refuses without the packages", async () => {
    install("v24.21.0", ".tools/bin");
    rmdirSync(join(world.directory, "node_modules"));
    const { exitCode, stderr } = await start();
    assert.deepEqual([exitCode, stderr], [1, refusal()]);
  });
});
