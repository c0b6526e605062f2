// @ts-nocheck
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import sodium from "libsodium-wrappers";
import * as answers from "./github/answers.ts";
import { answerFault, match, requestFault } from "./github/contract.ts";
import { GitRepository } from "./github/git.ts";

/**
 * GitHub's REST API with one repository, as far as the stack and its workflows use it. Every request and every answer is
 * checked against GitHub's published description; an unknown request is answered 501 and recorded. Known differences:
 * - only one repository, one page of every list, no GraphQL;
 * - only the times of secrets, variables and commits are real;
 * - refusals are worded more uniformly than GitHub's.
 */
export interface FakeGitHub {
  /** Base address with a trailing slash, for GITHUB_BASE_URL. */
  url: string;
  /** Address of the REST API, for GITHUB_API_URL in workflows. */
  apiUrl: string;
  port: number;
  /** Adds a token. */
  addToken(token: string, rights: TokenRights): void;
  /** All requests so far, oldest first. */
  requests: Exchange[];
  /** Requests and answers that contradict GitHub's description; empty in a passing test. */
  violations: string[];
  /** Answers the next matching requests with a fault. */
  fail(fault: Fault): void;
  /** The repository's secrets, decrypted with its private key. */
  secrets(): Record<string, string>;
  /** Sets a secret, as on the web page. */
  setSecret(name: string, value: string): void;
  variables: Map<string, Dated & { value: string }>;
  environments: Map<string, answers.Environment>;
  deployKeys: DeployKey[];
  issues: answers.Issue[];
  /** The git repository itself; its directory can be cloned. */
  git: GitRepository;
  /** A file of the default branch; undefined if there is none. */
  file(path: string): string | undefined;
  /** Changes a file, as on the web page. */
  edit(path: string, content: string): void;
  /** Requires a pull request for commits to the default branch from now on. */
  protect(isProtected: boolean): void;
  close(): Promise<void>;
}

/** A classic token has scopes; fine-grained tokens and those of workflow runs have permissions. */
export type TokenRights =
  { scopes: string[] } | { permissions: Record<string, "read" | "write">; kind: "personal" | "installation" };

export interface Exchange {
  method: string;
  path: string;
  /** `METHOD /path/{as}/described`, if GitHub has such an operation. */
  operation?: string;
  status: number;
  token?: string;
}

export interface Fault {
  /** A rate limit adds GitHub's rate-limit headers. */
  status: 403 | 409 | 429 | 500 | 502 | 503;
  /** How many requests get the fault. Default: 1. */
  times?: number;
  method?: string;
  path?: RegExp;
}

export interface DeployKey {
  id: number;
  title: string;
  key: string;
  read_only: boolean;
}

interface Dated {
  created_at: string;
  updated_at: string;
}

interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

interface Request {
  parameters: Record<string, string>;
  query: URLSearchParams;
  body: Record<string, unknown>;
  rights?: TokenRights;
}

/** What an operation requires: a scope of a classic token, or one of the fine-grained permissions at that level. */
interface Need {
  scope: string;
  permissions: string[];
  level: "read" | "write";
}

class Refusal extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const NOT_FOUND = new Refusal(404, "Not Found");

class Repository {
  readonly git: GitRepository;
  readonly sealed = new Map<string, Dated & { value: string }>();
  readonly variables: FakeGitHub["variables"] = new Map();
  readonly environments: FakeGitHub["environments"] = new Map();
  readonly deployKeys: DeployKey[] = [];
  readonly issues: answers.Issue[] = [];
  readonly keys = sodium.crypto_box_keypair();
  readonly keyId = "568250167242549743";
  isProtected = false;
  private nextId = 1;
  private clock = Date.now();

  readonly at: answers.Place;
  readonly branch: string;
  readonly isPrivate: boolean;

  constructor(at: answers.Place, branch: string, isPrivate: boolean) {
    this.at = at;
    this.branch = branch;
    this.isPrivate = isPrivate;
    this.git = new GitRepository(branch);
  }

  /** Later than any time before, in whole seconds like GitHub's. */
  now(): string {
    this.clock = Math.max(this.clock + 1000, Date.now());
    return new Date(this.clock).toISOString().replace(/\.\d+Z$/, "Z");
  }

