/**
 * Asks GitHub, before anything is declared, whether GITHUB_TOKEN may do what the stack does there: set secrets and
 * variables, publish workflow files, keep an environment. Changes nothing.
 *
 * usage: npx tsx scripts/check-github.ts OWNER REPOSITORY BRANCH
 * Prints one sentence on standard error and ends with 1 where something is missing.
 */

const [owner = "", repository = "", branch = ""] = process.argv.slice(2);
const token = process.env.GITHUB_TOKEN ?? "";
const TIMEOUT = 10_000;
const ATTEMPTS = 3;

/** What a classic token must have, by https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps */
const SCOPES = ["repo", "workflow"];

/** What a fine-grained token must have; where GitHub has something to read, reading it is the test. */
const PERMISSIONS = [
  { permission: "Secrets", path: "/actions/secrets/public-key" },
  { permission: "Variables", path: "/actions/variables?per_page=1" },
  { permission: "Administration", path: "/keys?per_page=1" },
  { permission: "Contents", path: `/branches/${encodeURIComponent(branch)}` },
];

class Fault extends Error {}

/** GitHub.com's API stands apart; a GitHub Enterprise Server has it below /api/v3. */
function api(): string {
  const base = (process.env.GITHUB_BASE_URL ?? "https://api.github.com/").replace(/\/+$/, "");
  return /\/\/(api\.)?github\.com$/.test(base) ? "https://api.github.com" : `${base}/api/v3`;
}

async function ask(path: string, attempt = 1): Promise<Response> {
  const url = `${api()}/repos/${owner}/${repository}${path}`;
  const headers = { authorization: `Bearer ${token}`, accept: "application/vnd.github+json" };
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT) }).catch(() => undefined);
  if (response !== undefined && response.status < 500) return response;
  if (attempt < ATTEMPTS) return ask(path, attempt + 1);
  throw new Fault(
    `GitHub does not answer at ${api()} (${response?.status ?? "no connection"}); try again later.`,
  );
}

/** What every answer may mean, whatever was asked for. */
function refuseUnusable(response: Response): void {
  if (response.status === 401) {
    throw new Fault("GitHub does not accept GITHUB_TOKEN (mistyped, expired or revoked); make a new one.");
  }
  const isLimited = response.status === 429 || response.headers.get("x-ratelimit-remaining") === "0";
  if (isLimited && !response.ok) {
    const reset = Number(response.headers.get("x-ratelimit-reset"));
    const when = reset ? `at ${new Date(reset * 1000).toISOString().slice(11, 16)} UTC` : "in a few minutes";
    throw new Fault(`GitHub's rate limit for GITHUB_TOKEN is used up; try again ${when}.`);
  }
}

/** The fine-grained permissions that a token lacks. Whether it may also write shows only on writing. */
async function lackingPermissions(): Promise<string[]> {
  const lacking: string[] = [];
  for (const { permission, path } of PERMISSIONS) {
    const response = await ask(path);
    refuseUnusable(response);
    if (response.status === 403 || (response.status === 404 && permission !== "Contents"))
      lacking.push(permission);
  }
  return lacking;
}

async function check(): Promise<void> {
  if (token.startsWith("ghs_")) {
    throw new Fault(
      "GITHUB_TOKEN is that of a workflow run, which may never set secrets or workflow files; use an administrator's.",
    );
  }
  const response = await ask("");
  refuseUnusable(response);
  if (response.status === 404) {
    throw new Fault(
      `The repository ${owner}/${repository} is not there, or GITHUB_TOKEN may not see it; correct \`github.owner\` or \`github.repository\`, or use another token.`,
    );
  }
  const facts = (await response.json()) as { archived?: boolean };
  if (facts.archived) {
    throw new Fault(
      `The repository ${owner}/${repository} is archived; take it out of the archive, or set \`github.manage\` to false.`,
    );
  }
  const scopes = response.headers.get("x-oauth-scopes");
  if (scopes !== null) {
    const held = scopes.split(/, */);
    const lacking = SCOPES.filter((scope) => !held.includes(scope));
    if (lacking.length > 0) {
      throw new Fault(
        `GITHUB_TOKEN lacks ${list(lacking, "the scope", "the scopes")}; add them at https://github.com/settings/tokens, or use another token.`,
      );
    }
  } else {
    const lacking = await lackingPermissions();
    if (lacking.length > 0) {
      throw new Fault(
        `GITHUB_TOKEN lacks ${list(lacking, "the permission", "the permissions")}; give it Administration, Contents, Environments, Secrets, Variables and Workflows (read and write) for ${owner}/${repository}.`,
      );
    }
  }
  const there = await ask(`/branches/${encodeURIComponent(branch)}`);
  refuseUnusable(there);
  if (there.status === 404) {
    throw new Fault(
      `The repository ${owner}/${repository} has no branch ${branch}; correct \`github.branch\`, or push it.`,
    );
  }
}

function list(names: string[], one: string, many: string): string {
  return `${names.length === 1 ? one : many} ${names.join(" and ")}`;
}

check().catch((error: unknown) => {
  if (!(error instanceof Fault)) throw error;
  console.error(error.message);
  process.exitCode = 1;
});
