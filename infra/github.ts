import { spawnSync } from "node:child_process";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "./config";

/** Matches the URN of GitHub's component and of all that is in it, as `--exclude` and `--target` take it. */
const URN = "**hockey:index:Repository**";

/**
 * Whether this run leaves GitHub as it is. Left out of the program, what is on GitHub would be deleted. So it is always
 * declared, and whoever has no token, as a workflow run, has the engine pass over it: `PULUMI_OPTION_EXCLUDE` is
 * Pulumi's own `--exclude`, and seen here.
 */
export function passesGitHubOver(): boolean {
  return (process.env.PULUMI_OPTION_EXCLUDE ?? "").split(",").includes(URN) || isPreviewedAlone();
}

/** A preview of GitHub's side alone compares with the state and needs no token. */
function isPreviewedAlone(): boolean {
  return pulumi.runtime.isDryRun() && process.env.PULUMI_OPTION_TARGET === URN;
}

/**
 * Asks GitHub, where the stack is to manage it, whether that can be done with this token. Changes nothing.
 *
 * @throws pulumi.RunError with one sentence: what the token lacks, or which key to correct
 */
export function checkGitHub({ github }: Settings): void {
  if (!github?.manage || passesGitHubOver()) return;
  if (!process.env.GITHUB_TOKEN) {
    throw new pulumi.RunError(
      `GITHUB_TOKEN is not set, and \`github.manage\` needs an administrator's; set it, or have GitHub passed over with PULUMI_OPTION_EXCLUDE='${URN}'. Nothing was changed.`,
    );
  }
  const script = join(__dirname, "..", "scripts", "check-github.ts");
  const { owner, repository, branch } = github;
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", script, owner, repository, branch],
    { encoding: "utf8", timeout: 60_000 },
  );
  if (status !== 0) {
    const fault = stderr.trim().split("\n").at(-1) ?? "";
    throw new pulumi.RunError(
      `${fault || "GitHub did not answer in time; try again later."} Nothing was changed.`,
    );
  }
}
