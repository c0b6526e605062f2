import type { IncomingMessage, ServerResponse } from "node:http";
import { ACTIONS } from "./actions.ts";
import * as answers from "./answers.ts";
import { CONTENTS } from "./contents.ts";
import { answerFault, match, requestFault } from "./contract.ts";
import { DEPLOY_KEYS } from "./deploy-keys.ts";
import { ENVIRONMENTS } from "./environments.ts";
import { type Answer, NOT_FOUND, ok, Refusal, type Routes, type TokenRights } from "./exchange.ts";
import { Faults } from "./faults.ts";
import { ISSUES } from "./issues.ts";
import type { Repository } from "./repository.ts";
import { authorize, mayPush } from "./rights.ts";
import { SecretRefusal } from "./secrets.ts";

export interface Exchange {
  method: string;
  path: string;
  /** `METHOD /path/{as}/described`, if GitHub has such an operation. */
  operation?: string;
  status: number;
  token?: string;
  /** What was sent with it. */
  body?: unknown;
}

const ROUTES: Routes = {
  "GET ": ({ at, branch, isPrivate, isOrganization }, { rights }) => {
    const may = mayPush(rights);
    const permissions = { admin: may, maintain: may, push: may, triage: may, pull: true };
    return ok(answers.repository(at, { isPrivate, branch, permissions, isOrganization }));
  },
  ...CONTENTS,
  ...ACTIONS,
  ...ENVIRONMENTS,
  ...DEPLOY_KEYS,
  ...ISSUES,
};

/** Answers requests as GitHub's API does, and checks both against GitHub's description. */
export class Api {
  readonly requests: Exchange[] = [];
  readonly violations: string[] = [];
  readonly faults = new Faults();
  readonly tokens = new Map<string, TokenRights>();
  private readonly repository: Repository;
  private readonly onDeployKeys: () => Promise<void>;

  constructor(repository: Repository, onDeployKeys: () => Promise<void>) {
    this.repository = repository;
    this.onDeployKeys = onDeployKeys;
  }

  async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.repository.at.api);
    const token = /^(?:bearer|token) (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const exchange: Exchange = {
      method: request.method ?? "GET",
      path: url.pathname + url.search,
      status: 0,
      token,
    };
    this.requests.push(exchange);
    const given = await this.answerOrRefuse(url, request, exchange);
    exchange.status = given.status;
    const fault = exchange.operation && answerFault(exchange.operation, given.status, given.body);
    if (fault) this.violations.push(`answered otherwise than described: ${fault}`);
    const rights = this.tokens.get(token ?? "");
    const scopes = rights && "scopes" in rights ? { "x-oauth-scopes": rights.scopes.join(", ") } : {};
    response.writeHead(given.status, { "content-type": "application/json", ...scopes, ...given.headers });
    response.end(given.body === undefined ? "" : JSON.stringify(given.body));
  }

  private async answerOrRefuse(url: URL, request: IncomingMessage, exchange: Exchange): Promise<Answer> {
    try {
      exchange.body = await readBody(request);
      const given = this.answer(url, exchange.body, exchange);
      if (exchange.method !== "GET" && url.pathname.includes("/keys")) await this.onDeployKeys();
      return given;
    } catch (fault) {
      const error = fault instanceof SecretRefusal ? new Refusal(422, fault.message) : fault;
      if (!(error instanceof Refusal)) throw error;
      const documentation_url = "https://docs.github.com/rest";
      const body = { message: error.message, documentation_url, status: String(error.status) };
      return { status: error.status, body, headers: error.headers };
    }
  }

  private answer(url: URL, body: unknown, exchange: Exchange): Answer {
    const { owner, name } = this.repository.at;
    const { method } = exchange;
    // GitHub knows its repositories by number, too, though its description does not say so.
    const path = url.pathname
      .replace(/^\/api\/v3(?=\/)/, "")
      .replace(`/repositories/${answers.REPOSITORY_ID}/`, `/repos/${owner}/${name}/`);
    const fault = this.faults.take(method, path);
    if (fault !== undefined) return fault;
    const found = match(method, path);
    if (found === undefined) {
      this.violations.push(`GitHub has no ${method} ${path}, or extract-openapi.ts leaves it out`);
      throw new Refusal(501, `The fake does not know ${method} ${path}`);
    }
    const { operation, parameters } = found;
    exchange.operation = operation;
    const rights = this.tokens.get(exchange.token ?? "");
    if (exchange.token !== undefined && rights === undefined) throw new Refusal(401, "Bad credentials");
    const wrong = requestFault(operation, body);
    if (wrong !== undefined) {
      this.violations.push(wrong);
      throw new Refusal(422, wrong);
    }
    const account = this.accountAnswer(operation, parameters, rights);
    if (account !== undefined) return account;
    if (parameters.owner !== owner || parameters.repo !== name) throw NOT_FOUND;
    authorize(rights, { operation, path: parameters.path }, this.repository.isPrivate);
    const route = ROUTES[operation.replace("/repos/{owner}/{repo}", "")];
    if (route === undefined) throw new Refusal(501, `The fake does not know ${operation}`);
    const fields = (body ?? {}) as Record<string, unknown>;
    return route(this.repository, { parameters, query: url.searchParams, body: fields, rights });
  }

  /** The answer to what is asked of an account rather than of the repository. */
  private accountAnswer(
    operation: string,
    parameters: Record<string, string>,
    rights: TokenRights | undefined,
  ): Answer | undefined {
    const { at, plan, isOrganization } = this.repository;
    switch (operation) {
      case "GET /user":
        if (rights === undefined) throw new Refusal(401, "Requires authentication");
        return ok(answers.account(at, at.owner, 1));
      case "GET /users/{username}": {
        // The numeric id of a login, which identifies a reviewer.
        const login = parameters.username ?? "";
        return ok(answers.account(at, login, login.length));
      }
      case "GET /orgs/{org}": {
        if (parameters.org !== at.owner || !isOrganization) throw NOT_FOUND;
        const seesPlan = rights !== undefined && "scopes" in rights && rights.scopes.includes("admin:org");
        return ok(answers.organization(at, seesPlan ? plan : undefined));
      }
      default:
        return undefined;
    }
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const read = Buffer.concat(chunks).toString();
  return read === "" ? undefined : (JSON.parse(read) as unknown);
}
