import { EXIT } from "./command.ts";
import { VERBS } from "./verbs.ts";

const words = process.argv.slice(2);
const length = words[0] === "database" ? 2 : 1;
const verb = VERBS[words.slice(0, length).join(" ")];
if (verb === undefined) {
  console.error(`error: there is no ./delivery ${words.slice(0, length).join(" ")}`);
  process.exitCode = EXIT.usage;
} else {
  await (await verb()).default.run(words.slice(length));
}
