import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** Where what comes from elsewhere is pinned, and how such a pin looks there. */
const PINS: Record<string, RegExp> = {
  "package-lock.json": /"integrity": "sha512-/,
  "tools/node/package-lock.json": /"integrity": "sha512-/,
  "tools/pulumi/cli/go.sum": /^github\.com\/pulumi\/pulumi\/pkg\/v3 v[\d.]+ h1:/m,
  "tools/pulumi/plugins/go.sum": /^github\.com\/pulumi\/pulumi-terraform-bridge\/v3 v[\d.]+ h1:/m,
  "tools/pulumi/checksums": /^# Downloads of Pulumi's/,
  "tools/sbom/go.sum": /^github\.com\/anchore\/syft v[\d.]+ h1:/m,
  "tools/workflows/go.sum": /^github\.com\/rhysd\/actionlint v[\d.]+ h1:/m,
  "tools/workflows/requirements.txt": /--hash=sha256:[0-9a-f]{64}/,
  ".github/actions/setup/action.yml": /uses: \S+@[0-9a-f]{40} # v\d/,
  ".github/workflows/deploy.yml": /uses: \S+@[0-9a-f]{40} # v\d/,
  "infra/model/git.ts": /github\.com ssh-ed25519 AAAA/,
  "infra/model/schema.ts": /default\("postgres:13"\)[^]*default\("caddy:2"\)/,
  "examples/hockey/requirements.txt": /^Flask==\d/m,
  "scripts/setup-server.sh": /signed-by=/,
  ".github/renovate.json5": /minimumReleaseAge/,
};

describe("what comes from elsewhere", () => {
  for (const [path, pin] of Object.entries(PINS)) {
    it(`is pinned in ${path}`, () => {
      assert.match(read(path), pin);
    });
  }

  it("stands in SECURITY.md's table, with the file that pins it", () => {
    const [, table = ""] = /## What is pinned where\n(.*)/s.exec(read("SECURITY.md")) ?? [];
    const linked = [...table.matchAll(/\]\(([^)#]+)\)/g)].map(([, path]) => path);
    const others = [".nvmrc", "tools/pulumi/README.md", "scripts/bootstrap"];
    assert.deepEqual([...new Set(linked)].sort(), [...Object.keys(PINS), ...others].sort());
  });

  it("is not run as it comes: nothing pipes a download into a shell", () => {
    for (const path of [
      "scripts/bootstrap",
      "scripts/setup-server.sh",
      "scripts/lint-workflows",
      "scripts/test",
    ]) {
      const code = read(path).replace(/^\s*#.*$/gm, "");
      assert.doesNotMatch(
        code,
        /(curl|wget)[^\n|]*\|\s*(ba|da)?sh\b|\b(ba|da)?sh [^\n]*<<<|npm install \S*@|@latest\b/,
        path,
      );
    }
  });
});