  /** Handles an operation, by its path below the repository's in GitHub's description. */
  handle(operation: string, request: Request): Answer {
    const [method = "", path = ""] = operation.split(" ");
    const { parameters, body } = request;
    const below = path.replace("/repos/{owner}/{repo}", "");
    switch (`${method} ${below}`) {
      case "GET ":
        return ok(this.describe(request.rights));
      case "GET /branches/{branch}":
        return ok(this.describeBranch(parameters.branch ?? ""));
      case "GET /contents/{path}":
        return ok(this.readFile(parameters.path ?? "", request.query.get("ref") ?? this.branch));
      case "PUT /contents/{path}":
      case "DELETE /contents/{path}":
        return this.writeFile(method, parameters.path ?? "", body);
      case "GET /commits":
        return ok(
          this.git
            .log(request.query.get("sha") ?? this.branch, request.query.get("path") ?? "")
            .map((sha) => this.describeCommit(sha)),
        );
      case "GET /commits/{ref}":
        return ok(this.describeCommit(parameters.ref ?? ""));
      case "GET /actions/secrets/public-key":
        return ok({
          key_id: this.keyId,
          key: sodium.to_base64(this.keys.publicKey, sodium.base64_variants.ORIGINAL),
        });
      case "GET /actions/secrets":
        return ok({
          total_count: this.sealed.size,
          secrets: [...this.sealed].map(([name, { created_at, updated_at }]) => ({
            name,
            created_at,
            updated_at,
          })),
        });
      case "GET /actions/secrets/{secret_name}": {
        const { created_at, updated_at } = found(this.sealed.get(upper(parameters.secret_name)));
        return ok({ name: upper(parameters.secret_name), created_at, updated_at });
      }
      case "PUT /actions/secrets/{secret_name}":
        return this.putSecret(upper(parameters.secret_name), body);
      case "DELETE /actions/secrets/{secret_name}":
        return gone(this.sealed.delete(upper(parameters.secret_name)));
      case "GET /actions/variables":
        return ok({
          total_count: this.variables.size,
          variables: [...this.variables].map(([name, variable]) => ({ name, ...variable })),
        });
      case "POST /actions/variables":
        return this.postVariable(upper(body.name), text(body.value));
      case "GET /actions/variables/{name}":
        return ok({ name: upper(parameters.name), ...found(this.variables.get(upper(parameters.name))) });
      case "PATCH /actions/variables/{name}":
        Object.assign(found(this.variables.get(upper(parameters.name))), {
          value: text(body.value),
          updated_at: this.now(),
        });
        return { status: 204 };
      case "DELETE /actions/variables/{name}":
        return gone(this.variables.delete(upper(parameters.name)));
      case "GET /keys":
        return ok(this.deployKeys.map((key) => this.describeKey(key)));
      case "POST /keys":
        return this.postKey(body);
      case "GET /keys/{key_id}":
        return ok(this.describeKey(found(byId(this.deployKeys, parameters.key_id))));
      case "DELETE /keys/{key_id}":
        return gone(removeFrom(this.deployKeys, parameters.key_id));
      default:
        if (below.startsWith("/environments")) return this.handleEnvironment(`${method} ${below}`, request);
        if (below.startsWith("/issues")) return this.handleIssue(`${method} ${below}`, request);
        throw new Refusal(501, `The fake does not know ${operation}`);
    }
  }

