import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { INFRA_REPOSITORY } from "./model/names.ts";

/** The directory of the workflow files, here and in the bot's repository. */
export const WORKFLOWS = ".github/workflows";
const DIRECTORY = join(import.meta.dirname, "..", WORKFLOWS);

/** Workflows of this program's own repository, useless in the bot's. */
const OWN_WORKFLOWS = ["ci.yml"];

/** Where a file says which repository the program is in: its own, unless it is published in another one. */
const PROGRAM = new RegExp(`^( +${INFRA_REPOSITORY}: )\\$\\{\\{ github\\.repository \\}\\}$`, "m");

/** The names of the files that belong in the bot's repository: the workflows and their README. */
export function publishedWorkflows(): string[] {
  return readdirSync(DIRECTORY)
    .filter((file) => !OWN_WORKFLOWS.includes(file))
    .sort();
}

/**
 * A file as it is published in the bot's repository. It names this program's repository itself, as a commit does on the
 * deployed branch alone: GitHub lets all who may push a branch change a variable.
 */
export function publishedContent(file: string, infraRepository: string): string {
  return readFileSync(join(DIRECTORY, file), "utf8").replace(PROGRAM, `$1${infraRepository}`);
}
