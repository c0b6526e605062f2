import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withCauseLast } from "../../operator/command.ts";
import { complete } from "../../operator/completion.ts";
import { explainUsage, unknownVerb } from "../../operator/mistakes.ts";
import { VERBS } from "../../operator/verbs.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const EXECUTABLE = join(ROOT, "delivery");
const NAMES = Object.keys(VERBS);
const project = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
  scripts: Record<string, string>;
};

/** Runs ./delivery as it is typed, without a terminal. */
function delivery(args: string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const { cwd = ROOT, env = {} } = options;
  return spawnSync(EXECUTABLE, args, { cwd, encoding: "utf8", env: { ...process.env, ...env } });
}

/** Runs a shell's script in the project's directory. */
function shell(name: string, args: string[], script: string) {
  const { status, stdout, stderr } = spawnSync(name, [...args, script], {
    ...{ cwd: ROOT, encoding: "utf8", timeout: 8000 },
  });
  return { status, lines: stdout.split("\n").filter(Boolean), stderr };
}

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

describe("a mistyped word", () => {
  const VERB_CASES: [words: string, sentence: string][] = [
    ["deplyo", "There is no verb deplyo; did you mean: ./delivery deploy"],
    ["statsu --json", "There is no verb statsu; did you mean: ./delivery status"],
    ["databse upgrade 17", "There is no verb databse; did you mean: ./delivery database upgrade"],
    ["database upgrdae 17", "There is no verb database upgrdae; did you mean: ./delivery database upgrade"],
    ["database:upgrade 17", "There is no verb database:upgrade; did you mean: ./delivery database upgrade"],
    ["xyz", "There is no verb xyz; see ./delivery --help"],
    ["constructor", "There is no verb constructor; see ./delivery --help"],
    ["--stack staging deploy", "--stack must follow a verb; see ./delivery --help"],
  ];
  for (const [words, sentence] of VERB_CASES)
    it(`${words}: ${sentence}`, () => {
      assert.equal(unknownVerb(words.split(" "), NAMES), sentence);
    });

  it("ends with status 64 and nothing on standard output", () => {
    const { status, stdout, stderr } = delivery(["deplyo"]);
    assert.deepEqual(
      [status, stdout, stderr],
      [64, "", "error: There is no verb deplyo; did you mean: ./delivery deploy\n"],
    );
  });

  it("among several options is told from an argument too many", () => {
    const flags = ["--json", "--stack", "--no-alert", "--help"];
    const explain = (message: string, args: string[]) => explainUsage(message, args, "", flags);
    assert.equal(
      explain("Unknown argument: jsno", ["--jsno"]),
      "There is no option --jsno (did you mean --json?)",
    );
    assert.equal(
      explain("Unknown argument: alrt", ["--no-alrt"]),
      "There is no option --no-alrt (did you mean --no-alert?)",
    );
    assert.equal(
      explain("Unknown arguments: stac, b", ["--stac=a", "b"]),
      "There is no option --stac (did you mean --stack?)",
    );
    assert.equal(explain("Unknown argument: x", ["-x"]), "There is no option -x");
    assert.equal(explain("Unknown arguments: a, b", ["a", "b"]), "Unexpected argument: a b");
  });
});

describe("a wrong usage", () => {
  const CASES: [args: string[], sentence: string][] = [
    [["status", "--jsno"], "There is no option --jsno (did you mean --json?)"],
    [["deploy", "main", "extra"], "Unexpected argument: extra"],
    [["deploy", "--stack", "staging", "main", "extra"], "Unexpected argument: extra"],
    [["deploy", "--", "--stack", "staging"], "`--` is not accepted: options go right after the verb"],
    [["deploy", ""], "commit must not be empty"],
    [["deploy", "--stack"], "--stack needs a value"],
    [["deploy", "--wait", "soon"], "wait must be a whole number"],
    [["history", "abc"], "count must be a whole number"],
    [["logs", "1.5"], "lines must be a whole number"],
    [["logs", "--db", "--proxy"], "Arguments db and proxy are mutually exclusive"],
    [["completion"], "An argument is missing: <shell>"],
    [["completion", "fish"], 'shell must be one of "bash", "zsh", not "fish"'],
  ];
  for (const [args, sentence] of CASES)
    it(`${args.join(" ")}: ${sentence}`, () => {
      const { status, stderr } = delivery(args, { env: { LANG: "de_DE.UTF-8" } });
      assert.equal(stderr, `error: ${sentence}; see ./delivery ${args[0] ?? ""} --help\n`);
      assert.equal(status, 64);
    });

  it("database upgrade: An argument is missing: <major>", () => {
    const { status, stderr } = delivery(["database", "upgrade"]);
    assert.equal(stderr, "error: An argument is missing: <major>; see ./delivery database upgrade --help\n");
    assert.equal(status, 64);
  });

  it("never turns --stack into another target", () => {
    for (const args of [
      ["deploy", "--stack", "staging"],
      ["deploy", "main", "--stack", "staging"],
    ]) {
      const { status, stderr } = delivery(args);
      assert.equal(status, 1);
      assert.match(stderr, /^error: There is no Pulumi\.staging\.yaml;/);
    }
  });
});