  private handleEnvironment(operation: string, { parameters, body }: Request): Answer {
    const name = parameters.environment_name ?? "";
    const environment = this.environments.get(name);
    const id = parameters.branch_policy_id;
    switch (operation) {
      case "GET /environments": {
        const all = [...this.environments].map(([key, facts]) => answers.environment(this.at, key, facts));
        return ok({ total_count: all.length, environments: all });
      }
      case "GET /environments/{environment_name}":
        return ok(answers.environment(this.at, name, found(environment)));
      case "PUT /environments/{environment_name}":
        this.environments.set(name, {
          reviewers: (body.reviewers ?? []) as answers.Environment["reviewers"],
          policy: (body.deployment_branch_policy ?? null) as answers.Environment["policy"],
          branches: environment?.branches ?? [],
          canAdminsBypass: (body as { can_admins_bypass?: boolean }).can_admins_bypass ?? true,
        });
        return ok(answers.environment(this.at, name, found(this.environments.get(name))));
      case "DELETE /environments/{environment_name}":
        return gone(this.environments.delete(name));
      case "GET /environments/{environment_name}/deployment-branch-policies":
        return ok({
          total_count: found(environment).branches.length,
          branch_policies: found(environment).branches,
        });
      case "POST /environments/{environment_name}/deployment-branch-policies": {
        if (!found(environment).policy?.custom_branch_policies) throw NOT_FOUND;
        const policy = { id: this.nextId++, name: text(body.name), type: text(body.type) || "branch" };
        found(environment).branches.push(policy);
        return ok(policy);
      }
      case "GET /environments/{environment_name}/deployment-branch-policies/{branch_policy_id}":
        return ok(found(byId(found(environment).branches, id)));
      case "PUT /environments/{environment_name}/deployment-branch-policies/{branch_policy_id}":
        return ok(Object.assign(found(byId(found(environment).branches, id)), { name: text(body.name) }));
      case "DELETE /environments/{environment_name}/deployment-branch-policies/{branch_policy_id}":
        return gone(removeFrom(found(environment).branches, id));
      default:
        throw new Refusal(501, `The fake does not know ${operation}`);
    }
  }

  private handleIssue(operation: string, { parameters, query, body }: Request): Answer {
    const issue = this.issues.find(({ number }) => String(number) === parameters.issue_number);
    switch (operation) {
      case "GET /issues": {
        const state = query.get("state") ?? "open";
        const labels = (query.get("labels") ?? "").split(",").filter(Boolean);
        const wanted = this.issues
          .filter((one) => state === "all" || one.state === state)
          .filter((one) => labels.every((label) => one.labels.includes(label)));
        return ok(wanted.map((one) => answers.issue(this.at, one)));
      }
      case "POST /issues": {
        const opened: answers.Issue = {
          number: this.issues.length + 1,
          title: text(body.title),
          body: text(body.body),
          state: "open",
          labels: (body.labels ?? []) as string[],
          comments: [],
        };
        this.issues.push(opened);
        return { status: 201, body: answers.issue(this.at, opened) };
      }
      case "GET /issues/{issue_number}":
        return ok(answers.issue(this.at, found(issue)));
      case "PATCH /issues/{issue_number}":
        return ok(answers.issue(this.at, Object.assign(found(issue), body)));
      case "GET /issues/{issue_number}/comments":
        return ok(found(issue).comments.map((one) => answers.comment(this.at, found(issue).number, one)));
      case "POST /issues/{issue_number}/comments": {
        const posted = { id: this.nextId++, body: text(body.body) };
        found(issue).comments.push(posted);
        return { status: 201, body: answers.comment(this.at, found(issue).number, posted) };
      }
      case "PATCH /issues/comments/{comment_id}": {
        const owner = found(this.issues.find((one) => byId(one.comments, parameters.comment_id)));
        const changed = Object.assign(found(byId(owner.comments, parameters.comment_id)), {
          body: text(body.body),
        });
        return ok(answers.comment(this.at, owner.number, changed));
      }
      default:
        throw new Refusal(501, `The fake does not know ${operation}`);
    }
  }

  private describe(rights: TokenRights | undefined) {
    const may =
      rights !== undefined && mayDo(rights, { scope: "repo", permissions: ["contents"], level: "write" });
    const permissions = { admin: may, maintain: may, push: may, triage: may, pull: true };
    return answers.repository(this.at, { isPrivate: this.isPrivate, branch: this.branch, permissions });
  }

  private describeBranch(name: string) {
    const head = this.git.show(`refs/heads/${name}`);
    if (head === undefined) throw new Refusal(404, "Branch not found");
    return answers.branch(this.at, name, head, this.isProtected && name === this.branch);
  }

  private describeCommit(name: string) {
    const commit = this.git.show(name);
    if (commit === undefined) throw new Refusal(422, `No commit found for SHA: ${name}`);
    return answers.commit(this.at, commit);
  }

  private describeKey(key: DeployKey) {
    const url = `${this.at.api}/repos/${this.at.owner}/${this.at.name}/keys/${key.id}`;
    return { ...key, url, verified: true, created_at: "2024-01-01T00:00:00Z" };
  }

