import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "./config.ts";
import { ENVIRONMENTS, GITHUB_URN, skipsGitHub } from "./model/names.ts";
import type { GitHubSettings } from "./model/schema.ts";

/** Milliseconds for one answer, and the number of tries before GitHub counts as down. */
const TIMEOUT = 10_000;
const ATTEMPTS = 3;

/** What a classic token must have, by https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps */
const SCOPES = ["repo", "workflow"];

/**
 * Permissions that a fine-grained token must have, and a path for each whose reading tests it. What `mayMiss` is not there
 * before the first update.
 */
const PERMISSIONS = (branch: string) => [
  { permission: "Secrets", path: "/actions/secrets/public-key" },
  { permission: "Variables", path: "/actions/variables?per_page=1" },
  { permission: "Administration", path: "/keys?per_page=1" },
  {
    permission: "Environments",
    path: `/environments/${ENVIRONMENTS.attended}/secrets/public-key`,
    mayMiss: true,
  },
  { permission: "Contents", path: `/branches/${encodeURIComponent(branch)}`, mayMiss: true },
];

/** What is looked at of the stack's part on GitHub. */
type Wanted = Pick<GitHubSettings, "owner" | "repository" | "branch" | "reviewers" | "previewReviewers">;

/** What GitHub says of a repository, as far as it is looked at. */
interface Described {
  archived?: boolean;
  private?: boolean;
  owner?: { type?: string };
}

/** GitHub's address and the token: what the provider reads from GITHUB_BASE_URL and GITHUB_TOKEN. */
export interface GitHubAccess {
  baseUrl: string;
  token: string;
}

/** A token or repository that cannot be used; `message` is one sentence. */
export class GitHubError extends Error {}

/**
 * Checks, where the stack manages GitHub, whether the token allows it. Changes nothing.
 *
 * @throws pulumi.RunError with one sentence: what the token lacks, or which key to correct
 */
export async function checkGitHub({ github }: Settings): Promise<void> {
  if (!github?.manage || skipsGitHub(pulumi.runtime.isDryRun())) return;
  const { GITHUB_TOKEN: token, GITHUB_BASE_URL: baseUrl = "https://api.github.com/" } = process.env;
  if (!token) {
    throw new pulumi.RunError(
      `GITHUB_TOKEN is not set, and \`github.manage\` needs an administrator's; set it, or skip GitHub with PULUMI_OPTION_EXCLUDE='${GITHUB_URN}'. Nothing was changed.`,
    );
  }
  try {
    await checkAccess(github, { baseUrl, token });
  } catch (error) {
    throw error instanceof GitHubError ? new pulumi.RunError(`${error.message} Nothing was changed.`) : error;
  }
}

/**
 * Checks that a token may do what the stack does on GitHub, and that the repository can have it: secrets and a variable,
 * workflow files, environments. Whether a fine-grained token may also write shows only on writing.
 *
 * @throws GitHubError with one sentence
 */
export async function checkAccess(github: Wanted, access: GitHubAccess): Promise<void> {
  const { owner, repository, branch } = github;
  if (access.token.startsWith("ghs_")) {
    throw new GitHubError(
      "GITHUB_TOKEN is that of a workflow run, which may never set secrets or workflow files; use an administrator's.",
    );
  }
  const ask = (path: string) => request(access, `/repos/${owner}/${repository}${path}`);
  const answer = await ask("");
  refuseUnusable(answer);
  if (answer.status === 404) {
    throw new GitHubError(
      `The repository ${owner}/${repository} does not exist, or GITHUB_TOKEN may not see it; correct \`github.owner\` or \`github.repository\`, or use another token.`,
    );
  }
  const described = (await answer.json()) as Described;
  if (described.archived) {
    throw new GitHubError(
      `The repository ${owner}/${repository} is archived; take it out of the archive, or set \`github.manage\` to false.`,
    );
  }
  const scopes = answer.headers.get("x-oauth-scopes");
  if (scopes === null) await checkPermissions(github, ask);
  else checkScopes(scopes.split(/, */));
  const there = await ask(`/branches/${encodeURIComponent(branch)}`);
  refuseUnusable(there);
  if (there.status === 404) {
    throw new GitHubError(
      `The repository ${owner}/${repository} has no branch ${branch}; correct \`github.branch\`, or push it.`,
    );
  }
  // A server of one's own has every feature, and names its version in each answer.
  if (described.private && !answer.headers.has("x-github-enterprise-version")) {
    await checkPlan(github, described, access);
  }
}

