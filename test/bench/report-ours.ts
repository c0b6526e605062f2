import { NAMES } from "./names.ts";
import { range, table, TITLES } from "./report-table.ts";
import { BOTS, type Results } from "./results.ts";

/** The sections of the report that are about this project alone. */

const COLUMNS = 40;

/** Each part of a release as a bar from the part before to its own end. */
export function bars(marks: Record<string, number>): string {
  const sorted = Object.entries(marks).sort(([, a], [, b]) => a - b);
  const last = sorted.at(-1)?.[1] ?? 1;
  const column = (at: number) => Math.round((COLUMNS * at) / last);
  let before = 0;
  const lines = sorted.map(([what, at]) => {
    // The image is made beside everything else.
    const isBeside = what.includes("image");
    const begin = column(isBeside ? 0 : before);
    if (!isBeside) before = at;
    const bar = `${" ".repeat(begin)}${"█".repeat(Math.max(1, column(at) - begin))}`;
    return `${at.toFixed(2).padStart(6)} s  ${bar.padEnd(COLUMNS + 1)} ${what}`;
  });
  return lines.join("\n");
}

export function waterfall(results: Results): string {
  const parts = BOTS.flatMap((bot) => {
    const marks = results[bot].ours?.marks ?? {};
    return Object.keys(marks).length === 0 ? [] : [`${TITLES[bot]}:\n\n\`\`\`text\n${bars(marks)}\n\`\`\``];
  });
  if (parts.length === 0) return "";
  return `## Where the time of a release goes

What \`./delivery deploy --timings\` says, each line the median of all rounds. Node.js starts at 0; the image is built beside everything else.

${parts.join("\n\n")}`;
}

export function looks(results: Results): string {
  const rows = BOTS.flatMap((bot) => {
    const { ours } = results[bot];
    return ours === undefined
      ? []
      : [[TITLES[bot], ours.nothing.again, ours.nothing.preview, ours.nothing.up]];
  });
  if (rows.length === 0) return "";
  const columns = ["nothing to do, s", "`./delivery deploy HASH`", "`pulumi preview`", "`pulumi up`"];
  return `## With nothing to do\n\n${table(columns, rows)}`;
}

export function growth({ growth: sizes }: Results): string {
  if (sizes.length === 0) return "";
  const rows = sizes.map(({ bots, nothingOne, nothingAll, releaseOne }) => [
    bots,
    nothingOne,
    nothingAll,
    releaseOne,
  ]);
  const columns = [
    "bots",
    "nothing to do, one bot, s",
    "nothing to do, all in turn, s",
    "new commit for one, s",
  ];
  return `## Many bots on one server

Each bot has its own stack, names, port and directories. With nothing to do: \`pulumi up\`; a new commit: \`./delivery deploy\`, start to
exit.

${table(columns, rows)}`;
}

export function idle({ idle: measured }: Results): string {
  if (measured === undefined) return "";
  const { seconds, on, off } = measured;
  return `## What health checks cost

A server with one bot, its database and its proxy, idle for ${seconds} s: everything on it, Docker included, uses ${on} % of a core with
the health checks of all three containers, and ${off} % without them.`;
}

export function backup({ backup: measured }: Results): string {
  if (measured === undefined) return "";
  const { withBackup, without, processor, rounds } = measured;
  return `## What the backup before a release costs

A release of the sample bot takes ${withBackup} s with a backup that is restored for a trial before the old bot stops, and ${without} s
with \`--no-backup\`: ${(withBackup - without).toFixed(1)} s more, in which the old bot serves (start to exit, medians of ${rounds.length} rounds in turn on ${processor},
load average ${range(rounds.map(({ load }) => load))}). Here the server and the command share two cores. A large database takes longer; a release waits
60 s at most.`;
}

export function push({ push: measured }: Results): string {
  if (measured === undefined) return "";
  const { ours, seed, rounds } = measured;
  return `## From a push to a live bot

A run of the whole workflow by act on this machine, with the bot of real weight: flake8, then the release. Medians of ${rounds.length} rounds
from the push until the new commit is served and healthy, load average ${range(rounds.map(({ load }) => load))}.

${table(
  ["", "live after, s"],
  [
    [NAMES.seed, seed],
    [NAMES.ours, ours],
  ],
)}

Before, the workflow ran flake8 and then [seed.sh](../test/bench/seed.sh) over SSH ([push-before.yml](../test/bench/push-before.yml)); now
[deploy.yml](../.github/workflows/deploy.yml) also runs the bot's tests. The packages of this program and Pulumi are on the runner, as
from a cache.`;
}
