import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { NAMES } from "./names.ts";
import { plot } from "./plot.ts";
import { FLOWS, type Measured, type Results, rounded } from "./results.ts";

const DOCS = join(import.meta.dirname, "..", "..", "docs");
export const DOCUMENT = join(DOCS, "BENCHMARKS.md");
export const PLOT = join(DOCS, "benchmarks.svg");

/** Writes the document and its plot; both say nothing that is not in the results. */
export async function writeReport(results: Results): Promise<void> {
  await writeFile(PLOT, plot(results));
  await writeFile(DOCUMENT, await report(results));
}

export async function report(results: Results): Promise<string> {
  const text = [head(results), flows(results), targets(results), parts(results), growth(results), HOW].join(
    "\n\n",
  );
  return format(text, { ...(await resolveConfig(DOCUMENT)), parser: "markdown" });
}

function table(head: string[], rows: (string | number)[][]): string {
  const line = (cells: (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [head, head.map(() => "---"), ...rows].map(line).join("\n");
}

/** How busy the machine was, from the calmest to the busiest round. */
function range(results: Results): string {
  const loads = FLOWS.flatMap((flow) => results[flow].rounds.map(({ load }) => load));
  return `${Math.min(...loads)} to ${Math.max(...loads)}`;
}

function head(results: Results): string {
  const { machine, ours } = results;
  const { processor, cores, memoryGiB, date, versions } = machine;
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `# Benchmarks

<!-- Written by \`npm run bench\` from test/bench/results.json; changes here are lost. -->

One commit of the sample bot, brought to one throwaway server in five ways, side by side: the same bot, the same load, each
way ${ours.rounds.length} times in turn. Measured on ${date.slice(0, 10)} with ${cores} cores (${processor}) and
${memoryGiB} GiB, at a load average of ${range(results)} when a round began, where ${cores} is all there is: compare the rows, not the seconds with
those of another day.
${list.join(", ")}.`;
}

function flows(results: Results): string {
  const row = (flow: (typeof FLOWS)[number]) => {
    const measured = results[flow];
    const { seconds, failed, requests, slowestSeconds, rollbackSeconds, noopSeconds, sshConnections } =
      measured;
    const lost = `${failed} of ${requests}`;
    return [NAMES[flow], seconds, lost, slowestSeconds, rollbackSeconds, noopSeconds, sshConnections];
  };
  const columns = [
    ...["", "release, s", "requests that failed", "slowest request, s"],
    ...["rollback, s", "nothing to do, s", "SSH connections"],
  ];
  return `${table(columns, FLOWS.map(row))}

![The same figures as bars](benchmarks.svg)`;
}

interface Verdict {
  target: string;
  is: string;
  met: boolean;
  /** Why, if it is missed. */
  why: string;
}

/** What this project wants to reach, and whether it did. */
export function judge({ seed, ansible, ours, floor }: Results): Verdict[] {
  const swap = ours.rollbackSwapSeconds ?? Infinity;
  const needed = Math.ceil(5 * ours.rollbackSeconds - seed.rollbackSeconds);
  return [
    {
      target: "No request fails in a release or a rollback",
      is: `${ours.failed} and ${ours.rollbackFailed}`,
      met: ours.failed + ours.rollbackFailed === 0,
      why: "this is a fault.",
    },
    {
      target: "The swap takes at most 2 s more than `docker run` by hand",
      is: `${swap} s, by hand ${floor.seconds} s`,
      met: swap <= floor.seconds + 2,
      why: "this is a fault.",
    },
    {
      target: "A rollback takes at most 10 s",
      is: `${ours.rollbackSeconds} s`,
      met: ours.rollbackSeconds <= 10,
      why: `people wait ${swap} s of it; the rest is the start of Node.js, Pulumi and its plugins, on cores that other work has too.`,
    },
    {
      target: "A rollback takes at most a fifth of what it took as it was",
      is: share(ours, seed, "rollbackSeconds"),
      met: ours.rollbackSeconds <= seed.rollbackSeconds / 5,
      why: `as it was, a rollback builds the image, and the sample's build is short beside a package mirror; \`docker run\` by hand alone is ${percent(floor.rollbackSeconds, seed.rollbackSeconds)}. A build that takes ${needed} s more would meet it.`,
    },
    {
      target: "With nothing to do, at most half of what Ansible takes",
      is: share(ours, ansible, "noopSeconds"),
      met: ours.noopSeconds <= ansible.noopSeconds / 2,
      why: "most of it is the start of Node.js, the program and Pulumi's plugins.",
    },
  ];
}

const percent = (part: number, whole: number) => `${Math.round((100 * part) / whole)} %`;

function share(one: Measured, other: Measured, key: "rollbackSeconds" | "noopSeconds"): string {
  return `${one[key]} s of ${other[key]} s, ${percent(one[key], other[key])}`;
}

function targets(results: Results): string {
  const verdicts = judge(results);
  const rows = verdicts.map(({ target, is, met }) => [target, is, met ? "yes" : "**no**"]);
  const missed = verdicts.filter(({ met }) => !met).map(({ target, why }) => `- **${target}**: ${why}`);
  return `## Targets\n\n${table(["Target", "Measured", "Met"], rows)}\n\n${[...(missed.length > 0 ? ["Why those are missed:", ""] : []), ...missed].join("\n")}`;
}

function parts({ ours, floor }: Results): string {
  const {
    seconds,
    commandSeconds,
    repeatSeconds,
    buildSeconds = 0,
    swapSeconds = 0,
    rollbackSwapSeconds = 0,
  } = ours;
  const rows = [
    ["`./delivery deploy` to its end", commandSeconds],
    ["until the new commit answers", seconds],
    ["of that, the build (with Docker's cache)", buildSeconds],
    ["of that, requests are held", swapSeconds],
    ["requests are held in a rollback", rollbackSwapSeconds],
    ["`./delivery deploy` once more, with nothing new", repeatSeconds],
    ["`docker run` by hand until it answers", floor.seconds],
  ];
  return `## What a release of ours consists of

${table(["", "s"], rows)}

A new image must stay well for five seconds before anybody is let in, since what has just begun to answer may crash a moment
later. An image that has passed once need not again, so a rollback shows what the swap itself takes:
${rounded(rollbackSwapSeconds - floor.seconds)} s more than by hand.`;
}

function growth(results: Results): string {
  const rows = results.growth.map(({ stacks, noopOneSeconds, noopAllSeconds, changeOneSeconds }) => [
    ...[stacks, noopOneSeconds, noopAllSeconds, changeOneSeconds],
  ]);
  const columns = [
    "bots",
    "nothing to do, one, s",
    "nothing to do, all in turn, s",
    "a new commit for one, s",
  ];
  return `## Many bots on one server

Each bot has a stack, names, a port and directories of its own. \`pulumi up\`:

${table(columns, rows)}

One stack knows nothing of the others: what a change costs depends on that bot alone and on how busy the server is. With nothing
to do, one bot here is the same command as above (${results.ours.noopSeconds} s there): the rest is the machine, which also runs
all these bots.`;
}

const HOW = `## How it is measured

\`npm run bench\` does all of it (\`--help\` tells how to measure single rows). Every command goes over real SSH with a key and a
pinned host key, kept connections of earlier commands cut, to the server's own Docker Engine.

- **As it was**: \`git pull\`, \`docker-compose down\`, \`build --no-cache\`, \`up -d\`; back by the same way
  ([seed.sh](../test/bench/seed.sh)).
- **docker-compose, with cache**: the same without \`down\`, and with the build cache ([compose.sh](../test/bench/compose.sh)).
- **Ansible**: the job of this project, with its own modules: the repository, an image for each commit (a rollback builds
  nothing), network, database, bot, a proxy with this project's Caddyfile, the scripts for backups and their crontab entry. Its own defaults
  for SSH, no facts gathered ([playbook.yml](../test/bench/ansible/playbook.yml)).
- **This project**: \`./delivery deploy\`, \`./delivery rollback\`.
- **docker run by hand**: \`docker rm -f\` and \`docker run\` of an image that is there already ([floor.sh](../test/bench/floor.sh)):
  no build, no goodbye to the old bot, nobody who looks whether it went well.

The load is 20 GET and 5 POST a second, and two messages a second on Telegram. A **release** is counted from the command to the
moment at which the new commit is served and \`/health\` says well, asked from outside ten times a second. **Nothing to do** is
the same command again, to its end and until the page is well; of this project, \`pulumi up\`. Seconds and connections are
medians, the greater of two; failed and slowest requests are those of the worst round. All rounds are in [results.json](../test/bench/results.json).`;
