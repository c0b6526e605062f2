// @ts-nocheck
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";

/**
 * Checks requests and answers against GitHub's published description of its REST API.
 * extract-openapi.ts generates openapi.json.
 */

type Schema = Record<string, unknown>;
interface Body {
  content?: Record<string, { schema?: Schema } | undefined>;
  required?: boolean;
}
interface Operation {
  requestBody?: Body;
  responses: Record<string, Body & { $ref?: string }>;
}
interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, Body>; schemas: Record<string, Schema> };
}

/** One operation of the API, found by method and path. */
interface Match {
  /** `METHOD /path/{of}/{the}/description`. */
  operation: string;
  parameters: Record<string, string>;
}

const DESCRIPTION = JSON.parse(
  readFileSync(join(import.meta.dirname, "openapi.json"), "utf8"),
) as Description;

/** Statuses that any operation may answer with, described or not: credentials, rate limits, server errors. */
const ANYWHERE = [401, 403, 404, 409, 422, 429, 500, 502, 503];

/**
 * Fields that GitHub accepts but describes only in its answers. Its provider always sends them:
 * https://github.com/google/go-github, CreateUpdateEnvironment.
 */
const UNDESCRIBED: Record<string, string[]> = {
  "PUT /repos/{owner}/{repo}/environments/{environment_name}": ["can_admins_bypass"],
};

const ajv = addFormats.default(new Ajv({ strict: false, allErrors: false }));
ajv.addSchema({ $id: "github", components: DESCRIPTION.components });
const compiled = new Map<string, ValidateFunction>();

/** Longer literal parts first, so that `secrets/public-key` does not match as a secret of that name. */
const ROUTES = Object.keys(DESCRIPTION.paths)
  .map((path) => ({
    path,
    // A file's path may hold slashes; everything else is one segment.
    pattern: new RegExp(
      `^${path.replace("{path}", "(?<path>.+)").replace(/\{(\w+)\}/g, (_, name: string) => `(?<${name}>[^/]+)`)}$`,
    ),
  }))
  .sort((a, b) => placeholders(a.path) - placeholders(b.path));

function placeholders(path: string): number {
  return path.split("{").length;
}

/** The operation that a request matches; undefined if GitHub has none. */
export function match(method: string, path: string): Match | undefined {
  for (const route of ROUTES) {
    const found = route.pattern.exec(path);
    if (!found || DESCRIPTION.paths[route.path]?.[method.toLowerCase()] === undefined) continue;
    const parameters = Object.entries(found.groups ?? {}).map(([key, value]) => [
      key,
      decodeURIComponent(value),
    ]);
    return {
      operation: `${method.toUpperCase()} ${route.path}`,
      parameters: Object.fromEntries(parameters) as Record<string, string>,
    };
  }
  return undefined;
}

/** What is wrong with a request's body; undefined if it matches the description. */
export function requestFault(operation: string, body: unknown): string | undefined {
  const described = lookUp(operation).requestBody;
  const schema = described?.content?.["application/json"]?.schema;
  if (schema === undefined) return undefined;
  if (body === undefined) return described?.required ? `${operation} was sent without a body` : undefined;
  const undescribed = UNDESCRIBED[operation] ?? [];
  const judged = Object.entries(body as object).filter(([key]) => !undescribed.includes(key));
  return fault(`${operation} request`, schema, Object.fromEntries(judged));
}

/** What is wrong with an answer's status or body; undefined if they match the description. */
export function answerFault(operation: string, status: number, body: unknown): string | undefined {
  const given = lookUp(operation).responses[String(status)];
  if (given === undefined) {
    if (!ANYWHERE.includes(status)) return `${operation} never answers ${status}`;
    const described = DESCRIPTION.components.schemas["basic-error"] ?? {};
    return fault("an error", described, body);
  }
  const name = given.$ref?.split("/").at(-1);
  const response = name === undefined ? given : DESCRIPTION.components.responses[name];
  const schema = response?.content?.["application/json"]?.schema;
  if (schema === undefined)
    return body === undefined ? undefined : `${operation} answers ${status} without a body`;
  return fault(`${operation} ${status}`, schema, body);
}

function lookUp(operation: string): Operation {
  const [method = "", path = ""] = operation.split(" ");
  const found = DESCRIPTION.paths[path]?.[method.toLowerCase()];
  if (found === undefined)
    throw new Error(`${operation} is not in openapi.json; add it to extract-openapi.ts`);
  return found;
}

function fault(what: string, schema: Schema, value: unknown): string | undefined {
  let validate = compiled.get(what);
  if (validate === undefined) {
    validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"github#/')) as Schema);
    compiled.set(what, validate);
  }
  if (validate(value)) return undefined;
  const [error] = validate.errors ?? [];
  return `${what}: ${error?.instancePath ?? ""} ${error?.message ?? "is not as described"} ${JSON.stringify(error?.params)}`;
}
