import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ENVIRONMENTS, GITHUB_URN } from "../../infra/model/names.ts";

/**
 * Every name, path and limit is written down once: in its owner, from which all else takes it. Documents, tests, the
 * sandbox and examples are not searched: they say what a reader or a user sees.
 */

const ROOT = join(import.meta.dirname, "..", "..");

/** What may be written in its owner only. */
interface Fact {
  what: string;
  literal: RegExp;
  owner: string;
  /** Other files where it stands, and why. */
  except?: Record<string, string>;
}

const CADDY = { "scripts/server/container/Caddyfile": "Caddy reads it as it is; limits.test.ts compares" };
const WORKFLOWS = (...names: string[]) =>
  Object.fromEntries(
    names.map((name) => [`.github/${name}`, "published in other repositories as it is; compared below"]),
  );
const FACTS: Fact[] = [
  {
    what: "names of Docker's objects",
    literal: /[}"'`]_(db|proxy|network)\b|_db_data|_proxy_data|\bbot_network\b/,
    owner: "infra/model/names.ts",
  },
  { what: "the first bot's name", literal: /training_bot/, owner: "infra/model/names.ts" },
  {
    what: "the label of the commit",
    literal: /org\.opencontainers\.image\.revision/,
    owner: "infra/model/names.ts",
  },
  { what: "the label of the base images", literal: /hockey-delivery\.bases/, owner: "infra/model/names.ts" },
  {
    what: "types of components",
    literal: /hockey:index:/,
    owner: "infra/model/names.ts",
    except: WORKFLOWS(
      ...["scripts/github-waits.sh", "workflows/deploy.yml", "workflows/health-check.yml"],
      ...["workflows/manual-deploy.yml", "workflows/preview.yml"],
    ),
  },
  {
    what: "types of resources",
    literal: /docker:index\/|command:remote:|"pulumi:providers:docker"/,
    owner: "infra/model/names.ts",
  },
  {
    what: "names of resources",
    literal:
      /release-image|database-data|["'`](backups|bot|database|github|network|proxy|server)-[a-z]+["'`]/,
    owner: "infra/model/names.ts",
  },
  {
    what: "GitHub's environments",
    literal: /production-unattended/,
    owner: "infra/model/names.ts",
    except: WORKFLOWS("workflows/backup.yml", "workflows/health-check.yml"),
  },
  {
    what: "the gate's file",
    literal: /\/gate\/closed|\/gate\b(?!\.sh)/,
    owner: "infra/model/paths.ts",
    except: CADDY,
  },
  { what: "the settings file", literal: /backups\/settings/, owner: "infra/model/paths.ts" },
  {
    what: "files of the stack on the server",
    literal:
      /manifest\.sha256|health\.json|image-updates|base-pulls|\}\/health\b|drift\.json|\/uncertified\b|\/damaged\b|\/proven\b|redaction\/texts|repository_key|\/repository\.git|build\.log|backup\.log|\/swap\b(?!-)/,
    owner: "infra/model/paths.ts",
  },
  {
    what: "files of the backups on the server",
    literal: /manifest\.jsonl|[/}]\.(restore|upgrade|demotion)\b/,
    owner: "infra/model/paths.ts",
  },
  {
    what: "the directory of installed scripts",
    literal: /\/bin\/(\$\{|[\w-]+\.sh)/,
    owner: "infra/model/paths.ts",
  },
  {
    what: "paths in the containers",
    literal: /delivery-health-check|\/run\/secrets|\/etc\/caddy/,
    owner: "infra/model/paths.ts",
  },
  {
    what: "PostgreSQL's directories and port",
    literal: /\/var\/lib\/postgresql|\b5432\b/,
    owner: "infra/model/postgres.ts",
  },
  {
    what: "times",
    literal:
      /\b(DRAIN|BOT_STOP|MAKE|START|PROBATION|PUT_BACK|HOLD|UPGRADE_HOLD|GATE_WAIT|BOT_WAIT|PROXY_STOP|DATABASE_STOP|DEMOTION|READY|GIT|CERTIFICATE)_SECONDS\s*=\s*["']?\d/,
    owner: "infra/model/limits.ts",
  },
  {
    what: "sizes and counts",
    literal:
      /\b(LEAST_FREE\w*|\w+_FREE_MB|KEPT_IMAGES|\w*PIDS\w*|(BOT|DATABASE|PROXY|SHARED)_MEMORY|(BOT|PROXY)_(REQUESTS|UPLOADS)|FIRST_VERSIONED_POSTGRES)\s*=\s*["']?\d/,
    owner: "infra/model/limits.ts",
  },
  {
    what: "memory and processes of containers",
    literal: /--(memory|memory-swap|pids-limit)[ =]"?\d/,
    owner: "infra/model/limits.ts",
  },
  {
    what: "stages of a restore and an upgrade",
    literal:
      /stage=["(]?(loading|checking|holding|stopping|swapping|starting|trying|moving|switching|demoting)/,
    owner: "infra/model/journal.ts",
  },
  { what: "the crontab's marker", literal: /BEGIN backups of/, owner: "scripts/server/lib/cron.sh" },
];

interface File {
  path: string;
  text: string;
}

/** A line for each literal outside its owner, and one for each exception without a reason any more. */
function misplaced(files: File[], facts: Fact[] = FACTS): string[] {
  return facts.flatMap(({ what, literal, owner, except = {} }) => {
    const isNeeded = (path: string) => files.some((file) => file.path === path && literal.test(file.text));
    const found = files
      .filter(({ path, text }) => path !== owner && !(path in except) && literal.test(text))
      .map(
        ({ path, text }) => `${path} has ${literal.exec(text)?.[0] ?? ""} (${what}): take it from ${owner}`,
      );
    const stale = Object.keys(except)
      .filter((path) => !isNeeded(path))
      .map((path) => `${path} is listed for ${what} and has none; take it off the list`);
    return [...found, ...stale];
  });
}

/** All code that runs somewhere: the program, the commands, shell, workflows. */
function sources(): File[] {
  const listed = ["infra", "operator", "scripts", ".github", "delivery"];
  return execFileSync("git", ["ls-files", "-co", "--exclude-standard", ...listed], {
    cwd: ROOT,
    encoding: "utf8",
  })
    .trimEnd()
    .split("\n")
    .filter((path) => existsSync(join(ROOT, path)) && !path.endsWith(".md"))
    .map((path) => ({ path, text: withoutComments(readFileSync(join(ROOT, path), "utf8")) }));
}

/** A comment may name a fact as an example. */
function withoutComments(text: string): string {
  return text.replace(/^[ \t]*(#|\/\/|\/?\*).*$/gm, "");
}

describe("every fact has one owner", () => {
  const all = sources();

  it("and stands nowhere else", () => {
    assert.ok(all.length > 80, `${all.length} files`);
    assert.deepEqual(misplaced(all), []);
  });

  const PLANTED: [path: string, text: string, what: string][] = [
    ["operator/x.ts", "const container = `${name}_db`;", "names of Docker's objects"],
    ["operator/x.ts", 'const container = name + "_proxy";', "names of Docker's objects"],
    ["scripts/server/x.sh", 'docker inspect "${name}_db"', "names of Docker's objects"],
    ["infra/x.ts", 'name === "training_bot"', "the first bot's name"],
    ["operator/x.ts", '"**hockey:index:Bot**"', "types of components"],
    ["operator/x.ts", 'type === "docker:index/volume:Volume"', "types of resources"],
    ["operator/x.ts", 'nameOf(urn) === "bot-container"', "names of resources"],
    ["scripts/server/x.sh", "docker exec x test -e /gate/closed", "the gate's file"],
    ["operator/x.ts", "`${deployPath}/backups/settings`", "the settings file"],
    ["operator/x.ts", "`${deployPath}/health.json`", "files of the stack on the server"],
    ["scripts/server/x.sh", 'rm -rf "$DEPLOY_PATH/swap"', "files of the stack on the server"],
    ["scripts/server/x.sh", 'rm -f "$DEPLOY_PATH/image-updates"', "files of the stack on the server"],
    ["operator/x.ts", "`${backupPath}/.upgrade`", "files of the backups on the server"],
    ["operator/x.ts", "`${deployPath}/bin/${script}`", "the directory of installed scripts"],
    ["scripts/server/x.sh", "readonly HOLD_SECONDS=120", "times"],
    ["operator/x.ts", 'const START_SECONDS = "60";', "times"],
    ["scripts/server/x.sh", "readonly LEAST_FREE_MB=1024", "sizes and counts"],
    ["scripts/server/x.sh", "docker run --memory 512m x", "memory and processes of containers"],
    ["scripts/server/x.sh", "grep -q '^stage=(holding|stopping)' x", "stages of a restore and an upgrade"],
  ];
  for (const [path, text, what] of PLANTED) {
    it(`and ${text} in ${path} is found`, () => {
      const found = misplaced([...all, { path, text }]).filter((line) => line.startsWith(path));
      assert.equal(found.length, 1, found.join("\n"));
      assert.ok(found[0]?.includes(`(${what})`), found[0]);
    });
  }

  it("and an exception that is not needed any more is found", () => {
    const fact = { what: "a thing", literal: /thing/, owner: "a.ts", except: { "b.sh": "for a reason" } };
    const files = [
      { path: "a.ts", text: "thing" },
      { path: "b.sh", text: "" },
    ];
    assert.deepEqual(misplaced(files, [fact]), [
      "b.sh is listed for a thing and has none; take it off the list",
    ]);
  });

  it("whose name the workflows repeat as it is", () => {
    const github = all.filter(({ path }) => path.startsWith(".github/"));
    for (const { path, text } of github) {
      for (const [found] of text.matchAll(/\**hockey:index:\w+\**/g)) assert.equal(found, GITHUB_URN, path);
      for (const [, found] of text.matchAll(/^ +environment: (\S+)$/gm))
        assert.ok((Object.values(ENVIRONMENTS) as string[]).includes(found ?? ""), `${path}: ${found ?? ""}`);
    }
  });
});
