// @ts-nocheck
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { define } from "../command.ts";

export default define({
  details:
    "Put the line for your shell into its start-up file. It completes ./delivery wherever that is typed from; the script asks ./delivery itself, so it stays right when verbs change.",
  positionals: {
    shell: { choices: ["bash", "zsh"], demandOption: true, describe: "The shell; both take the same script" },
  },
  examples: {
    "completion bash": "print it; in ~/.bashrc: source <(~/delivery/delivery completion bash)",
    "completion zsh": "print it; in ~/.zshrc: source <(~/delivery/delivery completion zsh)",
  },
  exits: {},
  onStack: false,
  run() {
    console.log(readFileSync(join(import.meta.dirname, "..", "completion.sh"), "utf8").trimEnd());
    return Promise.resolve(undefined);
  },
});
