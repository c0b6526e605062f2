import { NOT_FOUND, Refusal, type TokenRights } from "./exchange.ts";

/** What a token may do, and GitHub's words where it may not. */

/** What an operation requires: a scope of a classic token, or one of the fine-grained permissions at that level. */
interface Need {
  scope: string;
  permissions: string[];
  level: "read" | "write";
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
    case "branches":
      return [need(described.endsWith("/protection") ? "administration" : "contents")];
    case "commits":
    case "compare":
      return [need("contents")];
    case "actions":
      return [need(described.includes("/secrets") ? "secrets" : "actions_variables")];
    case "environments":
      if (described.includes("/secrets")) return [need("environments")];
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

/** Whether a token may change the repository's files. */
export function mayPush(rights: TokenRights | undefined): boolean {
  return rights !== undefined && mayDo(rights, { scope: "repo", permissions: ["contents"], level: "write" });
}

/** Refuses what a token does not allow, in GitHub's words. */
export function authorize(
  rights: TokenRights | undefined,
  { operation, path = "" }: { operation: string; path: string | undefined },
  isPrivate: boolean,
): void {
  const all = needs(operation, path);
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
    throw isPrivate || lacking.some(({ scope }) => scope === "workflow")
      ? NOT_FOUND
      : new Refusal(403, "Must have admin rights to Repository.");
  const who = rights.kind === "installation" ? "integration" : "personal access token";
  throw new Refusal(403, `Resource not accessible by ${who}`, {
    "x-accepted-github-permissions": accepted.join(","),
  });
}