/**
 * Checks what GitHub gives to public repositories only, unless the owner pays: environments, and with a still higher plan
 * required reviewers (https://docs.github.com/actions/reference/workflows-and-actions/deployments-and-environments). A
 * token rarely sees the plan itself. Protection of branches comes with the same plans as environments, and asking for it
 * tells; where an organization hides its plan, GitHub says itself that it has no reviewers.
 */
async function checkPlan(github: Wanted, described: Described, access: GitHubAccess): Promise<void> {
  const { owner, repository, branch } = github;
  const at = `/repos/${owner}/${repository}/branches/${encodeURIComponent(branch)}/protection`;
  const protection = await request(access, at);
  const { message = "" } = (await protection.json()) as { message?: string };
  if (protection.status === 403 && message.startsWith("Upgrade to ")) {
    throw new GitHubError(
      `The repository ${owner}/${repository} is private and its owner has a free plan, with which GitHub has no environments to keep the secrets in; upgrade to GitHub Pro or Team, make it public, or set \`github.manage\` to false.`,
    );
  }
  const keys = (["reviewers", "previewReviewers"] as const).filter((key) => github[key].length > 0);
  if (keys.length === 0 || (await mayHaveReviewers(owner, described, access))) return;
  throw new GitHubError(
    `The repository ${owner}/${repository} is private, and there GitHub has required reviewers with GitHub Enterprise only; remove ${keys.map((key) => `\`github.${key}\``).join(" and ")}, or make it public.`,
  );
}

async function mayHaveReviewers(owner: string, described: Described, access: GitHubAccess): Promise<boolean> {
  if (described.owner?.type !== "Organization") return false;
  const answer = await request(access, `/orgs/${owner}`);
  const { plan } = (await answer.json()) as { plan?: { name: string } };
  return !["free", "team"].includes(plan?.name ?? "");
}

/** GitHub.com's API has a host of its own; a GitHub Enterprise Server has it below /api/v3. */
function apiUrl(baseUrl: string): string {
  const base = baseUrl.replace(/\/+$/, "");
  return /\/\/(api\.)?github\.com$/.test(base) ? "https://api.github.com" : `${base}/api/v3`;
}

async function request({ baseUrl, token }: GitHubAccess, path: string, attempt = 1): Promise<Response> {
  const api = apiUrl(baseUrl);
  const headers = { authorization: `Bearer ${token}`, accept: "application/vnd.github+json" };
  const response = await fetch(`${api}${path}`, { headers, signal: AbortSignal.timeout(TIMEOUT) }).catch(
    () => undefined,
  );
  if (response !== undefined && response.status < 500) return response;
  if (attempt < ATTEMPTS) return request({ baseUrl, token }, path, attempt + 1);
  throw new GitHubError(
    `GitHub does not answer at ${api} (${response?.status ?? "no connection"}); try again later.`,
  );
}

/** Refuses answers that every request can get: a bad token, a used-up rate limit. */
function refuseUnusable(response: Response): void {
  if (response.status === 401) {
    throw new GitHubError(
      "GitHub does not accept GITHUB_TOKEN (mistyped, expired or revoked); make a new one.",
    );
  }
  const isLimited = response.status === 429 || response.headers.get("x-ratelimit-remaining") === "0";
  if (isLimited && !response.ok) {
    const reset = Number(response.headers.get("x-ratelimit-reset"));
    const when = reset ? `at ${new Date(reset * 1000).toISOString().slice(11, 16)} UTC` : "in a few minutes";
    throw new GitHubError(`GitHub's rate limit for GITHUB_TOKEN is used up; try again ${when}.`);
  }
}

function checkScopes(held: string[]): void {
  const lacking = SCOPES.filter((scope) => !held.includes(scope));
  if (lacking.length === 0) return;
  throw new GitHubError(
    `GITHUB_TOKEN lacks ${list(lacking, "the scope", "the scopes")}; add them at https://github.com/settings/tokens, or use another token.`,
  );
}

async function checkPermissions(
  { owner, repository, branch }: Wanted,
  ask: (path: string) => Promise<Response>,
): Promise<void> {
  const lacking: string[] = [];
  for (const { permission, path, mayMiss = false } of PERMISSIONS(branch)) {
    const answer = await ask(path);
    refuseUnusable(answer);
    if (answer.status === 403 || (answer.status === 404 && !mayMiss)) lacking.push(permission);
  }
  if (lacking.length === 0) return;
  throw new GitHubError(
    `GITHUB_TOKEN lacks ${list(lacking, "the permission", "the permissions")}; give it Administration, Contents, Environments, Secrets, Variables and Workflows (read and write) for ${owner}/${repository}.`,
  );
}

function list(names: string[], one: string, many: string): string {
  return `${names.length === 1 ? one : many} ${names.join(" and ")}`;
}
