import { dockerNames } from "../../infra/model/names.ts";
import { run } from "../../sandbox/docker.ts";
import type { Bench } from "./bench.ts";
import { parking } from "./containers.ts";
import type { Command, Flow } from "./flow.ts";
import { must } from "./perform.ts";

const NAME = "training_bot";

/**
 * The operator's commands.
 *
 * @param isBuilt whether the image is there when the command starts, as after a build of CI's
 */
export function oursFlow(bench: Bench, isBuilt: boolean): Flow {
  const { bot, database, proxy } = dockerNames(NAME);
  const deploy = (commit: string) => deployment(bench, commit);
  return {
    ...parking(bench, [bot, database, proxy]),
    setUp: (commit) => must(deploy(commit)),
    ...(isBuilt && { prepare: (commit: string) => bench.build(NAME, "hockey", commit) }),
    release: deploy,
    goBack: () => delivery(bench, "rollback"),
    restart: () => delivery(bench, "restart"),
    looks: () => ({ preview: pulumi(bench, "preview"), up: pulumi(bench, "up", "--yes", "--skip-preview") }),
  };
}

/** A release as the other ways make it: none of them backs the database up before it. */
export const deployment = (bench: Pick<Bench, "stack">, commit: string) =>
  delivery(bench, "deploy", commit, "--timings", "--no-backup");

export function delivery({ stack }: Pick<Bench, "stack">, ...args: string[]): Command {
  const env = { ...stack.env, PULUMI_STACK: stack.name };
  return { file: "./delivery", args, options: { cwd: stack.project, env } };
}

export function pulumi({ stack }: Pick<Bench, "stack">, ...args: string[]): Command {
  const options = { cwd: stack.project, env: stack.env };
  return { file: "pulumi", args: [...args, "--expect-no-changes", "--stack", stack.name], options };
}

/** Seconds of a release at which each part was done, from what `--timings` prints. */
export function parseTimings(output: string): Record<string, number> {
  const lines = [...output.matchAll(/^\s*(\d+\.\d+) s {2,}(\S.*)$/gm)];
  return Object.fromEntries(lines.map(([, at, what = ""]) => [what, Number(at)]));
}

/** How long requests were held, where the command says so. */
export function parseHeld(output: string): number | undefined {
  const [, seconds] = /requests were held for (\d+\.\d+) s/.exec(output) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}

export const pulumiVersion = async ({ stack }: Bench) =>
  (await run("pulumi", ["version"], { env: stack.env })).slice(1);
