// @ts-nocheck
import { family, overview } from "./help.ts";
import { findVerb, VERBS, verbsUnder } from "./verbs.ts";

for (const stream of [process.stdout, process.stderr]) {
  // A reader such as `head` may leave early; that is no error, and the command still finishes its work.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

await main(process.argv.slice(2));

async function main([first = "--help", ...rest]: string[]): Promise<void> {
  if (first === "help" && rest.length > 0) {
    await main([...rest, "--help"]);
  } else if (["help", "--help", "-h"].includes(first)) {
    console.log(overview());
  } else if (first === "--version") {
    const { default: project } = await import("../package.json", { with: { type: "json" } });
    console.log(project.version);
  } else if (first === "--complete") {
    const { complete } = await import("./completion.ts");
    for (const candidate of await complete(rest)) console.log(candidate);
  } else {
    await runVerb([first, ...rest]);
  }
}

async function runVerb(words: string[]): Promise<void> {
  const [first = "", ...rest] = words;
  const found = findVerb(words);
  const siblings = verbsUnder(first);
  if (found !== undefined) {
    const { default: verb } = await found.entry.load();
    await verb.run(found.name, found.entry.summary, found.args);
  } else if (siblings.length > 0 && rest.every((word) => ["--help", "-h"].includes(word))) {
    console.log(family(first, siblings));
  } else {
    const { EXIT } = await import("./command.ts");
    const { unknownVerb } = await import("./mistakes.ts");
    console.error(`error: ${unknownVerb(words, Object.keys(VERBS))}`);
    process.exitCode = EXIT.usage;
  }
}
