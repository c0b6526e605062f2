// @ts-nocheck
import assert from "node:assert/strict";
import { join } from "node:path";
import { execa } from "execa";

const PROJECT = join(import.meta.dirname, "..", "..");

/** What a program prints that Node starts as Pulumi.yaml says. */
async function run(program: string): Promise<string> {
  const start = join(PROJECT, "infra/start.cjs");
  const { stdout } = await execa(process.execPath, ["--require", start, "--eval", program], { cwd: PROJECT });
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
