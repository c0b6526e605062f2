import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import project from "../../package.json" with { type: "json" };
import node from "../../tools/node/package.json" with { type: "json" };
import lock from "../../tools/node/package-lock.json" with { type: "json" };
import { TemporaryDirectory } from "./temporary-directory.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const VERSION = project.dependencies["@pulumi/pulumi"];
const CPU = arch() === "arm64" ? ["arm64", "arm64"] : ["x64", "amd64"];
const CLI = `pulumi-v${VERSION}-linux-${CPU[0]}.tar.gz`;
const PLUGINS = (["command", "docker", "github"] as const).map(
  (name) => `pulumi-resource-${name}-v${project.dependencies[`@pulumi/${name}`]}-linux-${CPU[1]}.tar.gz`,
);

/**
 * scripts/bootstrap in a copy of what it reads, on a machine where `curl` takes downloads from a directory and Go says no.
 * Whatever of a download is run leaves its name in `ran`.
 */
class Machine extends TemporaryDirectory {
  constructor() {
    super("bootstrap-");
    for (const part of ["bin", "home", "served", "project/scripts", "project/node_modules"])
      mkdirSync(join(this.directory, part), { recursive: true });
    for (const file of ["package.json", "package-lock.json", ".nvmrc", "scripts/bootstrap"])
      cpSync(join(ROOT, file), join(this.directory, "project", file));
    cpSync(join(ROOT, "tools"), join(this.directory, "project/tools"), { recursive: true });
    const packages = readFileSync(join(ROOT, "package-lock.json"));
    this.write("project/node_modules/.lock-hash", `${sha256(packages)}\n`);
    symlinkSync(process.execPath, join(this.directory, "bin/node"));
    this.tool("npm", 'echo "npm $*" >>"$CALLS"; exit 1');
    this.tool("go", 'case $1 in env) echo linux ;; *) echo "go $1" >>"$CALLS"; exit 1 ;; esac');
    this.tool(
      "curl",
      `for last; do :; done
       echo "curl $last" >>"$CALLS"
       while [ "$1" != -o ]; do shift; done
       cp "${this.directory}/served/\${last##*/}" "$2"`,
    );
    this.write("calls", "");
    this.write("ran", "");
  }

