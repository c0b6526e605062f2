// Module by module: the package as a whole would load all of its resources at every start.
import { ActionsEnvironmentSecret } from "@pulumi/github/actionsEnvironmentSecret.js";
import { ActionsVariable } from "@pulumi/github/actionsVariable.js";
import { Provider } from "@pulumi/github/provider.js";
import { RepositoryDeployKey } from "@pulumi/github/repositoryDeployKey.js";
import { RepositoryEnvironment } from "@pulumi/github/repositoryEnvironment.js";
import { RepositoryEnvironmentDeploymentPolicy } from "@pulumi/github/repositoryEnvironmentDeploymentPolicy.js";
import { RepositoryFile } from "@pulumi/github/repositoryFile.js";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../config.ts";
import { hasRepositoryKey } from "../model/git.ts";
import { COMPONENTS, ENVIRONMENTS, INFRA_REPOSITORY } from "../model/names.ts";
import { serverPaths } from "../model/paths.ts";
import type { GitHubSettings } from "../model/schema.ts";
import { publishedContent, publishedWorkflows, WORKFLOWS } from "../workflow-files.ts";
import type { Server } from "./Server.ts";

/**
 * GitHub's side of the delivery: the workflows' environments with their secrets, and a variable; the workflow files,
 * where the bot has a repository of its own; and the deploy key, where the server reads that repository over SSH.
 *
 * On the server: at most that key, made there; only its public half leaves it. On GitHub: a change is applied at once
 * and starts no run. Deleting it removes secrets, variables, environments and published files, and the key on both
 * sides, without which the server can fetch no further commit. The administrator's token comes from GITHUB_TOKEN and is
 * never stored.
 */
class Repository extends pulumi.ComponentResource {
  /** What must exist before the server can read the bot's repository. */
  readonly access: pulumi.Resource[] = [];

  constructor(
    name: string,
    args: { github: GitHubSettings; settings: Settings; server: Server },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super(COMPONENTS.repository, name, {}, opts);
    const { owner, repository, branch, infraRepository } = args.github;
    const provider = new Provider(`${name}-provider`, { owner }, { parent: this });
    // Names on GitHub are unique: create-before-delete would delete the replacement.
    const options = { parent: this, provider, deleteBeforeReplace: true };

    new ActionsVariable(
      `${name}-${INFRA_REPOSITORY}`,
      {
        ...{ repository, variableName: INFRA_REPOSITORY },
        value: infraRepository ?? `${owner}/${repository}`,
      },
      options,
    );
    for (const environment of Object.values(ENVIRONMENTS))
      this.declareEnvironment(name, environment, args, options);
    if (infraRepository !== undefined)
      this.publishWorkflows(name, { repository, branch, infraRepository }, options);
    if (hasRepositoryKey(args.settings)) this.access.push(this.publishKey(name, repository, args, options));
    this.registerOutputs();
  }

  /** A deploy key opens one repository; this one may only read. */
  private publishKey(
    name: string,
    repository: string,
    { server, settings }: { server: Server; settings: Settings },
    options: pulumi.CustomResourceOptions,
  ): pulumi.Resource {
    const file = serverPaths(server.settings).repositoryKey;
    const pair = server.run(
      `${name}-key`,
      {
        script: "make-repository-key.sh",
        names: {},
        words: ["make", file],
        // A key that drift found missing is made anew.
        rerunOn: server.driftedAt,
        remove: ["remove", file],
      },
      // A child of the server, so that a run which skips GitHub still manages it.
      { parent: server },
    );
    return new RepositoryDeployKey(
      `${name}-deploy-key`,
      { repository, title: `${settings.name} on ${server.settings.host}`, key: pair.stdout, readOnly: true },
      options,
    );
  }

  /** An environment gives its secrets to runs of the deployed branch only, and gets them once that is so. */
  private declareEnvironment(
    name: string,
    environment: Environment,
    { github, settings }: { github: GitHubSettings; settings: Settings },
    options: pulumi.CustomResourceOptions,
  ): void {
    const { repository, branch } = github;
    const users = reviewersOf(environment, github);
    const declared = new RepositoryEnvironment(
      `${name}-${environment}`,
      {
        ...{ repository, environment },
        deploymentBranchPolicy: { protectedBranches: false, customBranchPolicies: true },
        ...(users.length > 0 && { reviewers: [{ users }] }),
      },
      options,
    );
    const policy = new RepositoryEnvironmentDeploymentPolicy(
      `${name}-${environment}-branch`,
      { repository, environment: declared.environment, branchPattern: branch },
      options,
    );
    for (const [secretName, value] of Object.entries(secretsOf(environment, settings))) {
      new ActionsEnvironmentSecret(
        `${name}-${environment}-${secretName}`,
        { repository, environment: declared.environment, secretName, value },
        { ...options, dependsOn: policy },
      );
    }
  }

  /** One after the other: concurrent commits on one branch conflict. */
  private publishWorkflows(
    name: string,
    { infraRepository, ...at }: { repository: string; branch: string; infraRepository: string },
    options: pulumi.CustomResourceOptions,
  ): void {
    let previous: pulumi.Resource[] = [];
    for (const file of publishedWorkflows()) {
      const published = new RepositoryFile(
        `${name}-${file}`,
        {
          ...at,
          file: `${WORKFLOWS}/${file}`,
          content: publishedContent(file, infraRepository),
          // The same for every file and change, and it starts no run.
          commitMessage: "Workflows as hockey-delivery has them [skip ci]",
          overwriteOnCreate: true,
        },
        { ...options, dependsOn: previous },
      );
      previous = [published];
    }
  }
}

type Environment = (typeof ENVIRONMENTS)[keyof typeof ENVIRONMENTS];

/** Those of whom one must approve each run; a scheduled one would wait in vain. */
function reviewersOf(environment: Environment, github: GitHubSettings): number[] {
  if (environment === ENVIRONMENTS.attended) return github.reviewers;
  return environment === ENVIRONMENTS.preview ? github.previewReviewers : [];
}

/** The secrets of an environment, by name. A preview has no steps of the bot's owner, for whom the address is there. */
function secretsOf(
  environment: Environment,
  { server, sshPrivateKey = "", githubSecrets }: Settings,
): Record<string, pulumi.Input<string>> {
  const address = {
    SSH_HOST: server.host,
    SSH_PORT: String(server.port),
    SSH_USERNAME: server.user,
    DEPLOY_PATH: server.deployPath,
  };
  const all = {
    ...(environment !== ENVIRONMENTS.preview && address),
    SSH_PRIVATE_KEY: sshPrivateKey,
    ...githubSecrets,
  };
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, pulumi.secret(value)]));
}

/**
 * Declares GitHub's side where the stack manages it, after checkGitHub has found that possible; otherwise does nothing.
 *
 * @returns what must exist before the server can read the bot's repository
 */
export function manageGitHub(
  name: string,
  { settings, server }: { settings: Settings; server: Server },
): pulumi.Resource[] {
  const { github } = settings;
  // The plugin reads the token from the environment. The SDK would copy it into the stack's state in clear.
  delete process.env.GITHUB_TOKEN;
  return github?.manage ? new Repository(name, { github, settings, server }).access : [];
}
