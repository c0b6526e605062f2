import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bundle,
  byName,
  inline,
  installedCall,
  installedScripts,
  type ScriptName,
  SCRIPTS,
  SERVER_SCRIPTS,
  uploadedCall,
} from "../../infra/model/scripts.ts";
import { factsByName, settingsFile, stackFacts } from "../../infra/model/server-settings.ts";
import { MANAGED, settings } from "./fixtures.ts";

const NAMES = Object.keys(SCRIPTS) as ScriptName[];
const read = (script: string) => readFileSync(join(SERVER_SCRIPTS, script), "utf8");

/** The names that a script insists on: in `need NAME…` and in `: "${NAME:?}"`, with `?` and `:=` for what may be empty. */
function demanded(text: string): string[] {
  const needs = [...text.matchAll(/^ *(?:need|take) ((?:[A-Z_ ]|\\\n)+)$/gm)].flatMap(
    ([, names = ""]) => names.match(/\w+/g) ?? [],
  );
  const checks = [...text.matchAll(/^:( "\$\{[A-Z_]+:?[?=]\}")+$/gm)].flatMap(([line]) =>
    [...line.matchAll(/\{([A-Z_]+)/g)].map(([, name = ""]) => name),
  );
  return [...new Set([...needs, ...checks])].filter((name) => name !== "SETTINGS").sort();
}

describe("scripts on the server", () => {
  it("are all known by what they take", () => {
    const files = readdirSync(SERVER_SCRIPTS).filter((file) => file.endsWith(".sh"));
    assert.deepEqual(files.sort(), [...NAMES].sort());
  });

  for (const script of NAMES) {
    const {
      facts,
      own = [],
      optional = [],
    }: { facts: readonly string[]; own?: string[]; optional?: string[] } = {
      ...(SCRIPTS[script] as object),
      facts: SCRIPTS[script].facts,
    };
    if (facts.length + own.length === 0) continue;
    it(`${script} insists on what it is given, and on nothing else`, () => {
      const given = [...facts, ...own];
      const taken = demanded(read(script));
      assert.deepEqual(
        taken.filter((name) => !optional.includes(name)),
        [...new Set(given)].sort(),
      );
    });
  }

  it("are installed only where something calls them that outlives a connection", () => {
    for (const uploaded of ["check-server.sh", "restart-bot.sh", "show-logs.sh", "install-files.sh"])
      assert.ok(!(installedScripts() as string[]).includes(uploaded), uploaded);
  });

  it("are uploaded with what they source, and use no installed script", () => {
    for (const script of NAMES.filter((name) => !("installed" in SCRIPTS[name]))) {
      const text = bundle(script);
      assert.doesNotMatch(text, /^ *(source|\.) /m, script);
      assert.doesNotMatch(text, /BASH_SOURCE/, script);
      assert.equal(spawnSync("bash", ["-n"], { input: text }).status, 0, script);
    }
  });
});

describe("a call of a script", () => {
  it("names its arguments, leaves out those without a value, and adds few words", () => {
    assert.deepEqual(byName({ A: "1", B: undefined, C: "" }, ["x.sh", "y"]), [
      "env",
      "A=1",
      "C=",
      "x.sh",
      "y",
    ]);
    assert.deepEqual(byName({}, ["x.sh"]), ["x.sh"]);
  });

  it("points an installed script to the settings file, where it needs facts", () => {
    const { server } = settings();
    assert.deepEqual(installedCall("hold-requests.sh", server, {}), [
      ...["env", "SETTINGS=/home/deploy/hockey/backups/settings"],
      "/home/deploy/hockey/bin/hold-requests.sh",
    ]);
    assert.deepEqual(installedCall("make-repository-key.sh", server, {}, ["make", "key"]), [
      ...["/home/deploy/hockey/bin/make-repository-key.sh", "make", "key"],
    ]);
  });

  it("gives an uploaded script its facts, and no other", () => {
    const words = uploadedCall("show-logs.sh", settings(), { CONTAINER: "bot", LOG_LINES: "5" });
    assert.deepEqual(words, [
      ...["env", "BOT=training_bot", "SECRET_TEXTS=/home/deploy/hockey/redaction/texts"],
      ...["CONTAINER=bot", "LOG_LINES=5", "bash", "-s"],
    ]);
    const hold = uploadedCall("hold-requests.sh", settings(), {});
    assert.deepEqual(hold.slice(1, -2), [
      ...["PROXY=training_bot_proxy", "GATE=/gate/closed", "HOLD_SECONDS=71", "DRAIN_SECONDS=5"],
    ]);
  });

  it("never has an address of a ping or an alert in its words, which may be a secret", () => {
    for (const script of NAMES) {
      for (const secret of ["PING_URL", "ALERT_PING_URL", "WEBHOOK"])
        assert.ok(!(SCRIPTS[script].facts as readonly string[]).includes(secret), script);
    }
  });

  it("carries the files that the script sources inside", () => {
    const text = 'a\nsource "${BASH_SOURCE[0]%/*}/lib/x.sh"\nb $& c\n';
    assert.equal(
      inline(text, (lib) => `from ${lib} with $& and $1\n`),
      "a\nfrom x.sh with $& and $1\nb $& c\n",
    );
  });
});

describe("the settings file", () => {
  const file = (changes = {}) => settingsFile(settings(changes));

  it("has a line for each fact, and the keys that an earlier version reads", () => {
    const lines = file({ backups: { query: "SELECT a=b" } })
      .trimEnd()
      .split("\n");
    for (const line of lines) assert.match(line, /^[a-zA-Z]+=/);
    for (const line of [
      ...["directory=/home/deploy/backups", "container=training_bot_db", "user=hockey", "database=hockey_db"],
      ...["retentionDays=30", "keepAtLeast=7", "query=SELECT a=b", "remote=", "recipient=", "pingUrl="],
      ...["bot=training_bot", "proxy=training_bot_proxy", "page=5000/health"],
      ...["network=bot_network", "volume=training_bot_db_data", "holdSeconds=71", "startSeconds=13"],
    ])
      assert.ok(lines.includes(line), line);
    assert.equal(lines.length, Object.keys(stackFacts(settings())).length + 3);
  });

  it("says nothing of a port for http where there is a domain", () => {
    assert.match(file({ proxy: { domain: "bot.example.org", port: 8080 } }), /^publicPort=80$/m);
    assert.match(file({ proxy: { port: 8080 } }), /^publicPort=8080$/m);
  });

  it("names a repository key only where the stack makes one", () => {
    assert.match(file(), /^repositoryKey=$/m);
    const own = { ...settings({ app: { repository: "git@github.com:me/hockey.git" } }), github: MANAGED };
    assert.match(settingsFile(own), /^repositoryKey=\/home\/deploy\/hockey\/repository_key$/m);
  });

  describe("as scripts read it", () => {
    let directory: string;

    before(() => {
      directory = mkdtempSync(join(tmpdir(), "settings-"));
    });

    after(() => {
      rmSync(directory, { recursive: true });
    });

    const need = (names: string[], env: Record<string, string>) => {
      const print = names.map((name) => `printf '%s\\n' "$${name}"`).join("\n");
      const script = `set -euo pipefail\n${read("lib/common.sh")}\n${read("lib/arguments.sh")}\nneed ${names.join(" ")}\n${print}`;
      return spawnSync("bash", ["-s"], {
        input: script,
        env: { PATH: process.env.PATH, ...env },
        encoding: "utf8",
      });
    };

    it("gives each fact by its name, whatever is in it", () => {
      const stack = settings({ backups: { query: "SELECT 'a=b'  \\ \"$HOME\" =" } });
      const path = join(directory, "settings");
      writeFileSync(path, settingsFile(stack));
      const facts = Object.entries(factsByName(stack)).filter(([, value]) => value !== "");
      const { stdout, stderr } = need(
        facts.map(([name]) => name),
        { SETTINGS: path },
      );
      assert.equal(stderr, "");
      assert.deepEqual(
        stdout.trimEnd().split("\n"),
        facts.map(([, value]) => value),
      );
    });

    it("counts more than what the environment says, which counts where there is no line or no file", () => {
      const path = join(directory, "few");
      writeFileSync(path, "botStopSeconds=30\n");
      const env = { BOT_STOP_SECONDS: "1", IMAGE: "x" };
      assert.equal(need(["BOT_STOP_SECONDS", "IMAGE"], { ...env, SETTINGS: path }).stdout, "30\nx\n");
      assert.equal(need(["BOT_STOP_SECONDS"], env).stdout, "1\n");
    });

    it("is refused in a sentence where it lacks a fact, or is missing", () => {
      const path = join(directory, "empty");
      writeFileSync(path, "");
      const { status, stderr } = need(["HOLD_SECONDS"], { SETTINGS: path });
      assert.equal(status, 1);
      assert.match(stderr, /needs HOLD_SECONDS, and \S+ has no holdSeconds; run `pulumi up`/);
      assert.match(
        need(["BOT"], { SETTINGS: `${path}-not` }).stderr,
        /no settings file \S+empty-not; run `pulumi up`/,
      );
      assert.match(need(["BOT"], {}).stderr, /needs BOT\.$/m);
    });
  });
});

describe("the crontab's block", () => {
  it("begins with what finds it again", () => {
    const script = `set -euo pipefail\n${read("lib/cron.sh")}
      crontab() { printf '%s\\n' "MAILTO=x" "$(cron_begin /home/deploy/a)" "0 6 * * * x" "$(cron_end /home/deploy/a)"; }
      cron_deploy_paths`;
    assert.equal(execFileSync("bash", ["-s"], { input: script, encoding: "utf8" }), "/home/deploy/a\n");
  });
});
