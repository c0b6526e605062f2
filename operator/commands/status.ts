import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { ago } from "../health/figures.ts";
import { type ContainerReport, look, type Look, type Report } from "../health/look.ts";
import { define } from "../command.ts";
import { HISTORY_COLUMNS, historyRow } from "../release/history-table.ts";
import { newestUpdates, type Update } from "../pulumi.ts";
import { short } from "../release/history.ts";
import { Server } from "../server.ts";
import { openStack, type Stack } from "../stack.ts";
import { statusPage } from "../health/status-page.ts";
import { heading, table, verdictTable } from "../table.ts";

/** How many releases are shown. */
const RELEASES = 5;
/** Seconds to wait for Pulumi's history; after that the status is shown without it. */
const HISTORY_SECONDS = 10;

const CONTAINER_COLUMNS = ["container", "status", "health", "since", "commit", "restarts", "memory"];

export default define({
  details: "Needs SSH alone; the last releases are shown when Pulumi's state can be read.",
  options: {
    html: {
      type: "string",
      requiresArg: true,
      conflicts: "json",
      // Resolved at once: the command itself runs in the project's directory, not in the caller's.
      coerce: (file: string | undefined) => (file === undefined ? undefined : resolve(file)),
      describe: "Write one self-contained HTML page to this file",
    },
    json: { type: "boolean", describe: "Print JSON" },
  },
  examples: {
    status: "show it on the terminal",
    "status --html status.html": "write it as a page for a browser",
    "status --json": "print it for a program",
  },
  exits: { 1: "the server could not be asked" },
  async run({ stack: name, html, json }) {
    const stack = openStack(name);
    const [seen, history] = await Promise.all([
      look(new Server(stack), stack.settings, { reports: true }),
      newestUpdates(stack, RELEASES, HISTORY_SECONDS).catch((error: unknown) => (error as Error).message),
    ]);
    const view = viewOf(stack, seen, history, new Date());
    if (html !== undefined) {
      const columns = { containerColumns: CONTAINER_COLUMNS, releaseColumns: HISTORY_COLUMNS };
      writeFileSync(html, statusPage({ ...view, ...columns }));
      console.log(`written to ${html}`);
    } else if (json) {
      console.log(JSON.stringify({ ...view, report: seen.report }, null, 2));
    } else {
      console.log(view.title);
      console.log(heading("Checks"));
      console.log(verdictTable(view.verdicts));
      console.log(heading("Containers"));
      console.log(table(CONTAINER_COLUMNS, view.containers));
      console.log(heading("Last releases"));
      console.log(view.releases.length > 0 ? table(HISTORY_COLUMNS, view.releases) : view.note);
    }
    return undefined;
  },
});

/** @param history the stack's newest updates, or why they cannot be read */
function viewOf({ name, settings }: Stack, seen: Look, history: Update[] | string, now: Date) {
  const { verdicts, report } = seen;
  const updates = typeof history === "string" ? [] : history;
  return {
    title: `${settings.name} on ${settings.server.host} (stack ${name})`,
    time: now.toISOString(),
    verdicts,
    containers: report?.containers.map((container) => containerRow(container, report)) ?? [],
    releases: updates.map(historyRow),
    note:
      typeof history === "string" ? history : updates.length === 0 ? "Nothing has been released yet." : "",
  };
}

function containerRow(container: ContainerReport, { memory, clock }: Report): string[] {
  const { name, status, health = "", started = "", commit = "", restarts = 0 } = container;
  const since = status === "running" ? ago(clock * 1000 - Date.parse(started)) : "";
  return [name, status, health || "-", since, short(commit) || "-", String(restarts), memory?.[name] ?? "-"];
}
