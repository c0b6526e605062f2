import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { complete } from "../../operator/completion.ts";
import { NAMES, shell } from "./cli-driver.ts";

describe("completion", () => {
  const CASES: [words: string[], candidates: string[]][] = [
    [["sta"], ["status"]],
    [["re"], ["restart", "restore"]],
    [["data"], ["database"]],
    [["database", ""], ["upgrade"]],
    [["help", "rol"], ["rollback"]],
    [
      ["health", "--no"],
      ["--no-alert", "--no-logs"],
    ],
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
        typed("./delivery", "health", "--no-a"),
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