  private readFile(path: string, ref: string) {
    const sha = this.git.resolve(`${ref}:${path}`);
    if (sha === undefined) throw NOT_FOUND;
    return answers.file(this.at, path, ref, sha, this.git.read(sha));
  }

  private writeFile(method: string, path: string, body: Request["body"]): Answer {
    const branch = text(body.branch) || this.branch;
    if (this.git.resolve(`refs/heads/${branch}`) === undefined)
      throw new Refusal(404, `Branch ${branch} not found`);
    if (this.isProtected && branch === this.branch) {
      const rule = "Repository rule violations found\n\nChanges must be made through a pull request.\n\n";
      throw new Refusal(409, rule);
    }
    const present = this.git.resolve(`${branch}:${path}`);
    const given = body.sha as string | undefined;
    if (present === undefined && method === "DELETE") throw NOT_FOUND;
    if (present !== undefined && given === undefined) {
      throw new Refusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.');
    }
    if (given !== undefined && given !== present) throw new Refusal(409, `${path} does not match ${given}`);
    const content = Buffer.from(text(body.content), "base64");
    const blob = this.git.blob(content);
    const sha = this.git.commit(branch, text(body.message), (index) => {
      if (method === "DELETE") index.remove(path);
      else index.add(path, blob);
    });
    const commit = found(this.git.show(sha));
    const file = method === "DELETE" ? null : answers.file(this.at, path, branch, blob, content);
    return { status: present === undefined ? 201 : 200, body: answers.fileCommit(this.at, commit, file) };
  }

  private putSecret(name: string, body: Request["body"]): Answer {
    if (!NAME.test(name) || name.startsWith("GITHUB_"))
      throw new Refusal(422, `Secret names can only contain …`);
    if (body.key_id !== this.keyId)
      throw new Refusal(422, "Bad Request: key_id is not that of the public key");
    const value = this.open(text(body.encrypted_value));
    const before = this.sealed.get(name);
    const now = this.now();
    this.sealed.set(name, { value, created_at: before?.created_at ?? now, updated_at: now });
    return before ? { status: 204 } : { status: 201, body: {} };
  }

  private open(box: string): string {
    try {
      const bytes = sodium.from_base64(box, sodium.base64_variants.ORIGINAL);
      return sodium.to_string(sodium.crypto_box_seal_open(bytes, this.keys.publicKey, this.keys.privateKey));
    } catch {
      throw new Refusal(422, "Bad Request: the encrypted value cannot be opened");
    }
  }

  private postVariable(name: string, value: string): Answer {
    if (!NAME.test(name) || name.startsWith("GITHUB_"))
      throw new Refusal(422, "Variable names can only contain …");
    if (this.variables.has(name)) throw new Refusal(409, "Already exists - Variable already exists");
    const now = this.now();
    this.variables.set(name, { value, created_at: now, updated_at: now });
    return { status: 201, body: {} };
  }

  private postKey(body: Request["body"]): Answer {
    // GitHub keeps the type and the key, but not the comment.
    const key = text(body.key).split(" ").slice(0, 2).join(" ");
    if (this.deployKeys.some((one) => one.key === key)) throw new Refusal(422, "key is already in use");
    const added = { id: this.nextId++, title: text(body.title), key, read_only: body.read_only !== false };
    this.deployKeys.push(added);
    return { status: 201, body: this.describeKey(added) };
  }
}

/** What an operation requires; undefined if read access to the repository is enough. */
function needs(operation: string, path: string): Need[] {
  const [method = "", described = ""] = operation.split(" ");
  const level = method === "GET" ? "read" : "write";
  const need = (...permissions: string[]): Need => ({ scope: "repo", permissions, level });
  const area = described.split("/")[4] ?? "";
  switch (area) {
    case "contents": {
      const isWorkflow = level === "write" && path.startsWith(".github/workflows/");
      return isWorkflow
        ? [need("contents"), { ...need("workflows"), scope: "workflow" }]
        : [need("contents")];
    }
    case "commits":
    case "branches":
      return [need("contents")];
    case "actions":
      return [need(described.includes("/secrets") ? "secrets" : "actions_variables")];
    case "environments":
      return [need(level === "read" ? "actions" : "administration")];
    case "keys":
      return [need("administration")];
    case "issues":
      // A pull request takes comments like an issue, and either permission is enough.
      return [described.includes("comments") ? need("issues", "pull_requests") : need("issues")];
    default:
      return [];
  }
}

