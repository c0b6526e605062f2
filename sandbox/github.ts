import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import sodium from "libsodium-wrappers";
import type { Environment, Issue } from "./github/answers.ts";
import { Api, type Exchange } from "./github/api.ts";
import { found, type TokenRights } from "./github/exchange.ts";
import type { Fault } from "./github/faults.ts";
import type { GitRepository } from "./github/git.ts";
import { type DeployKey, type Plan, Repository, type Variable } from "./github/repository.ts";

export type { DeployKey, Plan, TokenRights };

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
  /** The repository's own secrets, or those of one of its environments, decrypted with the private key. */
  secrets(environment?: string): Record<string, string>;
  /** Sets a secret, as on the web page. */
  setSecret(name: string, value: string, environment?: string): void;
  variables: Map<string, Variable>;
  environments: Map<string, Environment>;
  deployKeys: DeployKey[];
  issues: Issue[];
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

/** Starts the fake with one repository on 127.0.0.1. */
export async function startFakeGitHub(options: {
  owner: string;
  repository: string;
  branch?: string;
  isPrivate?: boolean;
  /** What the owner pays for. Default: everything. */
  plan?: Plan;
  port?: number;
  /** Called with a changed list of deploy keys before the request is answered, so that git over SSH accepts them. */
  onDeployKeys?: (keys: DeployKey[]) => Promise<void>;
}): Promise<FakeGitHub> {
  await sodium.ready;
  const { owner, repository: name, branch = "main", isPrivate = false } = options;
  const { plan = "enterprise", port = 0, onDeployKeys = () => Promise.resolve() } = options;
  const at = { api: "", owner, name };
  const repository = new Repository(at, { branch, isPrivate, plan });
  const api = new Api(repository, () => onDeployKeys(repository.deployKeys));
  const server = createServer((request, response) => {
    api.respond(request, response).catch((error: unknown) => {
      api.violations.push(`the fake itself failed: ${String(error)}`);
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
    ...{ url, apiUrl: at.api, port: address.port },
    ...{ requests: api.requests, violations: api.violations },
    addToken: (token, rights) => api.tokens.set(token, rights),
    fail: (fault) => {
      api.faults.add(fault);
    },
    ...controls(repository),
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

/** What a test sees of the repository, and changes in it as people do on GitHub's pages. */
function controls(repository: Repository) {
  const { variables, environments, deployKeys, issues, git, branch } = repository;
  const storeOf = (environment?: string) =>
    environment === undefined ? repository.secrets : repository.environmentSecrets.get(environment);
  return {
    ...{ variables, environments, deployKeys, issues, git },
    secrets: (environment?: string) => storeOf(environment)?.values() ?? {},
    setSecret(key: string, value: string, environment?: string) {
      found(storeOf(environment)).set(key, value);
    },
    file(path: string) {
      const blob = git.resolve(`${branch}:${path}`);
      return blob === undefined ? undefined : git.read(blob).toString();
    },
    edit(path: string, content: string) {
      const blob = git.blob(Buffer.from(content));
      git.commit(branch, `Update ${path}`, (index) => {
        index.add(path, blob);
      });
    },
    protect(isProtected: boolean) {
      repository.isProtected = isProtected;
    },
  };
}
