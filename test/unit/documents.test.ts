import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import {
  BOT_WAIT_SECONDS,
  RELEASE_BACKUP_DAYS,
  RELEASE_BACKUP_SECONDS,
  RELEASE_BACKUPS,
  SHRUNK_LEAST_ROWS,
} from "../../infra/model/limits.ts";
import { VERBS } from "../../operator/verbs.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), "utf8");

/** The text of all code that prints something to an operator. */
function code(): string {
  return [
    ...[
      "infra",
      "infra/components",
      "infra/model",
      "operator",
      "operator/commands",
      "operator/release",
      ".github/scripts",
    ],
    ...[
      "operator/health",
      "operator/database",
      "scripts",
      "scripts/server",
      "scripts/server/lib",
      "examples/hockey",
    ],
  ]
    .flatMap((directory) =>
      readdirSync(join(ROOT, directory), { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => read(directory, name)),
    )
    .join("\n");
}

describe("docs/DEPLOYMENT.md", () => {
  it("explains only sentences that the code prints", () => {
    const table = read("docs", "DEPLOYMENT.md").split("## Troubleshooting")[1] ?? "";
    const cells = [...table.matchAll(/^\| (`.*?`) +\|/gm)].map(([, cell = ""]) => cell);
    const sentences = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = ""]) => text));
    assert.ok(sentences.length > 25, `${sentences.length} sentences`);
    const all = code();
    for (const sentence of sentences)
      for (const part of sentence.split(" … "))
        assert.ok(all.includes(part), `the code does not print: ${part}`);
  });

  it("says how long a request waits for a bot that is down", () => {
    const [, seconds] =
      /requests wait for it, each for at most (\d+)\s+seconds/.exec(read("docs", "DEPLOYMENT.md")) ?? [];
    assert.equal(Number(seconds), BOT_WAIT_SECONDS);
  });

  it("says how long a release waits for its backup, and how long that is kept", () => {
    const text = read("docs", "DEPLOYMENT.md").replaceAll(/\s+/g, " ");
    assert.deepEqual([RELEASE_BACKUP_DAYS, RELEASE_BACKUPS], [3, 5]);
    assert.match(text, /These backups are kept for three days, and the newest five whatever their age/);
    assert.match(
      text,
      new RegExp(`After ${RELEASE_BACKUP_SECONDS} seconds the release goes ahead without it`),
    );
    assert.match(text, new RegExp(`A table of ${SHRUNK_LEAST_ROWS} rows or more that has lost`));
  });

  it("names only commands that there are", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const document of [
      "README.md",
      "docs/DEPLOYMENT.md",
      "docs/QUICKSTART.md",
      "docs/ARCHITECTURE.md",
    ]) {
      for (const [, name = ""] of read(document).matchAll(/npm run ([\w:]+)/g))
        assert.ok(name in scripts, `${document}: npm run ${name}`);
      for (const [, name = ""] of read(document).matchAll(/\.\/delivery (database upgrade|[a-z]+)/g))
        assert.ok(name in VERBS, `${document}: ./delivery ${name}`);
    }
  });
});