describe("an error message", () => {
  it("is a line that names the cause", () => {
    assert.deepEqual(withCauseLast("It failed: see a: b."), ["error: It failed: see a: b."]);
  });

  it("has its cause in the last line, and above it what belongs to that", () => {
    assert.deepEqual(withCauseLast("It has 2 faults; nothing was changed.\n  a: x\n  b: y"), [
      ...["  a: x", "  b: y"],
      "error: It has 2 faults; nothing was changed.",
    ]);
    assert.deepEqual(withCauseLast("No 1.2 is known. What there is:\n  a"), [
      ...["What there is:", "  a"],
      "error: No 1.2 is known.",
    ]);
    assert.deepEqual(withCauseLast("There are:\n  a"), ["  a", "error: There are:"]);
  });
});

describe("completion", () => {
  const CASES: [words: string[], candidates: string[]][] = [
    [["sta"], ["status"]],
    [["re"], ["restart", "restore"]],
    [["data"], ["database"]],
    [["database", ""], ["upgrade"]],
    [["help", "rol"], ["rollback"]],
    [["health", "--no"], ["--no-alert"]],
    [
      ["status", "--json", "--"],
      ["--html", "--stack", "--help"],
    ],
    [["database", "upgrade", "--re"], ["--recover"]],
    [
      ["completion", ""],
      ["bash", "zsh"],
    ],
    [["deploy", ""], []],
    [["unknown", ""], []],
  ];
  for (const [words, candidates] of CASES)
    it(`of "${words.join(" ")}" is: ${candidates.join(" ") || "nothing"}`, async () => {
      assert.deepEqual(await complete(words), candidates);
    });

  it("begins with every verb", async () => {
    const words = new Set(NAMES.map((name) => name.split(" ")[0]));
    assert.deepEqual(await complete([""]), [...words, "help"]);
  });

  it("works in bash, from any directory", () => {
    const typed = (executable: string, ...words: string[]) =>
      `COMP_WORDS=(${[executable, ...words].join(" ")}); COMP_CWORD=${words.length}; _delivery; echo "\${COMPREPLY[@]}"`;
    const { lines, stderr } = shell(
      "bash",
      ["--norc", "-c"],
      [
        "source <(./delivery completion bash)",
        "complete -p delivery",
        typed("./delivery", "sta"),
        typed("./delivery", "health", "--no"),
        "cd test/unit",
        typed("../../delivery", "database", "''"),
      ].join("\n"),
    );
    assert.equal(stderr, "");
    assert.deepEqual(lines, ["complete -o default -F _delivery delivery", "status", "--no-alert", "upgrade"]);
  });

  if (spawnSync("zsh", ["--version"]).status === 0) {
    it("works in zsh", () => {
      const { lines, stderr } = shell(
        "zsh",
        ["-fc"],
        [
          "zmodload zsh/zpty",
          "zpty shell zsh -f -i",
          "zpty -w shell 'source <(./delivery completion zsh); PS1=; echo loa\"\"ded'",
          "zpty -r shell shown '*loaded*'",
          // A tab completes the word: the refusal of what follows names the verb.
          "zpty -w -n shell $'./delivery sta\\t--xyz\\n'",
          "zpty -r shell shown '*see ./delivery * --help*'",
          "print -r -- $shown",
        ].join("\n"),
      );
      assert.match(lines.join(" "), /no option --xyz; see \.\/delivery status --help/, stderr);
    });
  } else {
    console.log("      completion in zsh was not tried: there is no zsh on this machine");
  }
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
  const verbs = NAMES.filter((name) => name !== "completion");

  it("of every verb says where it went", () => {
    for (const verb of verbs) assert.equal(project.scripts[verb.replace(" ", ":")], "scripts/npm-moved");
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
