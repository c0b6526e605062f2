/**
 * Takes over into a stack's file what a pull request changes of it, as merge-configuration.ts allows. GitHub gives the two
 * files of the pull request as text; nothing of it is checked out.
 *
 * usage: node .github/scripts/take-configuration.ts FILE COMMIT
 *   FILE     the stack's file, that of the deployed branch
 *   COMMIT   the pull request's commit; GITHUB_SHA is the deployed branch's
 * Prints a sentence for the reader of the preview.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "yaml";
import { call, Fault, start } from "./github-api.ts";
import { mergeConfiguration } from "./merge-configuration.ts";

/** A file at a commit; empty if there is none. */
async function fileAt(file: string, commit: string): Promise<string> {
  const found = await call<{ content: string; encoding: string }>(
    "GET",
    `/contents/${file}?ref=${commit}`,
  ).catch((error: unknown) => {
    if (error instanceof Fault && error.status === 404) return { content: "", encoding: "base64" };
    throw error;
  });
  if (found.encoding !== "base64") throw new Fault(`${file} is too large for a preview at ${commit}`);
  return Buffer.from(found.content, "base64").toString("utf8");
}

function describe(file: string, left: string[]): string {
  const program = `The program is the deployed branch's, with the plain configuration of this pull request's ${file}.`;
  const stays = left.map((key) => `\`${key.replace(/[^\w.-]/g, "?")}\``).join(", ");
  return stays === ""
    ? program
    : `${program} These keys stay as they are on the deployed branch, as they are secret or name a host: ${stays}.`;
}

async function main(): Promise<void> {
  const [file = "", commit = ""] = process.argv.slice(2);
  const { GITHUB_SHA: deployed = "" } = process.env;
  const { merge_base_commit: parting } = await call<{ merge_base_commit: { sha: string } }>(
    "GET",
    `/compare/${deployed}...${commit}`,
  );
  const [ancestor, head] = await Promise.all([fileAt(file, parting.sha), fileAt(file, commit)]);
  const { name } = parse(readFileSync("Pulumi.yaml", "utf8")) as { name: string };
  const { text, left } = mergeConfiguration({ base: readFileSync(file, "utf8"), ancestor, head }, name);
  writeFileSync(file, text);
  console.log(describe(file, left));
}

start(main);
