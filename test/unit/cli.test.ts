import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VERBS } from "../../operator/verbs.ts";
import { delivery, EXECUTABLE, NAMES, ROOT, shell } from "./cli-driver.ts";

const project = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
  scripts: Record<string, string>;
};

/** Prints every npm package that a process loads to standard error. */
const TELL_PACKAGES = `data:text/javascript,${encodeURIComponent(
  `import { registerHooks } from "node:module";
   registerHooks({ resolve(name, context, next) {
     const found = next(name, context);
     const [, name_] = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(found.url) ?? [];
     if (name_) console.error("loads " + name_);
     return found;
   } });`,
)}`;

describe("./delivery --help", () => {
  it("lists every verb in groups, on one screen", () => {
    const { status, stdout, stderr } = delivery(["--help"]);
    assert.equal(status, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assert.ok(lines.length <= 24, `${lines.length} lines`);
    for (const line of lines) assert.ok(line.length <= 80, line);
    for (const [name, { summary }] of Object.entries(VERBS))
      assert.ok(
        lines.some((line) => line.startsWith(`  ${name} `) && line.endsWith(` ${summary}`)),
        name,
      );
    for (const group of ["Releases", "Observation", "Database"]) assert.ok(lines.includes(group), group);
  });

  it("is what no argument, -h and help print too", () => {
    const { stdout } = delivery(["--help"]);
    for (const args of [[], ["-h"], ["help"]]) assert.equal(delivery(args).stdout, stdout);
  });

  it("loads no package", () => {
    const { status, stderr } = delivery(["--help"], { env: { NODE_OPTIONS: `--import=${TELL_PACKAGES}` } });
    assert.deepEqual([status, stderr], [0, ""]);
  });

  it("explains the first word of verbs that have two", () => {
    const { status, stdout } = delivery(["database"]);
    assert.equal(status, 0);
    assert.match(stdout, /^ {2}database upgrade {2}Move the data/m);
    assert.doesNotMatch(stdout, /deploy {2}/);
  });
});

describe("./delivery VERB --help", () => {
  for (const name of NAMES) {
    it(`explains ${name}, with examples that use its own options`, () => {
      const { status, stdout, stderr } = delivery([...name.split(" "), "--help"]);
      assert.equal(status, 0, stderr);
      assert.ok(stdout.startsWith(`./delivery ${name}`), stdout);
      assert.ok(stdout.includes(VERBS[name]?.summary ?? "?"));
      assert.match(stdout, /^Exit status:\n {2}0 {3}done\n(.+\n)*? {2}64 {2}wrong usage$/m);
      for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
      const [top = "", examples = ""] = stdout.split("Examples:\n");
      const lines = examples.match(/^ {2}\.\/delivery .*$/gm) ?? [];
      assert.ok(lines.length >= 1 && lines.length <= 3, stdout);
      for (const line of lines) {
        assert.ok(line.startsWith(`  ./delivery ${name}`), line);
        for (const [option] of (line.trim().split(/ {2,}/)[0] ?? "").matchAll(/(?<= )--?[a-z-]+/g))
          assert.ok(top.includes(option), line);
      }
    });
  }

  it("is what help VERB prints too", () => {
    assert.equal(delivery(["help", "logs"]).stdout, delivery(["logs", "--help"]).stdout);
  });

  it("loads nothing that runs other programs", () => {
    const env = { NODE_OPTIONS: `--import=${TELL_PACKAGES}` };
    const { stderr } = delivery(["logs", "--help"], { env });
    assert.match(stderr, /loads yargs$/m);
    assert.doesNotMatch(stderr, /loads (execa|@pulumi)/);
  });
});

describe("./delivery --version", () => {
  it("prints the project's", () => {
    assert.equal(delivery(["--version"]).stdout, `${project.version}\n`);
  });
});

describe("./delivery", () => {
  it("works from another directory, and through a link", () => {
    const directory = mkdtempSync(join(tmpdir(), "delivery-"));
    try {
      const link = join(directory, "mine");
      symlinkSync(EXECUTABLE, link);
      const { status, stdout } = spawnSync(link, ["--version"], { cwd: directory, encoding: "utf8" });
      assert.deepEqual([status, stdout], [0, `${project.version}\n`]);
      assert.equal(delivery(["--version"], { cwd: directory }).status, 0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("ends quietly when nothing reads its output any more", () => {
    const script = "./delivery status --help | true; echo ${PIPESTATUS[0]}";
    assert.deepEqual(shell("bash", ["-c"], script), { status: 0, lines: ["0"], stderr: "" });
  });
});

describe("colors", () => {
  const module = JSON.stringify(join(ROOT, "operator", "table.ts"));
  const code = `import { heading } from ${module}; process.stdout.write(heading("ok").trim());`;
  const command = [process.execPath, "--input-type=module", "-e", code];
  const print = ([program = "", ...args]: string[], env: Record<string, string>) => {
    const bare = { PATH: process.env.PATH, TERM: "xterm-256color" };
    return spawnSync(program, args, { encoding: "utf8", env: { ...bare, ...env } }).stdout;
  };
  /** Gives the command a terminal. */
  const onTerminal = ["script", "-qec", command.map((word) => `'${word}'`).join(" "), "/dev/null"];
  const colored = "\u001b[1mok\u001b[22m";

  it("are for terminals, unless NO_COLOR is set", () => {
    assert.equal(print(onTerminal, {}), colored);
    assert.equal(print(onTerminal, { NO_COLOR: "1" }), "ok");
  });

  it("are not for files and workflows, unless FORCE_COLOR is set", () => {
    assert.equal(print(command, { CI: "true", GITHUB_ACTIONS: "true" }), "ok");
    assert.equal(print(command, { FORCE_COLOR: "1" }), colored);
  });
});

describe("an operator's npm script", () => {
  // Verbs that came later have never been one.
  const LATER = ["completion", "images", "sbom"];

  it("of every verb says where it went", () => {
    for (const verb of NAMES.filter((name) => !LATER.includes(name)))
      assert.equal(project.scripts[verb.replace(" ", ":")], "scripts/npm-moved");
  });

  for (const [script, verb] of [
    ["deploy", "deploy"],
    ["database:upgrade", "database upgrade"],
  ] as const)
    it(`${script} is ./delivery ${verb}`, () => {
      const { status, stderr } = spawnSync("npm", ["run", "--silent", script], {
        cwd: ROOT,
        encoding: "utf8",
      });
      assert.equal(
        stderr,
        `error: npm run ${script} is now ./delivery ${verb}; ./delivery --help lists all verbs.\n`,
      );
      assert.equal(status, 64);
    });
});
