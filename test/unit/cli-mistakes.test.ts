import assert from "node:assert/strict";
import { withCauseLast } from "../../operator/command.ts";
import { explainUsage, unknownVerb } from "../../operator/mistakes.ts";
import { delivery, NAMES } from "./cli-driver.ts";

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
