/**
 * Makes openapi.json out of GitHub's published description, which is too large to keep (13 MB, in a package of 400 MB):
 * the operations that the fake answers and whatever they refer to, without prose and examples.
 *
 * usage: node sandbox/github/extract-openapi.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../docker.ts";

const SOURCE = "@octokit/openapi@23.0.2";

const REPOSITORY = "/repos/{owner}/{repo}";
const OPERATIONS: Record<string, string[]> = {
  "/user": ["get"],
  "/users/{username}": ["get"],
  "/orgs/{org}": ["get"],
  [REPOSITORY]: ["get"],
  [`${REPOSITORY}/branches/{branch}`]: ["get"],
  [`${REPOSITORY}/contents/{path}`]: ["get", "put", "delete"],
  [`${REPOSITORY}/commits`]: ["get"],
  [`${REPOSITORY}/commits/{ref}`]: ["get"],
  [`${REPOSITORY}/actions/secrets`]: ["get"],
  [`${REPOSITORY}/actions/secrets/public-key`]: ["get"],
  [`${REPOSITORY}/actions/secrets/{secret_name}`]: ["get", "put", "delete"],
  [`${REPOSITORY}/actions/variables`]: ["get", "post"],
  [`${REPOSITORY}/actions/variables/{name}`]: ["get", "patch", "delete"],
  [`${REPOSITORY}/environments`]: ["get"],
  [`${REPOSITORY}/environments/{environment_name}`]: ["get", "put", "delete"],
  [`${REPOSITORY}/environments/{environment_name}/deployment-branch-policies`]: ["get", "post"],
  [`${REPOSITORY}/environments/{environment_name}/deployment-branch-policies/{branch_policy_id}`]: [
    "get",
    "put",
    "delete",
  ],
  [`${REPOSITORY}/keys`]: ["get", "post"],
  [`${REPOSITORY}/keys/{key_id}`]: ["get", "delete"],
  [`${REPOSITORY}/issues`]: ["get", "post"],
  [`${REPOSITORY}/issues/{issue_number}`]: ["get", "patch"],
  [`${REPOSITORY}/issues/{issue_number}/comments`]: ["get", "post"],
  [`${REPOSITORY}/issues/comments/{comment_id}`]: ["get", "patch"],
};

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
interface Description {
  info: Json;
  paths: Record<string, Record<string, Json>>;
  components: Record<string, Record<string, Json>>;
}

/** A name under `properties` is data, not prose, whatever it is called. */
function strip(value: Json, isMap = false): Json {
  if (Array.isArray(value)) return value.map((item) => strip(item));
  if (value === null || typeof value !== "object") return value;
  const prose = /^(description|summary|examples?|tags|externalDocs|operationId|x-.*|title)$/;
  const kept = Object.entries(value)
    .filter(([key]) => isMap || !prose.test(key))
    // Many of GitHub's alternatives overlap, which `oneOf` would not allow.
    .map(
      ([key, inner]) =>
        [key === "oneOf" && !isMap ? "anyOf" : key, strip(inner, key === "properties" && !isMap)] as const,
    );
  return orNull(Object.fromEntries(kept));
}

/** OpenAPI 3.0's `nullable` as JSON Schema has it: Ajv knows it only beside `type` and not for `enum`. */
function orNull(schema: Record<string, Json>): Json {
  if (schema.nullable !== true) return schema;
  const rest = Object.fromEntries(Object.entries(schema).filter(([key]) => key !== "nullable"));
  return { anyOf: [rest, { type: "null" }] };
}

function references(value: Json): string[] {
  return [...JSON.stringify(value).matchAll(/"\$ref":"#\/components\/([^"]+)"/g)].map(
    ([, path]) => path ?? "",
  );
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "openapi-"));
  try {
    const archive = await run("npm", ["pack", "--silent", SOURCE], { cwd: directory });
    await run("tar", ["-xzf", archive, "package/generated/api.github.com.json"], { cwd: directory });
    const text = await readFile(join(directory, "package", "generated", "api.github.com.json"), "utf8");
    const full = JSON.parse(text) as Description;
    const paths = Object.fromEntries(
      Object.entries(OPERATIONS).map(([path, methods]) => [
        path,
        Object.fromEntries(methods.map((method) => [method, strip(full.paths[path]?.[method] ?? null)])),
      ]),
    );
    const components: Description["components"] = {};
    for (let queue = references(paths); queue.length > 0;) {
      const [kind = "", name = ""] = queue.shift()?.split("/") ?? [];
      if (components[kind]?.[name] !== undefined || kind === "examples") continue;
      const found = strip(full.components[kind]?.[name] ?? null);
      (components[kind] ??= {})[name] = found;
      queue.push(...references(found));
    }
    const note = `from ${SOURCE} (MIT) by extract-openapi.ts: nullable and oneOf rewritten, prose and examples left out`;
    writeFileSync(
      join(import.meta.dirname, "openapi.json"),
      `${JSON.stringify({ note, paths, components })}\n`,
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

void main();