function mayDo(rights: TokenRights, need: Need): boolean {
  if ("scopes" in rights) return rights.scopes.includes(need.scope);
  return need.permissions.some((permission) => {
    const held = rights.permissions[permission];
    return held === "write" || (held === "read" && need.level === "read");
  });
}

/** Refuses what a token does not allow, in GitHub's words. */
function authorize(rights: TokenRights | undefined, all: Need[], isPrivate: boolean): void {
  const accepted = all.map(({ permissions, level }) =>
    permissions.map((one) => `${one}=${level}`).join("; "),
  );
  const isOpen =
    !isPrivate && all.every(({ level, permissions }) => level === "read" && permissions[0] === "contents");
  if (rights === undefined) {
    if (isOpen) return;
    throw isPrivate ? NOT_FOUND : new Refusal(401, "Requires authentication");
  }
  const lacking = all.filter((need) => !mayDo(rights, need));
  if (lacking.length === 0 || isOpen) return;
  if ("scopes" in rights)
    throw isPrivate || lacking.some(({ scope }) => scope === "workflow") ? NOT_FOUND : FORBIDDEN;
  const who = rights.kind === "installation" ? "integration" : "personal access token";
  throw new Refusal(403, `Resource not accessible by ${who}`, {
    "x-accepted-github-permissions": accepted.join(","),
  });
}

const FORBIDDEN = new Refusal(403, "Must have admin rights to Repository.");

