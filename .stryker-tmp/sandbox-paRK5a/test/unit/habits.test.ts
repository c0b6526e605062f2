// @ts-nocheck
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

interface Manifest {
  version: string;
  license: string;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  "//dependencies": Record<string, string>;
}
const manifest = JSON.parse(read("package.json")) as Manifest;
const pinned = { ...manifest.dependencies, ...manifest.devDependencies };
const major = (version = "") => Number(version.split(".")[0]);

describe("package.json", () => {
  it("gives the reason for every dependency, and for nothing else", () => {
    assert.deepEqual(Object.keys(manifest["//dependencies"]).sort(), Object.keys(pinned).sort());
    for (const [name, reason] of Object.entries(manifest["//dependencies"]))
      assert.ok(reason.length > 8, `${name}: ${reason}`);
  });

  it("pins every dependency exactly", () => {
    for (const [name, version] of Object.entries(pinned)) assert.match(version, /^\d+\.\d+\.\d+$/, name);
  });

  it("keeps the limits that it names", () => {
    assert.equal(major(pinned["@pulumi/command"]), 1);
    assert.equal(pinned["@stryker-mutator/core"], pinned["@stryker-mutator/mocha-runner"]);
    assert.equal(major(pinned["@types/node"]), major(read(".nvmrc")));
    assert.match(pinned.typescript ?? "", /^(5|6\.0)\./);
  });

  it("has the versions of Pulumi that are built from Go modules", () => {
    const [, cli] = /github\.com\/pulumi\/pulumi\/pkg\/v3 v(\S+)/.exec(read("tools/pulumi/cli/go.mod")) ?? [];
    assert.equal(cli, pinned["@pulumi/pulumi"]);
    for (const name of ["command", "docker", "github"]) {
      const main = read(`tools/pulumi/plugins/cmd/pulumi-resource-${name}/main.go`);
      assert.equal(/const version = "(.*)"/.exec(main)?.[1], pinned[`@pulumi/${name}`], name);
    }
  });

  it("names the licence that LICENSE holds", () => {
    assert.equal(manifest.license, "MIT");
    assert.match(read("LICENSE"), /^MIT License\n/);
  });
});

describe("generated files", () => {
  const attributes = read(".gitattributes").matchAll(/^(\S+)\s+.*linguist-generated/gm);
  for (const [, path = ""] of attributes) {
    // Their names say it: npm and Go own them.
    if (path === "package-lock.json" || path.includes("*")) continue;
    it(`${path} names its generator`, () => {
      assert.match(read(path).slice(0, 400), /[Gg]enerated by \S+/);
    });
  }
});

describe("documents", () => {
  const documents = git(ROOT, "ls-files", "*.md").split("\n");

  it("link only to files that exist", () => {
    for (const document of documents) {
      for (const [, target = ""] of read(document).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g))
        assert.ok(existsSync(join(ROOT, dirname(document), target)), `${document}: ${target}`);
    }
  });

  it("draw the tree as it is", () => {
    const [, tree = ""] = /```text\n(.*?)```/s.exec(read("docs/ARCHITECTURE.md")) ?? [];
    const lines = tree.trimEnd().split("\n");
    assert.ok(lines.length > 20, tree);
    const open: string[] = [];
    for (const line of lines) {
      const [, indent = "", name = ""] = /^( *)(\S+) {2,}\S/.exec(line) ?? [];
      open.length = indent.length / 2;
      open.push(name);
      assert.ok(existsSync(join(ROOT, ...open)), line);
    }
  });
});

/** A scratch git repository on the branch main, with one commit of these files. */
function scratch(files: Record<string, string>, scripts: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), "habits-"));
  mkdirSync(join(directory, "scripts"));
  for (const script of scripts) cpSync(join(ROOT, "scripts", script), join(directory, "scripts", script));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  git(directory, "init", "--quiet", "--initial-branch=main");
  git(directory, "config", "user.name", "Test");
  git(directory, "config", "user.email", "test@example.org");
  git(directory, "add", "--all");
  git(directory, "commit", "--quiet", "--message", "First");
  return directory;
}

function git(directory: string, ...args: string[]): string {
  return execFileSync("git", args, { cwd: directory, encoding: "utf8" }).trim();
}

