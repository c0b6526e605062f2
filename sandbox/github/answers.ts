import type { Commit } from "./git.ts";

/** Bodies of answers, as complete as GitHub's description requires; contract.ts checks them. */

export interface Place {
  /** Address of the API, without a trailing slash. */
  api: string;
  owner: string;
  name: string;
}

type Json = Record<string, unknown>;

/** A fixed time of creation; only things that change need real times. */
const EPOCH = "2024-01-01T00:00:00Z";

/** `names` as the keys of `NAME_url` fields, all pointing below `base`. */
function urls(base: string, names: string): Json {
  return Object.fromEntries(names.split(" ").map((name) => [`${name}_url`, `${base}/${name}`]));
}

function node(kind: string, id: number | string): string {
  return Buffer.from(`${kind}:${id}`).toString("base64");
}

/** The number under which GitHub knows the repository. */
export const REPOSITORY_ID = 4711;

function user(at: Place, login: string, id = 1, type = "User"): Json {
  const url = `${at.api}/users/${encodeURIComponent(login)}`;
  return {
    ...{ login, id, node_id: node("User", id), avatar_url: `${url}/avatar`, gravatar_id: "" },
    ...{ url, html_url: url, type, site_admin: false },
    ...urls(
      url,
      "followers following gists starred subscriptions organizations repos events received_events",
    ),
  };
}

/** The account that a token belongs to. */
export function account(at: Place, login: string, id: number): Json {
  return {
    ...user(at, login, id),
    ...{ name: login, company: null, blog: "", location: null, email: null, hireable: null, bio: null },
    ...{ public_repos: 1, public_gists: 0, followers: 0, following: 0, created_at: EPOCH, updated_at: EPOCH },
  };
}

/** The organization that owns the repository; only its owners see what it pays for. */
export function organization(at: Place, plan: string | undefined): Json {
  const url = `${at.api}/orgs/${at.owner}`;
  return {
    ...{ login: at.owner, id: 1, node_id: node("Organization", 1), url, html_url: url, description: null },
    ...urls(url, "repos events hooks issues members public_members avatar"),
    ...{ has_organization_projects: false, has_repository_projects: false, type: "Organization" },
    ...{ public_repos: 1, public_gists: 0, followers: 0, following: 0 },
    ...{ created_at: EPOCH, updated_at: EPOCH, archived_at: null },
    ...(plan && { plan: { name: plan, space: 1, private_repos: 1 } }),
  };
}

export function repository(
  at: Place,
  facts: { isPrivate: boolean; branch: string; permissions: Json; isOrganization: boolean },
): Json {
  const url = `${at.api}/repos/${at.owner}/${at.name}`;
  const page = `https://github.invalid/${at.owner}/${at.name}`;
  return {
    ...{ id: REPOSITORY_ID, node_id: node("Repository", REPOSITORY_ID) },
    ...{ name: at.name, full_name: `${at.owner}/${at.name}` },
    ...{
      owner: user(at, at.owner, 1, facts.isOrganization ? "Organization" : "User"),
      private: facts.isPrivate,
      visibility: facts.isPrivate ? "private" : "public",
    },
    ...{ description: null, fork: false, url, html_url: page, homepage: null, language: null, license: null },
    ...urls(
      url,
      "archive assignees blobs branches collaborators comments commits compare contents contributors deployments downloads events forks git_commits git_refs git_tags hooks issue_comment issue_events issues keys labels languages merges milestones notifications pulls releases stargazers statuses subscribers subscription tags teams trees",
    ),
    ...{
      clone_url: `${page}.git`,
      git_url: `${page}.git`,
      ssh_url: `${page}.git`,
      svn_url: page,
      mirror_url: null,
    },
    ...{ default_branch: facts.branch, permissions: facts.permissions, archived: false, disabled: false },
    ...{ has_issues: true, has_projects: false, has_wiki: false, has_pages: false, has_discussions: false },
    ...{ forks: 0, forks_count: 0, open_issues: 0, open_issues_count: 0, watchers: 0, watchers_count: 0 },
    ...{ stargazers_count: 0, network_count: 0, subscribers_count: 0, size: 1 },
    ...{ pushed_at: EPOCH, created_at: EPOCH, updated_at: EPOCH },
  };
}

function person(date: string): Json {
  return { name: "Fake GitHub", email: "noreply@github.invalid", date };
}

export function commit(at: Place, found: Commit): Json {
  const url = `${at.api}/repos/${at.owner}/${at.name}/commits/${found.sha}`;
  const status = { A: "added", M: "modified", D: "removed" } as Record<string, string>;
  return {
    ...{
      url,
      sha: found.sha,
      node_id: node("Commit", found.sha),
      html_url: url,
      comments_url: `${url}/comments`,
    },
    ...{ author: user(at, at.owner), committer: user(at, at.owner) },
    parents: found.parents.map((sha) => ({ sha, url, html_url: url })),
    commit: {
      ...{ url, message: found.message, comment_count: 0, tree: { sha: found.tree, url } },
      ...{ author: person(found.date), committer: person(found.date) },
    },
    stats: { additions: 0, deletions: 0, total: 0 },
    files: found.changes.map(({ letter, path, blob }) => ({
      ...{ sha: blob, filename: path, status: status[letter] ?? "changed" },
      ...{ additions: 0, deletions: 0, changes: 0, blob_url: url, raw_url: url, contents_url: url },
    })),
  };
}

