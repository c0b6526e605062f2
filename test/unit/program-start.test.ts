import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { given, rawConfig } from "./fixtures.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

const PROJECT = join(import.meta.dirname, "..", "..");
const START = ["--require", join(PROJECT, "infra/start.cjs"), "--eval"];

/** What a program prints that Node starts as Pulumi.yaml says. */
async function run(program: string): Promise<string> {
  const { stdout } = await execa(process.execPath, [...START, program], { cwd: PROJECT });
  return stdout;
}

const LOADED = `
const loaded = (part) => Object.values(require.cache).some((m) => m.filename.includes(part) && m.children);
const parts = () => ["@npmcli/arborist/lib", "typescript/lib", "sdk-trace-base"].filter(loaded);
const pulumi = require("@pulumi/pulumi");
require("@pulumi/pulumi/cmd/run/tracing").newSpan("program").end();
`;

describe("the start of the program", () => {
  it("leaves out what the SDK does not need for it", async () => {
    assert.equal(await run(`${LOADED} console.log(parts().join());`), "");
  });

  it("loads it when it is needed", async () => {
    const program = `${LOADED}
      const captured = { a: 1 };
      const text = async () => (await pulumi.runtime.serializeFunction(() => captured.a)).text;
      const paths = async () => [...(await pulumi.runtime.computeCodePaths()).keys()].length > 0;
      text().then(async (text) => console.log(text.includes("captured.a"), await paths(), parts().join()));`;
    assert.equal(await run(program), "true true @npmcli/arborist/lib,typescript/lib");
  });
});

describe("the question to the server", () => {
  let world: TemporaryDirectory;
  beforeEach(() => {
    world = new TemporaryDirectory("early-");
    writeFileSync(join(world.directory, "ssh"), "#!/bin/sh\ncat >/dev/null\necho image=sha256:1\n", {
      mode: 0o755,
    });
  });
  afterEach(() => {
    world.close();
  });

  /** What the program is answered that asks for a server it does not know, in a run on a configuration. */
  async function answer(changes: Record<string, unknown>): Promise<string> {
    const program = `import("${PROJECT}/infra/ask-server.ts").then(({ askServer }) => askServer({}, false))
      .then(({ status, stdout }) => process.stdout.write(status + " " + stdout), () => process.stdout.write("unknown"))`;
    const { config, secretKeys } = given({ ...rawConfig(), ...changes });
    const { stdout } = await execa(process.execPath, [...START, program, "--", "--project", "hockey"], {
      // Where the deploy key is written.
      cwd: world.directory,
      env: {
        PATH: `${world.directory}:${process.env.PATH ?? ""}`,
        PULUMI_CONFIG: JSON.stringify(config),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(secretKeys),
      },
    });
    return stdout;
  }

  it("is asked before the program is loaded", async () => {
    assert.equal(await answer({}), "0 image=sha256:1");
  });

  it("is left to the program where the configuration is wrong", async () => {
    assert.equal(await answer({ commit: "main" }), "unknown");
  });
});
