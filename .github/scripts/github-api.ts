/**
 * Asks GitHub's API about the repository of a workflow run. GitHub sets GITHUB_API_URL and GITHUB_REPOSITORY in every run;
 * GITHUB_TOKEN comes from `github.token`.
 */

const TIMEOUT = 30_000;
const PAGE = 100;

/** A fault in one sentence. */
export class Fault extends Error {
  /** GitHub's status, if GitHub has refused. */
  readonly status?: number;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/**
 * One request.
 *
 * @param path below the repository's
 * @throws Fault when GitHub refuses
 */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const {
    GITHUB_API_URL: api = "",
    GITHUB_REPOSITORY: repository = "",
    GITHUB_TOKEN: token = "",
  } = process.env;
  const response = await fetch(`${api}/repos/${repository}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, accept: "application/vnd.github+json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT),
  });
  if (!response.ok) {
    const { message = "" } = (await response.json().catch(() => ({}))) as { message?: string };
    throw new Fault(`GitHub refuses ${method} ${path}: ${response.status} ${message}`, response.status);
  }
  return (await response.json()) as T;
}

/** Every item of a list, page after page. */
export async function list<T>(path: string, page = 1): Promise<T[]> {
  const items = await call<T[]>(
    "GET",
    `${path}${path.includes("?") ? "&" : "?"}per_page=${PAGE}&page=${page}`,
  );
  return items.length < PAGE ? items : [...items, ...(await list<T>(path, page + 1))];
}

/** Runs a script's main function; a fault becomes one line and exit status 1. */
export function start(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  });
}
