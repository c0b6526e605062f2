/**
 * Reports the findings of a workflow run on GitHub, each once: a comment on a pull request, updated in place, or an issue
 * that is opened, updated and closed.
 *
 * usage: node .github/scripts/report-to-github.ts comment NUMBER [--fenced FILE [--language LANGUAGE]] < TEXT
 *        node .github/scripts/report-to-github.ts open LABEL TITLE [--fenced FILE [--language LANGUAGE]] < TEXT
 *        node .github/scripts/report-to-github.ts close LABEL [--fenced FILE [--language LANGUAGE]] < TEXT
 *   TEXT       Markdown of the workflow's own
 *   --fenced   a file whose text follows in a code block that it cannot leave
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { call, Fault, list, start } from "./github-api.ts";

/** Marks a comment as ours; it is invisible on the page. */
const MARK = "<!-- hockey-delivery -->";
/** The account of every run's token. GitHub gives no person a name with brackets, so a copied mark makes no text ours. */
const OURSELVES = "github-actions[bot]";
/** GitHub accepts 65,536 characters. A longer text loses its beginning, as its end holds the result. */
const LONGEST = 60_000;
const USAGE =
  "usage: report-to-github.ts comment NUMBER | open LABEL TITLE | close LABEL [--fenced FILE [--language LANGUAGE]], the text on standard input";

interface Item {
  id: number;
  number: number;
  body?: string;
  user?: { login: string } | null;
}

const isOurs = ({ user }: Item) => user?.login === OURSELVES;

/** A code block that ends where its text ends: the fence is longer than any row of backticks inside. */
export function fence(text: string, language = ""): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([row]) => row.length));
  const ticks = "`".repeat(longest + 1);
  return `${ticks}${language}\n${text.trimEnd()}\n${ticks}`;
}

function shorten(text: string): string {
  return text.length > LONGEST ? `(the beginning is left out)\n${text.slice(-LONGEST)}` : text;
}

async function comment(number: string, text: string): Promise<void> {
  const body = `${MARK}\n${text}`;
  const all = await list<Item>(`/issues/${number}/comments`);
  const earlier = all.find((one) => isOurs(one) && one.body?.startsWith(MARK));
  if (earlier) await call("PATCH", `/issues/comments/${earlier.id}`, { body });
  else await call("POST", `/issues/${number}/comments`, { body });
}

async function openIssue(label: string): Promise<Item | undefined> {
  return (await list<Item>(`/issues?state=open&labels=${encodeURIComponent(label)}`)).find(isOurs);
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

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { fenced: { type: "string" }, language: { type: "string" } },
  });
  const [action = "", first = "", title = ""] = positionals;
  const given = shorten(readFileSync(0, "utf8"));
  const block = values.fenced && fence(shorten(readFileSync(values.fenced, "utf8")), values.language);
  const text = block ? `${given.trimEnd()}\n${block}\n` : given;
  if (action === "comment" && /^\d+$/.test(first)) await comment(first, text);
  else if (action === "open" && first && title) await open(first, title, text);
  else if (action === "close" && first) await close(first, text);
  else throw new Fault(USAGE);
}

if (import.meta.main) start(main);