function script(directory: string, name: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(join(directory, "scripts", name), args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

describe("scripts/release", () => {
  const changelog = (unreleased: string) =>
    `# Changelog\n\n## [Unreleased]\n${unreleased}\n## [0.1.0] - 2026-11-24\n\n- The first.\n`;
  const version = `${JSON.stringify({ name: "scratch", version: "0.1.0" }, undefined, 2)}\n`;
  let directory: string;

  beforeEach(() => {
    const files = {
      "package.json": version,
      "package-lock.json": `${JSON.stringify({ name: "scratch", version: "0.1.0", lockfileVersion: 3, packages: {} })}\n`,
      "CHANGELOG.md": changelog("\n- A verb.\n"),
    };
    directory = scratch(files, ["release"]);
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it("commits the version and its changes, and tags the commit", () => {
    const { status, stdout, stderr } = script(directory, "release", "0.2.0");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^v0\.2\.0 is made\. Publish it with: git push --atomic origin main v0\.2\.0\n$/);
    assert.equal(git(directory, "cat-file", "-t", "v0.2.0"), "tag");
    assert.equal(git(directory, "rev-parse", "v0.2.0^{commit}"), git(directory, "rev-parse", "main"));
    assert.equal(git(directory, "status", "--porcelain"), "");
    for (const file of ["package.json", "package-lock.json"])
      assert.match(readFileSync(join(directory, file), "utf8"), /"version": ?"0\.2\.0"/, file);
    const today = new Date().toISOString().slice(0, 10);
    assert.equal(
      readFileSync(join(directory, "CHANGELOG.md"), "utf8"),
      changelog(`\n## [0.2.0] - ${today}\n\n- A verb.\n`),
    );
  });

  const refusals: [what: string, prepare: (directory: string) => void, wanted: string[], reason: RegExp][] = [
    ["no version", () => undefined, [], /give one version/],
    ["what is not a version", () => undefined, ["v1.0"], /v1\.0 is not a version/],
    ["a version that is not higher", () => undefined, ["0.0.9"], /0\.0\.9 does not follow 0\.1\.0/],
    ["the version that is current", () => undefined, ["0.1.0"], /0\.1\.0 does not follow/],
    [
      "another branch",
      (at) => git(at, "switch", "--quiet", "--create", "topic"),
      ["0.2.0"],
      /made from main, and this is topic/,
    ],
    [
      "uncommitted changes",
      (at) => {
        writeFileSync(join(at, "new"), "");
      },
      ["0.2.0"],
      /has changes/,
    ],
    ["a tag that exists", (at) => git(at, "tag", "v0.2.0"), ["0.2.0"], /the tag v0\.2\.0 exists/],
    [
      "an empty changelog",
      (at) => {
        writeFileSync(join(at, "CHANGELOG.md"), changelog(""));
        git(at, "commit", "--quiet", "--all", "--message", "Nothing");
      },
      ["0.2.0"],
      /nothing under Unreleased/,
    ],
  ];
  for (const [what, prepare, wanted, reason] of refusals) {
    it(`refuses ${what} with one sentence and changes nothing`, () => {
      prepare(directory);
      const state = () => [
        git(directory, "rev-parse", "HEAD"),
        git(directory, "tag"),
        git(directory, "diff"),
      ];
      const before = state();
      const { status, stderr } = script(directory, "release", ...wanted);
      assert.ok(status === 1 || status === 2, `${status}`);
      assert.match(stderr, reason);
      assert.match(stderr, /^release: [^\n]+\n$/);
      assert.deepEqual(state(), before);
    });
  }
});

describe("scripts/lint-prose", () => {
  it("names file and line of a word that must not come back", () => {
    const text = "amended, recommended\nWhoever reads this\nis mended\n";
    const directory = scratch({ "notes.md": text, "fine.md": "Operators read this.\n" }, ["lint-prose"]);
    try {
      assert.equal(script(directory, "lint-prose", "fine.md").status, 0);
      const { status, stdout } = script(directory, "lint-prose");
      assert.equal(status, 1);
      assert.equal(stdout, "notes.md:2:Whoever reads this\nnotes.md:3:is mended\n");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