/** Starts the fake with one repository on 127.0.0.1. */
export async function startFakeGitHub(options: {
  owner: string;
  repository: string;
  branch?: string;
  isPrivate?: boolean;
  port?: number;
  /** Called with a changed list of deploy keys before the request is answered, so that git over SSH accepts them. */
  onDeployKeys?: (keys: DeployKey[]) => Promise<void>;
}): Promise<FakeGitHub> {
  await sodium.ready;
  const { owner, repository: name, branch = "main", isPrivate = false, port = 0 } = options;
  const { onDeployKeys = () => Promise.resolve() } = options;
  const requests: Exchange[] = [];
  const violations: string[] = [];
  const faults: (Fault & { times: number })[] = [];
  const tokens = new Map<string, TokenRights>();
  const at: answers.Place = { api: "", owner, name };
  const repository = new Repository(at, branch, isPrivate);

  function answer(url: URL, body: unknown, exchange: Exchange): Answer {
    const { method } = exchange;
    const path = url.pathname.replace(/^\/api\/v3(?=\/)/, "");
    const fault = faults.find(
      (one) => one.times > 0 && (one.method ?? method) === method && (one.path ?? /./).test(path),
    );
    if (fault !== undefined) {
      fault.times -= 1;
      return faultAnswer(fault.status);
    }
    const found = match(method, path);
    if (found === undefined) {
      violations.push(`GitHub has no ${method} ${path}, or extract-openapi.ts leaves it out`);
      throw new Refusal(501, `The fake does not know ${method} ${path}`);
    }
    const { operation, parameters } = found;
    exchange.operation = operation;
    const rights = tokens.get(exchange.token ?? "");
    if (exchange.token !== undefined && rights === undefined) throw new Refusal(401, "Bad credentials");
    const wrong = requestFault(operation, body);
    if (wrong !== undefined) {
      violations.push(wrong);
      throw new Refusal(422, wrong);
    }
    if (operation === "GET /user") {
      if (rights === undefined) throw new Refusal(401, "Requires authentication");
      return ok(answers.account(at, owner, 1));
    }
    if (operation === "GET /users/{username}") {
      // The numeric id of a login, which identifies a reviewer.
      const login = parameters.username ?? "";
      return ok(answers.account(at, login, login.length));
    }
    if (parameters.owner !== owner || parameters.repo !== name) throw NOT_FOUND;
    authorize(rights, needs(operation, parameters.path ?? ""), isPrivate);
    const fields = (body ?? {}) as Record<string, unknown>;
    return repository.handle(operation, { parameters, query: url.searchParams, body: fields, rights });
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", at.api);
    const token = /^(?:bearer|token) (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const exchange: Exchange = {
      method: request.method ?? "GET",
      path: url.pathname + url.search,
      status: 0,
      token,
    };
    requests.push(exchange);
    let given: Answer;
    try {
      given = answer(url, await readBody(request), exchange);
      if (exchange.method !== "GET" && url.pathname.includes("/keys"))
        await onDeployKeys(repository.deployKeys);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const documentation_url = "https://docs.github.com/rest";
      const body = { message: error.message, documentation_url, status: String(error.status) };
      given = { status: error.status, body, headers: error.headers };
    }
    exchange.status = given.status;
    const fault = exchange.operation && answerFault(exchange.operation, given.status, given.body);
    if (fault) violations.push(`answered otherwise than described: ${fault}`);
    const rights = tokens.get(token ?? "");
    const scopes = rights && "scopes" in rights ? { "x-oauth-scopes": rights.scopes.join(", ") } : {};
    response.writeHead(given.status, { "content-type": "application/json", ...scopes, ...given.headers });
    response.end(given.body === undefined ? "" : JSON.stringify(given.body));
  }

  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => {
      violations.push(`the fake itself failed: ${String(error)}`);
      response.writeHead(500).end(JSON.stringify({ message: String(error) }));
    });
  });
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen(port, "127.0.0.1", resolve),
  );
  const address = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${address.port}/`;
  at.api = `${url}api/v3`;

  return {
    url,
    apiUrl: at.api,
    port: address.port,
    requests,
    violations,
    addToken: (token, rights) => tokens.set(token, rights),
    fail: (fault) => faults.push({ times: 1, ...fault }),
    secrets: () => Object.fromEntries([...repository.sealed].map(([key, { value }]) => [key, value])),
    setSecret(key, value) {
      const now = repository.now();
      repository.sealed.set(key, { created_at: now, ...repository.sealed.get(key), value, updated_at: now });
    },
    variables: repository.variables,
    environments: repository.environments,
    deployKeys: repository.deployKeys,
    issues: repository.issues,
    git: repository.git,
    file(path) {
      const blob = repository.git.resolve(`${branch}:${path}`);
      return blob === undefined ? undefined : repository.git.read(blob).toString();
    },
    edit(path, content) {
      const blob = repository.git.blob(Buffer.from(content));
      repository.git.commit(branch, `Update ${path}`, (index) => {
        index.add(path, blob);
      });
    },
    protect(isProtected) {
      repository.isProtected = isProtected;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          repository.git.remove();
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** GitHub's answers to faults: rate limits, conflicts and server errors. */
function faultAnswer(status: Fault["status"]): Answer {
  if (status === 403) {
    const reset = String(Math.ceil(Date.now() / 1000) + 1);
    const headers = { "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
    return { status, headers, body: { message: "API rate limit exceeded for user ID 1." } };
  }
  if (status === 429) {
    const message =
      "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    const rest = "https://docs.github.com/en/free-pro-team@latest/rest/using-the-rest-api";
    // Clients recognize a secondary limit by the end of this address.
    const documentation_url = `${rest}/rate-limits-for-the-rest-api#about-secondary-rate-limits`;
    return { status, headers: { "retry-after": "1" }, body: { message, documentation_url } };
  }
  const messages: Record<number, string> = { 409: "Conflict", 500: "Server Error", 502: "Bad Gateway" };
  return { status, body: { message: messages[status] ?? "Service Unavailable" } };
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}

function gone(wasThere: boolean): Answer {
  if (!wasThere) throw NOT_FOUND;
  return { status: 204 };
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw NOT_FOUND;
  return value;
}

function byId<T extends { id: number }>(list: T[], id: string | undefined): T | undefined {
  return list.find((one) => String(one.id) === id);
}

function removeFrom(list: { id: number }[], id: string | undefined): boolean {
  const index = list.findIndex((one) => String(one.id) === id);
  if (index >= 0) list.splice(index, 1);
  return index >= 0;
}

const text = (value: unknown) => (typeof value === "string" ? value : "");
/** GitHub stores the names of secrets and variables in upper case. */
const upper = (value: unknown) => text(value).toUpperCase();

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const read = Buffer.concat(chunks).toString();
  return read === "" ? undefined : (JSON.parse(read) as unknown);
}