  private tool(name: string, script: string): void {
    writeFileSync(join(this.directory, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  /** Puts an archive where curl finds it, and gives its line for the checksums. */
  serve(name: string, files: Record<string, string>): string {
    for (const [path, answer] of Object.entries(files)) {
      this.write(`packed/${path}`, `#!/bin/sh\necho ${path} >>"${this.directory}/ran"\necho ${answer}\n`);
      execFileSync("chmod", ["755", join(this.directory, "packed", path)]);
    }
    const archive = join(this.directory, "served", name);
    const packed = join(this.directory, "packed");
    execFileSync("tar", ["-czf", archive, "-C", packed, ...readdirSync(packed)]);
    execFileSync("rm", ["-r", packed]);
    return `${sha256(readFileSync(archive))}  ${name}\n`;
  }

  /** Serves Pulumi and its plugins, and pins them. */
  servePulumi(): void {
    const lines = [
      this.serve(CLI, { "pulumi/pulumi": `v${VERSION}`, "pulumi/pulumi-language-nodejs": "" }),
      ...PLUGINS.map((name) => this.serve(name, { [name.replace(/-v\d.*/, "")]: "" })),
    ];
    this.write("project/tools/pulumi/checksums", lines.join(""));
  }

  /** Changes a download after it was pinned: whatever is in it says so when it is run. */
  tamper(name: string): void {
    const paths =
      name === CLI ? ["pulumi/pulumi", "pulumi/pulumi-language-nodejs"] : [name.replace(/-v\d.*/, "")];
    this.serve(name, Object.fromEntries([...paths, "evil"].map((path) => [path, `v${VERSION}`])));
  }

  bootstrap(...args: string[]) {
    const env = {
      PATH: `${join(this.directory, "bin")}:/usr/bin:/bin`,
      HOME: join(this.directory, "home"),
      PULUMI_HOME: join(this.directory, "home/.pulumi"),
      CALLS: join(this.directory, "calls"),
    };
    const run = spawnSync(join(this.directory, "project/scripts/bootstrap"), args, { env, encoding: "utf8" });
    return { ...run, calls: this.read("calls").split("\n").filter(Boolean), ran: this.read("ran") };
  }

  has(path: string): boolean {
    return existsSync(join(this.directory, path));
  }
}

const sha256 = (content: Buffer) => createHash("sha256").update(content).digest("hex");

describe("scripts/bootstrap", function () {
  this.timeout(30_000);
  let machine: Machine;

  beforeEach(() => {
    machine = new Machine();
  });
  afterEach(() => {
    machine.close();
  });

  it("takes the downloads that are pinned, and keeps them", () => {
    machine.servePulumi();
    const { status, stderr, calls } = machine.bootstrap("--deploy");
    assert.equal(status, 0, stderr);
    assert.deepEqual(calls, [
      `curl https://get.pulumi.com/releases/sdk/${CLI}`,
      ...PLUGINS.map((name) => `curl https://get.pulumi.com/releases/plugins/${name}`),
    ]);
    assert.ok(machine.has("project/.tools/bin/pulumi"));
    const again = machine.bootstrap("--deploy");
    assert.equal(again.status, 0, again.stderr);
    assert.deepEqual(again.calls, calls);
  });

  for (const name of [CLI, ...PLUGINS]) {
    it(`refuses ${name.replace(/-v.*/, "")} where it is not the pinned file, and runs nothing of it`, () => {
      machine.servePulumi();
      machine.tamper(name);
      const { status, stderr, ran, calls } = machine.bootstrap("--deploy");
      assert.equal(status, 1);
      assert.match(
        stderr,
        new RegExp(
          `^error: https://get\\.pulumi\\.com/releases/\\w+/${name} is not the file that tools/pulumi/checksums pins, and nothing of it was run: `,
          "m",
        ),
      );
      assert.doesNotMatch(ran, name === CLI ? /./ : /evil|pulumi-resource/);
      assert.equal(
        calls.at(-1),
        `curl https://get.pulumi.com/releases/${name === CLI ? "sdk" : "plugins"}/${name}`,
      );
      const plugin = name.replace(/^pulumi-|-linux.*/g, "");
      assert.ok(!machine.has(name === CLI ? "project/.tools/bin/pulumi" : `home/.pulumi/plugins/${plugin}`));
    });
  }

  it("downloads nothing that is not pinned, and builds it from Go modules", () => {
    machine.servePulumi();
    machine.write("project/tools/pulumi/checksums", "# None.\n");
    const { status, stderr, ran, calls } = machine.bootstrap("--deploy");
    assert.equal(status, 1);
    assert.match(stderr, /^error: pulumi \S+ could not be built\.$/m);
    assert.deepEqual(calls, ["go build"]);
    assert.equal(ran, "");
  });

  it("builds what cannot be downloaded", () => {
    machine.servePulumi();
    execFileSync("rm", [join(machine.directory, "served", CLI)]);
    const { calls } = machine.bootstrap("--deploy");
    assert.deepEqual(calls, [`curl https://get.pulumi.com/releases/sdk/${CLI}`, "go build"]);
  });

  it("names the key of a cache by the sources alone, and installs nothing for it", () => {
    const before = machine.bootstrap("--cache-key");
    assert.match(before.stdout, /^pulumi-[0-9a-f]{16}-[0-9a-f]{16}\n$/);
    assert.deepEqual([before.status, before.calls], [0, []]);
    machine.write("project/tools/pulumi/cli/go.sum", "another\n");
    assert.notEqual(machine.bootstrap("--cache-key").stdout, before.stdout);
  });

  it("has its pins in the form that sha256sum writes, each for a version that package.json names", () => {
    const lines = readFileSync(join(ROOT, "tools/pulumi/checksums"), "utf8").trimEnd().split("\n");
    for (const line of lines.filter((line) => !line.startsWith("#"))) {
      const [, sum, name = ""] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line) ?? [];
      assert.ok(sum !== undefined, line);
      const versions = Object.values(project.dependencies).map((version) => `-v${version}-`);
      assert.ok(
        versions.some((version) => name.includes(version)),
        line,
      );
    }
  });

  it("takes Node.js as a lock file has it, in the version of .nvmrc", () => {
    const version = readFileSync(join(ROOT, ".nvmrc"), "utf8").trim();
    const packages = lock.packages as Record<string, { version?: string; integrity?: string }>;
    for (const [name, wanted] of Object.entries(node.optionalDependencies)) {
      assert.equal(wanted, version, name);
      assert.equal(packages[`node_modules/${name}`]?.version, version);
      assert.match(packages[`node_modules/${name}`]?.integrity ?? "", /^sha512-/);
    }
  });

  it("refuses Node.js where the registry's is another one", () => {
    execFileSync("rm", [join(machine.directory, "bin/node")]);
    writeFileSync(join(machine.directory, "bin/npm"), '#!/bin/sh\necho "npm $*" >>"$CALLS"\n', {
      mode: 0o755,
    });
    const { status, stderr, calls } = machine.bootstrap("--deploy");
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: Node\.js \S+ could not be installed from the package registry as tools\/node\/package-lock\.json has it/m,
    );
    assert.match(calls.join(), /^npm ci --no-audit --no-fund --ignore-scripts --prefix \S+$/);
  });
});