/** Two commits compared; what lies between them is left out. */
export function comparison(
  at: Place,
  { base, head, parting }: Record<"base" | "head" | "parting", Commit>,
): Json {
  const url = `${at.api}/repos/${at.owner}/${at.name}/compare/${base.sha}...${head.sha}`;
  const status = base.sha === head.sha ? "identical" : parting.sha === base.sha ? "ahead" : "diverged";
  return {
    ...{ url, html_url: url, permalink_url: url, diff_url: url, patch_url: url, status },
    ...{ base_commit: commit(at, base), merge_base_commit: commit(at, parting) },
    ...{ ahead_by: 0, behind_by: 0, total_commits: 0, commits: [], files: [] },
  };
}

export function branch(at: Place, name: string, head: Commit, isProtected: boolean): Json {
  const url = `${at.api}/repos/${at.owner}/${at.name}/branches/${name}`;
  return {
    ...{ name, commit: commit(at, head), protected: isProtected, protection_url: `${url}/protection` },
    ...{ protection: { enabled: isProtected }, _links: { html: url, self: url } },
  };
}

export function file(at: Place, path: string, ref: string, sha: string, content: Buffer): Json {
  const base = `${at.api}/repos/${at.owner}/${at.name}`;
  // The provider reads the branch from this address and crashes without it.
  const url = `${base}/contents/${path}?ref=${encodeURIComponent(ref)}`;
  const git = `${base}/git/blobs/${sha}`;
  const encoded = content.toString("base64");
  return {
    ...{ type: "file", name: path.split("/").at(-1), path, sha, size: content.length, url },
    ...{ git_url: git, html_url: url, download_url: url, _links: { self: url, git, html: url } },
    // Lines of 60 characters, like GitHub's.
    ...{ encoding: "base64", content: encoded.replace(/(.{60})/g, "$1\n") },
  };
}

/** The answer to a changed or deleted file. */
export function fileCommit(at: Place, found: Commit, content: Json | null): Json {
  const url = `${at.api}/repos/${at.owner}/${at.name}/git/commits/${found.sha}`;
  return {
    content,
    commit: {
      ...{ sha: found.sha, node_id: node("Commit", found.sha), url, html_url: url, message: found.message },
      ...{ author: person(found.date), committer: person(found.date), tree: { sha: found.tree, url } },
      parents: found.parents.map((sha) => ({ sha, url, html_url: url })),
      verification: {
        verified: false,
        reason: "unsigned",
        signature: null,
        payload: null,
        verified_at: null,
      },
    },
  };
}

export interface Environment {
  reviewers: { type: string; id: number }[];
  policy: { protected_branches: boolean; custom_branch_policies: boolean } | null;
  branches: { id: number; name: string; type: string }[];
  canAdminsBypass: boolean;
}

export function environment(at: Place, name: string, facts: Environment): Json {
  const url = `${at.api}/repos/${at.owner}/${at.name}/environments/${name}`;
  const reviewers = facts.reviewers.map(({ type, id }) => ({ type, reviewer: user(at, `user-${id}`, id) }));
  const rules = [
    ...(reviewers.length > 0
      ? [
          {
            id: 1,
            node_id: node("Gate", 1),
            type: "required_reviewers",
            prevent_self_review: false,
            reviewers,
          },
        ]
      : []),
    ...(facts.policy ? [{ id: 2, node_id: node("Gate", 2), type: "branch_policy" }] : []),
  ];
  return {
    ...{
      id: 1,
      node_id: node("Environment", 1),
      name,
      url,
      html_url: url,
      created_at: EPOCH,
      updated_at: EPOCH,
    },
    ...{
      can_admins_bypass: facts.canAdminsBypass,
      protection_rules: rules,
      deployment_branch_policy: facts.policy,
    },
  };
}

/** GitHub gives no person a name with brackets. */
const writer = (at: Place, login: string) => user(at, login, 1, login.endsWith("[bot]") ? "Bot" : "User");

export interface Issue {
  number: number;
  title: string;
  body: string;
  state: string;
  labels: string[];
  comments: { id: number; body: string; author: string }[];
  /** Who opened it. */
  author: string;
  /** Whether it is a pull request, which takes comments like an issue. */
  isPull?: boolean;
}

export function issue(at: Place, facts: Issue): Json {
  const base = `${at.api}/repos/${at.owner}/${at.name}`;
  const url = `${base}/issues/${facts.number}`;
  const closed = facts.state === "closed";
  return {
    ...{ id: facts.number, node_id: node("Issue", facts.number), number: facts.number, url, html_url: url },
    ...{ title: facts.title, body: facts.body, state: facts.state, user: writer(at, facts.author) },
    ...{
      repository_url: base,
      labels_url: url,
      comments_url: url,
      events_url: url,
      author_association: "NONE",
    },
    ...{
      labels: facts.labels,
      assignee: null,
      milestone: null,
      locked: false,
      comments: facts.comments.length,
    },
    ...{ closed_at: closed ? EPOCH : null, created_at: EPOCH, updated_at: EPOCH },
  };
}

export function comment(at: Place, number: number, facts: Issue["comments"][number]): Json {
  const base = `${at.api}/repos/${at.owner}/${at.name}`;
  const url = `${base}/issues/comments/${facts.id}`;
  return {
    ...{
      id: facts.id,
      node_id: node("Comment", facts.id),
      url,
      html_url: url,
      issue_url: `${base}/issues/${number}`,
    },
    ...{ body: facts.body, user: writer(at, facts.author), author_association: "NONE" },
    ...{ created_at: EPOCH, updated_at: EPOCH, performed_via_github_app: null },
  };
}
