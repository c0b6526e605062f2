import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { execa } from "execa";
import { run } from "../../sandbox/docker.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const STAND_INS = join(import.meta.dirname, "actions");

/** A run of a workflow as GitHub would have it. */
export interface Run {
  event: "push" | "schedule" | "workflow_dispatch" | "pull_request" | "pull_request_target";
  /** The workflow's file. */
  file: string;
  /** What GitHub tells of the event. */
  payload?: unknown;
  secrets: Record<string, string>;
  variables: Record<string, string>;
  /** Directory with the repositories as OWNER/NAME, for the stand-in of actions/checkout. */
  repositories: string;
  /** The repository whose workflow it is, as OWNER/NAME; its newest commit is that of the run. */
  repository: string;
  /** GitHub's API. */
  apiUrl: string;
  /** Whether the Node packages are installed, as on GitHub; else those of this working tree are used. */
  fresh?: boolean;
}

export interface Ended {
  isGreen: boolean;
  log: string;
  seconds: number;
  /** Seconds of every step that went well, by its name. */
  steps: Record<string, number>;
}

/** `--local-repository` for every action that the files use; one without a stand-in is a fault. */
function standIns(): string[] {
  const files = [".github/workflows", ".github/actions/setup", ".github/actions/built"].flatMap((directory) =>
    readdirSync(join(ROOT, directory)).map((file) => join(ROOT, directory, file)),
  );
  const used = files.flatMap((file) => readFileSync(file, "utf8").match(/uses: [^.\s]\S*/g) ?? []);
  return [...new Set(used)].flatMap((line) => {
    const action = line.replace("uses: ", "");
    const standIn = join(STAND_INS, basename(action.split("@")[0] ?? ""));
    assert.ok(existsSync(standIn), `there is no stand-in for ${action}`);
    return ["--local-repository", `${action}=${standIn}`];
  });
}

/** Runs a workflow with act on this machine; fails the test when a secret is in its log. */
export async function act(wanted: Run): Promise<Ended> {
  const { event, file, payload = {}, secrets, variables, repositories, repository, apiUrl } = wanted;
  const scratch = join(repositories, ".act");
  mkdirSync(scratch, { recursive: true });
  // act does not know this key yet; workflow-jobs.test.ts among the unit tests looks at it.
  const copy = join(scratch, basename(file));
  writeFileSync(copy, readFileSync(file, "utf8").replace(/^ *queue: max\n/m, ""));
  const secretFile = join(scratch, "secrets");
  const lines = Object.entries(secrets).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  writeFileSync(secretFile, lines.join("\n"), { mode: 0o600 });
  const eventFile = join(scratch, "event.json");
  writeFileSync(eventFile, JSON.stringify(payload));
  const environment = {
    REPOSITORIES: repositories,
    GITHUB_API_URL: apiUrl,
    // Where the provider looks for GitHub, which is GitHub.com in a run there.
    GITHUB_BASE_URL: `${new URL(apiUrl).origin}/`,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    ...(!wanted.fresh && { NODE_MODULES: join(ROOT, "node_modules") }),
  };
  const pairs = (option: string, values: Record<string, string>) =>
    Object.entries(values).flatMap(([key, value]) => [option, `${key}=${value}`]);
  const inherited = Object.entries(process.env).filter(
    ([key]) => !/^(GITHUB|PULUMI|AWS|SSH|npm)_|^PATH$/.test(key),
  );
  const began = Date.now();
  const { exitCode, all } = await execa(
    join(ROOT, ".tools", "python", "bin", "act"),
    [
      ...[event, "--directory", join(repositories, repository), "--workflows", copy],
      ...["--platform", "ubuntu-24.04=-self-hosted", ...standIns(), "--no-skip-checkout"],
      ...["--secret-file", secretFile, "--eventpath", eventFile],
      ...pairs("--var", variables),
      ...pairs("--env", environment),
    ],
    {
      // Nothing but this: act hands its own environment on to the jobs.
      env: { ...Object.fromEntries(inherited), PATH: process.env.PATH, HOME: homedir() },
      extendEnv: false,
      all: true,
      reject: false,
    },
  );
  const seconds = (Date.now() - began) / 1000;
  rmSync(secretFile);
  for (const [name, secret] of Object.entries(secrets)) {
    for (const line of secret.split("\n").filter((text) => /^[^-]{12,}/.test(text))) {
      assert.ok(!all.includes(line), `the secret ${name} is in the log`);
    }
  }
  const log = stripVTControlCharacters(all);
  return { isGreen: exitCode === 0, log, seconds, steps: stepTimes(log) };
}

/** `Success - Main NAME [1m2.5s]`; what is not named is an action, whose own steps are named. */
function stepTimes(log: string): Record<string, number> {
  const units: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 0.001, µs: 0.000001 };
  const found = log.matchAll(/Success - Main ([^\n/]*[^\s/]) \[([\d.hmµs]+)\]$/gm);
  return Object.fromEntries(
    [...found].map(([, name = "", duration = ""]) => {
      const parts = duration.matchAll(/([\d.]+)(h|ms|µs|m|s)/g);
      const seconds = [...parts].map(([, amount, unit]) => Number(amount) * (units[unit ?? ""] ?? 0));
      return [name, seconds.reduce((a, b) => a + b, 0)];
    }),
  );
}

/** Clones a repository, with the address that it would have on GitHub. */
export async function cloneAs(source: string, repositories: string, repository: string): Promise<string> {
  const directory = join(repositories, repository);
  rmSync(directory, { recursive: true, force: true });
  await run("git", ["clone", "--quiet", source, directory]);
  await run("git", ["-C", directory, "remote", "set-url", "origin", `https://github.com/${repository}.git`]);
  return directory;
}
