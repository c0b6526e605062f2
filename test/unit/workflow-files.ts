import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** The workflows of this repository, as the tests look at them. */

export interface Step {
  name?: string;
  uses?: string;
  run?: string;
  if?: string;
  with?: Record<string, unknown>;
  env?: Record<string, string>;
}

interface Job {
  if?: string;
  "timeout-minutes"?: number;
  environment?: string;
  permissions?: Record<string, string>;
  concurrency?: Record<string, unknown>;
  env?: Record<string, string>;
  steps: Step[];
}

export interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  concurrency?: Record<string, unknown>;
  jobs: Record<string, Job>;
}

export const DIRECTORY = join(import.meta.dirname, "..", "..", ".github", "workflows");
export const FILES = readdirSync(DIRECTORY).filter((file) => file.endsWith(".yml"));
export const text = (file: string) => readFileSync(join(DIRECTORY, file), "utf8");
export const workflow = (file: string) => parse(text(file)) as Workflow;
export const JOBS = FILES.flatMap((file) =>
  Object.entries(workflow(file).jobs).map(([name, job]) => ({ at: `${file} ${name}`, file, job })),
);
export const ACTIONS = ["built", "setup"];
export const actionText = (name: string) =>
  readFileSync(join(DIRECTORY, "..", "actions", name, "action.yml"), "utf8");
export const action = (name: string) => (parse(actionText(name)) as { runs: { steps: Step[] } }).runs.steps;
export const usesSecrets = (job: Job) => JSON.stringify(job).includes("secrets.");
