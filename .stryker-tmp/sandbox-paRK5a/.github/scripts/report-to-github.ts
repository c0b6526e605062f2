/**
 * Reports the findings of a workflow run on GitHub, each once: a comment on a pull request, updated in place, or an issue
 * that is opened, updated and closed.
 *
 * usage: node .github/scripts/report-to-github.ts comment NUMBER < TEXT
 *        node .github/scripts/report-to-github.ts open LABEL TITLE < TEXT
 *        node .github/scripts/report-to-github.ts close LABEL < TEXT
 * Environment: GITHUB_API_URL and GITHUB_REPOSITORY, which GitHub sets in a run, and GITHUB_TOKEN from `github.token`.
 */
// @ts-nocheck

import { readFileSync } from "node:fs";

/** Marks a comment as ours; it is invisible on the page. */
const MARK = "<!-- hockey-delivery -->";
/** GitHub accepts 65,536 characters. A longer text loses its beginning, as its end holds the result. */
const LONGEST = 60_000;
const TIMEOUT = 30_000;
const PAGE = 100;

class Fault extends Error {}

interface Item {
  id: number;
  number: number;
  body?: string;
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
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
    throw new Fault(`GitHub refuses ${method} ${path}: ${response.status} ${message}`);
  }
  return (await response.json()) as T;
}

/** Every item of a list, page after page. */
async function list(path: string, page = 1): Promise<Item[]> {
  const items = await call<Item[]>(
    "GET",
    `${path}${path.includes("?") ? "&" : "?"}per_page=${PAGE}&page=${page}`,
  );
  return items.length < PAGE ? items : [...items, ...(await list(path, page + 1))];
}

async function comment(number: string, text: string): Promise<void> {
  const body = `${MARK}\n${text}`;
  const earlier = (await list(`/issues/${number}/comments`)).find((one) => one.body?.startsWith(MARK));
  if (earlier) await call("PATCH", `/issues/comments/${earlier.id}`, { body });
  else await call("POST", `/issues/${number}/comments`, { body });
}

async function openIssue(label: string): Promise<Item | undefined> {
  const [issue] = await list(`/issues?state=open&labels=${encodeURIComponent(label)}`);
  return issue;
}

async function open(label: string, title: string, body: string): Promise<void> {
  const issue = await openIssue(label);
  if (issue) await call("PATCH", `/issues/${issue.number}`, { title, body });
  else await call("POST", "/issues", { title, body, labels: [label] });
}

async function close(label: string, text: string): Promise<void> {
  const issue = await openIssue(label);
  if (!issue) return;
  await call("POST", `/issues/${issue.number}/comments`, { body: text });
  await call("PATCH", `/issues/${issue.number}`, { state: "closed" });
}

async function main([action = "", first = "", title = ""]: string[]): Promise<void> {
  const given = readFileSync(0, "utf8");
  const text = given.length > LONGEST ? `(the beginning is left out)\n${given.slice(-LONGEST)}` : given;
  if (action === "comment" && /^\d+$/.test(first)) await comment(first, text);
  else if (action === "open" && first && title) await open(first, title, text);
  else if (action === "close" && first) await close(first, text);
  else
    throw new Fault(
      "usage: report-to-github.ts comment NUMBER | open LABEL TITLE | close LABEL, the text on standard input",
    );
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
