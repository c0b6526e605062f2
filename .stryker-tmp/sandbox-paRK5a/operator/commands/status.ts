// @ts-nocheck
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type ContainerReport, ago, judge, readReport } from "../health/checks.ts";
import { define } from "../command.ts";
import { HISTORY_COLUMNS, historyRow } from "../release/history-table.ts";
import { readHistory, type Update } from "../pulumi.ts";
import { short } from "../release/history.ts";
import { Server } from "../server.ts";
import { openStack } from "../stack.ts";
import { statusPage } from "../health/status-page.ts";
import { heading, paint, table } from "../table.ts";

/** How many releases the screen shows. */
const RELEASES = 5;
/** Seconds after which the screen does without Pulumi's history. */
const HISTORY_SECONDS = 10;

export const CONTAINER_COLUMNS = ["container", "status", "health", "since", "commit", "restarts", "memory"];

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
    const [report, history] = await Promise.all([
      readReport(new Server(stack)),
      readHistory(stack, HISTORY_SECONDS).catch((error: unknown) => (error as Error).message),
    ]);
    const now = new Date();
    const verdicts = judge(report, stack.settings, now);
    const updates = typeof history === "string" ? [] : history.filter(({ kind }) => kind === "update");
    const view = {
      title: `${stack.settings.name} on ${stack.settings.server.host} (stack ${stack.name})`,
      time: now.toISOString(),
      verdicts,
      containers: report.containers.map((container) => containerRow(container, report.memory, report.clock)),
      releases: updates.slice(0, RELEASES).map(historyRow),
      note: typeof history === "string" ? history : releaseNote(updates),
    };
    if (html !== undefined) {
      writeFileSync(
        html,
        statusPage({ ...view, containerColumns: CONTAINER_COLUMNS, releaseColumns: HISTORY_COLUMNS }),
      );
      console.log(`written to ${html}`);
    } else if (json) {
      console.log(JSON.stringify({ ...view, report }, null, 2));
    } else {
      console.log(view.title);
      console.log(heading("Checks"));
      console.log(
        table(
          ["", "check", ""],
          verdicts.map(({ check, level, text }) => [paint(level), check, text]),
        ),
      );
      console.log(heading("Containers"));
      console.log(table(CONTAINER_COLUMNS, view.containers));
      console.log(heading("Last releases"));
      console.log(updates.length > 0 ? table(HISTORY_COLUMNS, view.releases) : view.note);
    }
    return undefined;
  },
});

function containerRow(
  container: ContainerReport,
  memory: Record<string, string> | null,
  clock: number,
): string[] {
  const { name, status, health = "", started = "", commit = "", restarts = 0 } = container;
  const since = status === "running" ? ago(clock * 1000 - Date.parse(started)) : "";
  return [name, status, health || "-", since, short(commit) || "-", String(restarts), memory?.[name] ?? "-"];
}

const releaseNote = (updates: Update[]) => (updates.length === 0 ? "Nothing has been released yet." : "");
