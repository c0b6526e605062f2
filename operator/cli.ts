import { findVerb, VERBS, verbsUnder } from "./verbs.ts";

for (const stream of [process.stdout, process.stderr]) {
  // A reader such as `head` that has seen enough ends nothing: a release goes on when its log is no longer read.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

await main(process.argv.slice(2));

async function main([first = "--help", ...rest]: string[]): Promise<void> {
  const words = [first, ...rest];
  if (first === "--version") return version();
  if (first === "--complete") return complete(rest);
  if (first === "help" && rest.length > 0) return main([...rest, "--help"]);
  if (["help", "--help", "-h"].includes(first)) return print((await import("./help.ts")).overview());

  const verb = findVerb(words);
  if (verb !== undefined)
    return (await verb.entry.load()).default.run(verb.name, verb.entry.summary, verb.args);
  const family = verbsUnder(first);
  if (family.length > 0 && rest.every((word) => ["--help", "-h"].includes(word)))
    return print((await import("./help.ts")).family(first, family));
  const { EXIT } = await import("./command.ts");
  const { unknownVerb } = await import("./mistakes.ts");
  console.error(`error: ${unknownVerb(words, Object.keys(VERBS))}`);
  process.exitCode = EXIT.usage;
}

function print(text: string): void {
  console.log(text);
}

async function version(): Promise<void> {
  const { default: project } = await import("../package.json", { with: { type: "json" } });
  print(project.version);
}

async function complete(words: string[]): Promise<void> {
  const { complete: candidates } = await import("./completion.ts");
  for (const candidate of await candidates(words)) print(candidate);
}
