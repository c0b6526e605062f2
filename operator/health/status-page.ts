import type { Verdict } from "./verdict.ts";

/** The contents of the status page, as plain text. */
interface StatusView {
  title: string;
  time: string;
  verdicts: Verdict[];
  containerColumns: string[];
  containers: string[][];
  releaseColumns: string[];
  releases: string[][];
  /** Shown instead of releases if there are none. */
  note: string;
}

const STYLE = `
  :root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --warning: #b35900; --critical: #cf222e; }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
  h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
  time { color: gray; font-size: .85rem; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; }
  th { color: gray; font-weight: normal; text-align: left; font-size: .85rem; }
  td, th { border-bottom: 1px solid var(--line); padding: .35rem 1rem .35rem 0; white-space: nowrap; }
  td:last-child { white-space: normal; }
  .ok, .succeeded { color: var(--ok); } .warning { color: var(--warning); }
  .critical, .failed { color: var(--critical); font-weight: bold; }
  @media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --warning: #d29922; --critical: #f85149; } }
`;

/** The status as one self-contained HTML page. */
export function statusPage(view: StatusView): string {
  const { title, time, verdicts, containerColumns, containers, releaseColumns, releases, note } = view;
  const checks = verdicts.map(({ check, level, text }) => [level, check, text]);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escape(title)}</h1>
<time datetime="${escape(time)}">${escape(time.slice(0, 19).replace("T", " "))} UTC</time>
<h2>Checks</h2>
${rows(["", "check", ""], checks)}
<h2>Containers</h2>
${rows(containerColumns, containers)}
<h2>Last releases</h2>
${releases.length > 0 ? rows(releaseColumns, releases) : `<p>${escape(note)}</p>`}
</body>
</html>
`;
}

function rows(head: string[], body: string[][]): string {
  const cell = (text: string) => `<td${WORDS.has(text) ? ` class="${text}"` : ""}>${escape(text)}</td>`;
  const line = (cells: string[]) => `<tr>${cells.map(cell).join("")}</tr>`;
  const top = `<tr>${head.map((text) => `<th scope="col">${escape(text)}</th>`).join("")}</tr>`;
  return `<div class="scroll"><table><thead>${top}</thead><tbody>${body.map(line).join("\n")}</tbody></table></div>`;
}

/** Words that get a color, by the class of the same name. */
const WORDS = new Set(["ok", "warning", "critical", "succeeded", "failed"]);

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escape = (text: string) => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
