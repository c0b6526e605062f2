import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as github from "@pulumi/github";
import * as pulumi from "@pulumi/pulumi";
import type { GitHubSettings, Settings } from "../config";

const ROOT = join(__dirname, "..", "..");
const WORKFLOWS = ".github/workflows";

/** Workflows of this program's own repository, which mean nothing in the bot's. */
const OWN_WORKFLOWS = ["ci.yml"];

/** Environments of the workflow runs: the second for those that nobody is awake to approve. */
const ENVIRONMENTS = { attended: "production", unattended: "production-unattended" };

/** Matches the URN of the component and of all that is in it. */
const URN = "**hockey:index:Repository**";

/**
 * GitHub's side of the delivery: the secrets and variables that the workflows need, their environments and, where the
 * bot has a repository of its own, the workflow files in it.
 *
 * On the server: nothing. On GitHub: a change is applied at once and starts no run; deleting it takes secrets,
 * variables, environments and published files away. The administrator's token comes from GITHUB_TOKEN and is never stored.
 */
class Repository extends pulumi.ComponentResource {
  constructor(
    name: string,
    args: { github: GitHubSettings; settings: Settings },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("hockey:index:Repository", name, {}, opts);
    const { owner, repository, branch, infraRepository } = args.github;
    const provider = new github.Provider(`${name}-provider`, { owner }, { parent: this });
    // Of every name there can be one on GitHub: made anew before the old one is deleted, it would be deleted with it.
    const options = { parent: this, provider, deleteBeforeReplace: true };

    for (const [secretName, value] of Object.entries(secrets(args.settings))) {
      new github.ActionsSecret(`${name}-${secretName}`, { repository, secretName, value }, options);
    }
    new github.ActionsVariable(
      `${name}-INFRA_REPOSITORY`,
      {
        ...{ repository, variableName: "INFRA_REPOSITORY" },
        value: infraRepository ?? `${owner}/${repository}`,
      },
      options,
    );
    this.declareEnvironments(name, args.github, options);
    if (infraRepository !== undefined) this.publishWorkflows(name, { repository, branch }, options);
    this.registerOutputs();
  }

  /** Both take secrets out to runs of the deployed branch alone; only the first may ask somebody. */
  private declareEnvironments(
    name: string,
    { repository, branch, reviewers }: GitHubSettings,
    options: pulumi.CustomResourceOptions,
  ): void {
    for (const environment of Object.values(ENVIRONMENTS)) {
      const isAttended = environment === ENVIRONMENTS.attended;
      const declared = new github.RepositoryEnvironment(
        `${name}-${environment}`,
        {
          ...{ repository, environment },
          deploymentBranchPolicy: { protectedBranches: false, customBranchPolicies: true },
          ...(isAttended && reviewers.length > 0 && { reviewers: [{ users: reviewers }] }),
        },
        options,
      );
      new github.RepositoryEnvironmentDeploymentPolicy(
        `${name}-${environment}-branch`,
        { repository, environment: declared.environment, branchPattern: branch },
        options,
      );
    }
  }

  /** One after the other: two commits on one branch at a time end in a conflict. */
  private publishWorkflows(
    name: string,
    at: { repository: string; branch: string },
    options: pulumi.CustomResourceOptions,
  ): void {
    let previous: pulumi.Resource[] = [];
    for (const file of publishedWorkflows()) {
      const published = new github.RepositoryFile(
        `${name}-${file}`,
        {
          ...at,
          file: `${WORKFLOWS}/${file}`,
          content: readFileSync(join(ROOT, WORKFLOWS, file), "utf8"),
          // The same for every file and change, and one that starts no run.
          commitMessage: "Workflows as hockey-delivery has them [skip ci]",
          overwriteOnCreate: true,
        },
        { ...options, dependsOn: previous },
      );
      previous = [published];
    }
  }
}

/** The workflow files that belong into the bot's repository, and their README. */
function publishedWorkflows(): string[] {
  return readdirSync(join(ROOT, WORKFLOWS))
    .filter((file) => !OWN_WORKFLOWS.includes(file))
    .sort();
}

/** What the workflows are told in secret, by name. */
function secrets({ server, sshPrivateKey, githubSecrets }: Settings): Record<string, pulumi.Input<string>> {
  const connection = {
    SSH_HOST: server.host,
    SSH_PORT: String(server.port),
    SSH_USERNAME: server.user,
    SSH_PRIVATE_KEY: sshPrivateKey ?? "",
    DEPLOY_PATH: server.deployPath,
  };
  return Object.fromEntries(
    Object.entries({ ...connection, ...githubSecrets }).map(([key, value]) => [key, pulumi.secret(value)]),
  );
}

/**
 * Declares GitHub's side where the stack is to manage it, once it is certain that this can be applied; otherwise leaves
 * GitHub alone.
 *
 * Left out of the program, what is on GitHub would be deleted. So it is always declared, and whoever has no token, as a
 * workflow run, has the engine pass over it: `PULUMI_OPTION_EXCLUDE` is Pulumi's own `--exclude`, and seen here.
 *
 * @throws pulumi.RunError with one sentence: what the token lacks, or which key to correct
 */
export function manageGitHub(name: string, settings: Settings): void {
  const { github: wanted } = settings;
  if (!wanted?.manage) return;
  if (!isPassedOver() && !isPreviewedAlone()) checkToken(wanted);
  // Its plugin reads the token from the environment. The SDK would copy it into the stack's state, in clear.
  delete process.env.GITHUB_TOKEN;
  new Repository(name, { github: wanted, settings });
}

function isPassedOver(): boolean {
  return (process.env.PULUMI_OPTION_EXCLUDE ?? "").split(",").includes(URN);
}

/** A preview of GitHub's side alone compares with the state and needs no token. */
function isPreviewedAlone(): boolean {
  return pulumi.runtime.isDryRun() && process.env.PULUMI_OPTION_TARGET === URN;
}

function checkToken({ owner, repository, branch }: GitHubSettings): void {
  if (!process.env.GITHUB_TOKEN) {
    throw new pulumi.RunError(
      `GITHUB_TOKEN is not set, and \`github.manage\` needs an administrator's; set it, or have GitHub passed over with PULUMI_OPTION_EXCLUDE='${URN}'. Nothing was changed.`,
    );
  }
  const script = join(ROOT, "scripts", "check-github.ts");
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
