import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settingsOnServer } from "../../infra/components/Backups.ts";
import {
  loadImages,
  rebootServer,
  removeServer,
  serverExec,
  startServer,
  type ThrowawayServer,
} from "../../sandbox/server.ts";
import { rawConfig, settings } from "../unit/fixtures.ts";

const NAME = "backup";
const SCRIPTS = join(import.meta.dirname, "..", "..", "scripts", "server");
const HOME = "/home/deploy/hockey";
const BACKUPS = "/home/deploy/backups";
const SETTINGS = `${HOME}/backups/settings`;
const BACKUP = `${HOME}/bin/backup-db.sh ${SETTINGS}`;
const RESTORE_DB = `${HOME}/bin/restore-db.sh ${SETTINGS}`;
/** A restore of a backup, by its name or latest; options follow. */
const restore = (name: string) => `env BACKUP=${name} ${RESTORE_DB} restore`;
/** The schedule's script for one of the stacks on the server. */
const cron = (action: string, schedule = "", deployPath = HOME) =>
  `SETTINGS=${deployPath}/backups/settings SCHEDULE='${schedule}' ${HOME}/bin/install-backup-cron.sh ${action} ${deployPath}`;
const PASSWORD = "pg-secret/for-tests";
const DAY = 86_400_000;

const DATABASE = `docker run -d --name training_bot_db --network bot_network --memory 512m --restart unless-stopped \
  --cap-drop ALL --cap-add CHOWN --cap-add DAC_READ_SEARCH --cap-add FOWNER --cap-add SETGID --cap-add SETUID \
  --security-opt no-new-privileges -v ${HOME}/secrets:/run/secrets:ro -v training_bot_db_data:/var/lib/postgresql/data \
  -e POSTGRES_USER=hockey -e POSTGRES_DB=hockey_db -e POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password postgres:13`;
const READY = "until docker exec training_bot_db pg_isready -q -h 127.0.0.1 -U hockey; do sleep 0.2; done";

/** A page on :5000. It breaks once, at its next start, when somebody asks for it with a file. */
const BOT = `import http.server, os, sys
if os.path.exists("/flags/break-once"):
    os.remove("/flags/break-once")
    sys.exit("broken on purpose")
http.server.test(http.server.SimpleHTTPRequestHandler, http.server.ThreadingHTTPServer, port=5000)`;

const SAMPLE = `DROP TABLE IF EXISTS games, players CASCADE;
  CREATE TABLE players (id serial PRIMARY KEY, name text NOT NULL);
  CREATE TABLE games (id serial PRIMARY KEY, player int REFERENCES players, note text);
  CREATE VIEW winners AS SELECT * FROM players;
  CREATE INDEX ON players (name);
  INSERT INTO players (name) SELECT 'player ' || i FROM generate_series(1, 1000) i;
  INSERT INTO games (player, note) SELECT i, E'tab\\t line\\n \\\\.' FROM generate_series(1, 500) i;`;

interface Line {
  file: string;
  bytes: number;
  sha256: string;
  verified: boolean;
  seconds: number;
  contents: { rows: Record<string, number>; objects: Record<string, number> };
}

describe("backups", function () {
  this.timeout(300_000);
  let server: ThrowawayServer;
  let directory: string;

  /** Runs shell on the server as the deploy user; must end well. */
  const sh = (script: string, user = "deploy") => serverExec(server, ["bash", "-c", script], { user });

  /** Runs shell that may fail; both its streams and how it ended. */
  async function attempt(script: string, user = "deploy"): Promise<{ status: number; output: string }> {
    const text = await sh(`{ ${script}\n} 2>&1; echo "exit $?"`, user);
    const [, output = "", status] = /^([\s\S]*?)\n?exit (\d+)$/.exec(text) ?? [];
    return { status: Number(status), output };
  }

  const sql = (statement: string, database = "hockey_db") =>
    serverExec(
      server,
      [..."docker exec -i training_bot_db psql -XqAt -v ON_ERROR_STOP=1 -U hockey -d".split(" "), database],
      { input: statement },
    );

  /** What the bot would see: every player, in one number. */
  const players = () => sql("SELECT md5(string_agg(name, ',' ORDER BY id)) FROM players");

  const backup = async (options = "") => JSON.parse(await sh(`${BACKUP} --json ${options}`)) as Line;

  const files = async () =>
    (await sh(`ls ${BACKUPS}`)).split("\n").filter((name) => name.endsWith(".sql.gz"));

  const clear = () => sh(`rm -rf ${BACKUPS}/* ${BACKUPS}/.partial*`);

  /** Waits until somebody else has made a verified backup. */
  async function verifiedWithin(milliseconds: number): Promise<void> {
    const until = Date.now() + milliseconds;
    while (!(await sh(`cat ${BACKUPS}/manifest.jsonl 2>/dev/null || true`)).includes('"verified":true')) {
      assert.ok(Date.now() < until, await sh(`tail -n 5 ${HOME}/backup.log; ls -la ${BACKUPS}`));
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /** The settings file as the stack writes it. */
  async function configure(backups: Record<string, unknown> = {}, backupPath = BACKUPS): Promise<void> {
    const { server: target, app } = rawConfig() as Record<string, object>;
    const file = settingsOnServer(
      settings({ backups, server: { ...target, backupPath }, app: { ...app, healthPath: "/" } }),
    );
    const input = file.content as string;
    await serverExec(server, ["bash", "-c", `umask 077; cat >${SETTINGS}`], { user: "deploy", input });
  }

  async function put(path: string, input: string, mode: string): Promise<void> {
    const store = `mkdir -p "$(dirname ${path})"; cat >${path}; chmod ${mode} ${path}`;
    await serverExec(server, ["bash", "-c", store], { user: "deploy", input });
  }

  async function startDatabase(): Promise<void> {
    await sh(`${DATABASE} >/dev/null; ${READY}`);
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "backup-test-"));
    await removeServer(NAME);
    server = await startServer({ name: NAME, directory });
    await loadImages(server, ["postgres:13", "caddy:2", "python:3.10-slim"]);
    await sh(`umask 022; mkdir -p ${HOME}/bin ${HOME}/proxy /home/deploy/flags; umask 077; mkdir -p ${HOME}/backups ${HOME}/secrets;
      printf %s '${PASSWORD}' >${HOME}/secrets/postgres_password`);
    for (const script of await readdir(SCRIPTS, { recursive: true })) {
      if (script.endsWith(".sh") && !script.startsWith("container/")) {
        await put(`${HOME}/bin/${script}`, await readFile(join(SCRIPTS, script), "utf8"), "755");
      }
    }
    await put(
      `${HOME}/proxy/Caddyfile`,
      await readFile(join(SCRIPTS, "container", "Caddyfile"), "utf8"),
      "644",
    );
    await put("/home/deploy/bot.py", BOT, "644");
    await configure();
    await sh("docker network create bot_network");
    await startDatabase();
    await sh(`docker run -d --name training_bot_proxy --restart unless-stopped --network bot_network -p 5000:80 -e SITE=:80 -e UPSTREAM=training_bot:5000 \
        -v ${HOME}/proxy:/etc/caddy:ro --tmpfs /gate:size=64k,mode=0700 caddy:2
      docker run -d --name training_bot --init --network bot_network -v /home/deploy/flags:/flags -v /home/deploy/bot.py:/bot.py:ro \
        python:3.10-slim python /bot.py`);
    await sql(SAMPLE);
  });

  after(async () => {
    await removeServer(NAME);
    await rm(directory, { recursive: true, force: true });
  });

  describe("a backup", () => {
    it("is verified while the bot goes on writing, closed to others, and shows no secret", async () => {
      await sh(`nohup bash -c 'while [[ ! -e /tmp/enough ]]; do docker exec training_bot_db psql -qU hockey hockey_db -c \
        "INSERT INTO games (player) SELECT 1 FROM generate_series(1, 50)"; done' >/dev/null 2>&1 &
        nohup bash -c 'while [[ ! -e /tmp/enough ]]; do cat /proc/[0-9]*/cmdline; done 2>/dev/null | tr "\\0" "\\n" | sort -u >/tmp/ps' >/dev/null 2>&1 &`);
      const line = await backup(`--log ${HOME}/backup.log`).catch(() => undefined);
      await sh("touch /tmp/enough");
      assert.equal(line, undefined, "with --log nothing goes to standard output");
      const manifest = JSON.parse(await sh(`cat ${BACKUPS}/manifest.jsonl`)) as Line;
      assert.equal(manifest.verified, true);
      assert.equal(manifest.contents.rows["public.players"], 1000);
      assert.ok((manifest.contents.rows["public.games"] ?? 0) >= 500);
      assert.ok(
        Number(await sql("SELECT count(*) FROM games")) > (manifest.contents.rows["public.games"] ?? 0),
      );
      assert.equal(manifest.contents.objects.v, 1);
      assert.match(manifest.file, /^hockey_db_\d{4}-\d\d-\d\d_\d{6}\.sql\.gz$/);
      assert.match(await sh(`cd ${BACKUPS} && sha256sum -c *.sha256`), /: OK$/);
      assert.equal(await sh(`find ${BACKUPS} ${HOME}/backup.log -perm /077`), "");
      assert.equal(await sh("docker ps -aq --filter name=_verify; ls -d /tmp/tmp.* 2>/dev/null || true"), "");
      const seen = await sh(`until [[ -s /tmp/ps ]]; do sleep 0.1; done; cat /tmp/ps`);
      assert.match(seen, /pg_dump/);
      const everything = `${seen}\n${await sh(`cat ${HOME}/backup.log; zcat ${BACKUPS}/*.gz`)}`;
      assert.ok(!everything.includes(PASSWORD));
    });

    it("holds exactly the rows that are there", async () => {
      await sql(SAMPLE);
      const { file, contents } = await backup();
      assert.deepEqual(contents.rows, { "public.games": 500, "public.players": 1000 });
      const text = await sh(`zcat ${BACKUPS}/${file}`);
      assert.equal((text.match(/^\d+\tplayer \d+$/gm) ?? []).length, 1000);
    });

    it("is made one at a time", async () => {
      const both = await Promise.all([attempt(BACKUP), attempt(`sleep 0.2; ${BACKUP}`)]);
      assert.deepEqual(both.map(({ status }) => status).sort(), [0, 75]);
      assert.match(both.map(({ output }) => output).join(), /Another backup, restore or upgrade is running/);
    });

    it("is refused where there is nothing to back up", async () => {
      await clear();
      await sql("CREATE DATABASE spare; ", "postgres");
      await sql("ALTER DATABASE hockey_db RENAME TO kept", "postgres");
      await sql("ALTER DATABASE spare RENAME TO hockey_db", "postgres");
      const { status, output } = await attempt(`${BACKUP} --json`);
      await sql("DROP DATABASE hockey_db", "postgres");
      await sql("ALTER DATABASE kept RENAME TO hockey_db", "postgres");
      assert.equal(status, 1);
      assert.match(output, /^The database hockey_db has no tables/m);
      assert.match(output, /^\{"error":"The database hockey_db has no tables/m);
      assert.deepEqual(await files(), []);
    });

    it("is not called verified when a row is missing in the dump", async () => {
      // Between PostgreSQL and the file a row is lost: what no check of the file alone can tell.
      const lossy = `#!/bin/bash
        if [[ "$*" != *pg_dump* ]]; then exec /usr/bin/docker "$@"; fi
        set -o pipefail
        /usr/bin/docker "$@" | grep -vP "^500\\t500\\t"`;
      await put("/tmp/lossy/docker", lossy, "755");
      const { status, output } = await attempt(`PATH=/tmp/lossy:$PATH ${BACKUP}`);
      assert.equal(status, 1);
      assert.match(output, /differs: < .*"public\.games" : 500.* > .*"public\.games" : 499/);
      assert.match(await sh(`tail -n 1 ${BACKUPS}/manifest.jsonl`), /"verified":false/);
      await clear();
    });

    it("is not called verified when it does not restore the same", async () => {
      // Random answers stand for a restore that went wrong: the script must tell, keep it and delete nothing.
      await configure({ query: "SELECT random()", retentionDays: 1, keepAtLeast: 1 });
      await sh(`echo old >${BACKUPS}/hockey_db_2020-01-01_060000.sql.gz`);
      const { status, output } = await attempt(BACKUP);
      await configure({
        query: "SELECT count(*), max(name) FROM players WHERE name LIKE '%1\\_%' OR name = '\\'",
      });
      assert.equal(status, 1);
      assert.match(output, /is not good: restored, it answers `backups.query` differently/);
      assert.equal((await files()).length, 2);
      assert.match(await sh(`${RESTORE_DB} list`), /hockey_db_20[^\n]* no$/m);
      assert.equal((await backup()).verified, true);
    });
  });

  describe("retention", () => {
    /** Verified backups, one a day, of the last days. */
    async function age(from: number, to: number): Promise<void> {
      const names = Array.from({ length: to - from + 1 }, (_, index) => {
        const stamp = new Date(Date.now() - (from + index) * DAY).toISOString();
        return `hockey_db_${stamp.slice(0, 10)}_${stamp.slice(11, 19).replaceAll(":", "")}.sql.gz`;
      });
      const input = names.map((file) => `{"file":"${file}","verified":true,"contents":{}}\n`).join("");
      await sh(
        `cd ${BACKUPS} && touch ${names.join(" ")} ${names.map((name) => `${name}.sha256`).join(" ")}`,
      );
      await serverExec(server, ["bash", "-c", `cat >>${BACKUPS}/manifest.jsonl`], { user: "deploy", input });
    }

    beforeEach(clear);

    it("keeps 30 days of 40", async () => {
      await configure();
      await age(1, 40);
      await backup();
      const left = await files();
      assert.ok(left.length === 30 || left.length === 31, String(left.length));
      assert.equal(Number(await sh(`ls ${BACKUPS}/*.sha256 | wc -l`)), left.length);
    });

    it("never goes below keepAtLeast verified ones, however old", async () => {
      await age(50, 70);
      await backup();
      assert.equal((await files()).length, 7);
    });

    it("takes a damaged manifest for less, deletes nothing for it, and goes on writing it", async () => {
      await age(50, 70);
      await sh(
        `head -c 300 ${BACKUPS}/manifest.jsonl >/tmp/cut; head -c 500 /dev/urandom >>/tmp/cut; mv /tmp/cut ${BACKUPS}/manifest.jsonl`,
      );
      await backup();
      assert.equal((await files()).length, 22);
      assert.equal((JSON.parse(await sh(`tail -n 1 ${BACKUPS}/manifest.jsonl`)) as Line).verified, true);
      assert.match(await sh(`${RESTORE_DB} list --json`), /^\[\{"file":"hockey_db_[^}]*"verified":true\}/);
      const before = await players();
      await sh(`${restore("latest")} --yes --no-safety-dump`);
      assert.equal(await players(), before);
    });
  });

  describe("elsewhere", () => {
    let listener: HttpServer;
    const pings: string[] = [];

    before(async () => {
      await sh(
        "apt-get update -qq && apt-get install -y -qq --no-install-recommends age curl rclone >/dev/null 2>&1",
        "root",
      );
      listener = createServer((request, response) => {
        request.resume();
        pings.push(request.url ?? "");
        response.end();
      });
      await new Promise<void>((resolve) => listener.listen(0, server.gateway, resolve));
    });

    after(() => {
      listener.close();
    });

    it("a copy is encrypted for who holds the key, and somebody is told", async () => {
      const address = listener.address();
      assert.ok(typeof address === "object" && address);
      const pingUrl = `http://${server.gateway}:${address.port}/check`;
      const recipient = await sh("age-keygen -o /tmp/identity 2>/dev/null; age-keygen -y /tmp/identity");
      await configure({ remote: "/home/deploy/offsite", recipient, pingUrl });
      const { file, sha256 } = await backup();
      assert.equal(await sh("ls /home/deploy/offsite"), `${file}.age`);
      assert.ok(
        (await sh(`age -d -i /tmp/identity /home/deploy/offsite/${file}.age | sha256sum`)).startsWith(sha256),
      );

      await configure({ remote: "nowhere:x", pingUrl });
      const { status, output } = await attempt(BACKUP);
      assert.equal(status, 1);
      assert.match(output, /verified, but could not be copied to nowhere:x/);
      assert.deepEqual(pings, ["/check", "/check/fail"]);
      await configure();
    });
  });

  describe("a restore", () => {
    let good: string;
    let original: string;

    before(async () => {
      await clear();
      await sql(SAMPLE);
      original = await players();
      good = (await backup()).file;
    });

    it("brings yesterday back, keeps today, and no visitor notices", async () => {
      await sql("DELETE FROM games; UPDATE players SET name = 'ruined'");
      const started = await sh("docker inspect -f '{{.State.StartedAt}}' training_bot");
      const url = `http://127.0.0.1:${server.publicPort(5000)}/`;
      const statuses: number[] = [];
      const over = new AbortController();
      const visitor = (async () => {
        while (!over.signal.aborted) {
          statuses.push(
            await fetch(url)
              .then(({ status }) => status)
              .catch(() => 0),
          );
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
      const { status, output } = await attempt(`${restore(good)} --yes`);
      over.abort();
      await visitor;
      assert.equal(status, 0, output);
      assert.equal(await players(), original);
      assert.equal(await sql("SELECT count(*) FROM games"), "500");
      assert.deepEqual([...new Set(statuses)], [200], `${statuses.length} requests`);
      assert.ok(statuses.length > 20);
      assert.notEqual(await sh("docker inspect -f '{{.State.StartedAt}}' training_bot"), started);
      const old = /kept as (\w+)/.exec(output)?.[1] ?? "";
      assert.equal(await sql("SELECT count(DISTINCT name) FROM players", old), "1");
      assert.equal((await files()).length, 2, "a safety dump was taken");
      assert.match(
        (await attempt(`${RESTORE_DB} drop-old </dev/null`)).output,
        /There is no terminal to ask on; pass --yes/,
      );
      await sh(`${RESTORE_DB} drop-old --yes`);
      assert.equal(
        await sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'hockey_db_%'", "postgres"),
        "0",
      );
    });

    it("asks first", async () => {
      const { status, output } = await attempt(`${restore("latest")} </dev/null`);
      assert.equal(status, 1);
      assert.match(output, /This replaces the database hockey_db by hockey_db_.* verified: yes/);
    });

    const header = "-- PostgreSQL database dump\\n-- Dumped from database version";
    const trailer = "CREATE TABLE other_things (id int);\\n-- PostgreSQL database dump complete";
    const BAD: [what: string, make: string, reason: RegExp][] = [
      ["truncated by one byte", "head -c -1 GOOD >BAD", /is damaged: gzip cannot read it to its end/],
      ["cut in half", "head -c $(($(stat -c %s GOOD) / 2)) GOOD >BAD", /is damaged/],
      ["with one bit flipped", "perl -0777 -pe 'substr($_, 2000, 1) ^= chr(1)' GOOD >BAD", /is damaged/],
      [
        "with one bit flipped and a checksum",
        "perl -0777 -pe 'substr($_, 2000, 1) ^= chr(1)' GOOD >BAD; sed s/GOOD/BAD/ GOOD.sha256 >BAD.sha256",
        /is not what was written \(its checksum differs/,
      ],
      [
        "half a dump in a perfect archive",
        "zcat GOOD | head -n 60 | gzip >BAD",
        /is not complete: pg_dump did not/,
      ],
      ["of an empty dump", "gzip </dev/null >BAD", /is not a dump by pg_dump/],
      [
        "without a table",
        `printf -- '${header} 13.1\\n-- PostgreSQL database dump complete\\n' | gzip >BAD`,
        /is empty: it has no tables/,
      ],
      [
        "of another database",
        "zcat GOOD | sed '1s/hockey_db/chess_db/' | gzip >BAD",
        /is of the database chess_db, not/,
      ],
      [
        "of other tables",
        `printf -- '${header} 13.1\\n${trailer}\\n' | gzip >BAD`,
        /no table in common with hockey_db/,
      ],
      [
        "of a newer PostgreSQL",
        `printf -- '${header} 99.1\\n${trailer}\\n' | gzip >BAD`,
        /is from PostgreSQL 99 and the server runs 13/,
      ],
      ["with faulty SQL", "zcat GOOD | sed 's/^CREATE VIEW/CREATE WIEV/' | gzip >BAD", /cannot be restored/],
    ];
    for (const [what, make, reason] of BAD) {
      it(`refuses a backup ${what} and touches nothing`, async () => {
        const bad = "hockey_db_2021-01-01_000000.sql.gz";
        await sh(`cd ${BACKUPS}; ${make.replaceAll("GOOD", good).replaceAll("BAD", bad)}`);
        const state = "docker inspect -f '{{.State.StartedAt}}' training_bot; ls -a " + BACKUPS;
        const before = await sh(state);
        const { status, output } = await attempt(`${restore(bad)} --yes --no-safety-dump`);
        const after = (await sh(state)).replace("\nrestore.log", "");
        await sh(`rm -f ${BACKUPS}/${bad}*`);
        assert.equal(status, 1, output);
        assert.match(output, reason);
        assert.equal(after, before.replace("\nrestore.log", ""));
        assert.equal(await players(), original);
        assert.equal(
          await sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'hockey_db_%'", "postgres"),
          "0",
        );
      });
    }

    it("goes back when the bot does not get well on the restored data", async () => {
      await sql("UPDATE players SET name = 'today'");
      const today = await players();
      await sh("touch /home/deploy/flags/break-once");
      const { status, output } = await attempt(`${restore(good)} --yes --no-safety-dump`);
      assert.equal(status, 1, output);
      assert.match(output, /The bot does not get healthy on the data of/);
      assert.match(output, /what was there is back/);
      assert.equal(await players(), today);
      assert.equal(await sh("docker inspect -f '{{.State.Running}}' training_bot"), "true");
    });

    for (const stage of ["loading", "checking", "holding", "stopping", "swapping", "starting"]) {
      it(`goes back by itself when it is killed while ${stage}`, async () => {
        await sql("UPDATE players SET name = 'today'");
        const today = await players();
        const { output } = await attempt(`${restore(good)} --yes --no-safety-dump & pid=$!
          until grep -qs stage=${stage} ${BACKUPS}/.restore || ! kill -0 $pid; do :; done
          kill -KILL $pid; wait $pid
          until [[ ! -e ${BACKUPS}/.restore ]] || ((SECONDS > 60)); do sleep 0.1; done; flock ${BACKUPS}/.lock true`);
        assert.doesNotMatch(output, /^restored /m);
        assert.match(await sh(`tail -n 1 ${BACKUPS}/restore.log`), /what was there is back/);
        assert.equal(await players(), today);
        assert.equal(await sh("docker inspect -f '{{.State.Running}}' training_bot"), "true");
        assert.equal((await fetch(`http://127.0.0.1:${server.publicPort(5000)}/`)).status, 200);
        assert.equal(
          await sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'hockey_db_%'", "postgres"),
          "0",
        );
      });
    }

    it("goes back after a reboot in its midst, and then catches up on the backup that is due", async () => {
      const today = await players();
      const aside = "/home/deploy/aside";
      await sh(
        `mkdir ${aside}; mv ${BACKUPS}/hockey_db_* ${BACKUPS}/manifest.jsonl ${aside}; cp ${aside}/${good} ${BACKUPS}`,
      );
      await sh(cron("install", "0 6 1 1 *"));
      await sh(`nohup ${restore(good)} --yes --no-safety-dump >/dev/null 2>&1 & pid=$!
        until grep -qs stage=swapping ${BACKUPS}/.restore; do kill -0 $pid; done`);
      await rebootServer(server);
      await verifiedWithin(60_000);
      assert.match(await sh(`cat ${HOME}/backup.log`), /what was there is back/);
      assert.equal(await players(), today);
      assert.equal(await sh("docker inspect -f '{{.State.Running}}' training_bot"), "true");
      assert.equal(await sh(`ls ${BACKUPS}/.restore 2>/dev/null || true`), "");
      await sh(`${cron("remove")}; mv ${aside}/* ${BACKUPS}`);
    });

    it("works on a new, empty database: the server is gone, the backup is not", async () => {
      await sh("docker rm -f training_bot_db >/dev/null; docker volume rm training_bot_db_data >/dev/null");
      await startDatabase();
      const { status, output } = await attempt(`time ${restore(good)} --yes`);
      assert.equal(status, 0, output);
      assert.equal(await players(), original);
      assert.equal(await sql("INSERT INTO players (name) VALUES ('new') RETURNING id"), "1001");
    });
  });

  describe("of 200 MB", () => {
    const SMALL = "/mnt/small";

    /** Starts a backup, acts in the middle of its dump, and gives how it ended. */
    const disturb = (path: string, act: string) =>
      attempt(
        `sudo -u deploy ${BACKUP} & pid=$!
         until (($(stat -c %s ${path}/.partial 2>/dev/null || echo 0) > 1000000)) || ! kill -0 $pid; do sleep 0.02; done
         ${act}
         wait $pid`,
        "root",
      );

    const leftovers = (path: string) =>
      sh(
        `find ${path} -type f ! -name .lock ! -name manifest.jsonl ! -name restore.log; docker ps -aq --filter name=_verify`,
      );

    before(async () => {
      await configure();
      await clear();
      await sql(`CREATE TABLE big AS SELECT i AS id, md5(i::text) || md5((i * 7)::text) || md5((i * 13)::text) AS text
        FROM generate_series(1, 1350000) i; ALTER TABLE big ADD PRIMARY KEY (id)`);
    });

    it("a dump whose pg_dump is killed leaves nothing", async () => {
      const { status, output } = await disturb(BACKUPS, "pkill -KILL -x pg_dump");
      assert.equal(status, 1, output);
      assert.match(output, /The dump broke off \(pg_dump 137, gzip 0/);
      assert.equal(await leftovers(BACKUPS), "");
    });

    it("a dump whose PostgreSQL is killed leaves nothing", async () => {
      const { status, output } = await disturb(BACKUPS, "docker kill training_bot_db >/dev/null");
      await sh(`docker start training_bot_db >/dev/null; ${READY}`);
      assert.equal(status, 1, output);
      assert.match(output, /The dump broke off/);
      assert.equal(await leftovers(BACKUPS), "");
    });

    it("is refused before the dump on a disk without room, and leaves nothing when the room goes during it", async () => {
      await configure({}, SMALL);
      const mount = (megabytes: number) =>
        sh(
          `umount ${SMALL} 2>/dev/null; mkdir -p ${SMALL}; mount -t tmpfs -o size=${megabytes}m,uid=$(id -u deploy),mode=0700 tmpfs ${SMALL}`,
          "root",
        );
      await mount(100);
      const refused = await attempt(BACKUP);
      assert.equal(refused.status, 1);
      assert.match(
        refused.output,
        /has \d+ MB left and a backup needs \d+; make room there\. No backup was begun/,
      );
      await mount(700);
      const full = await disturb(
        SMALL,
        // The dump goes on writing between the look and the deed.
        `until fallocate -l $(($(df --output=avail -B1 ${SMALL} | tail -n 1) - 1000000)) ${SMALL}/.filler; do :; done`,
      );
      assert.equal(full.status, 1, full.output);
      assert.match(full.output, /The dump broke off .*No space left on device/);
      await sh(`rm ${SMALL}/.filler`, "root");
      assert.equal(await leftovers(SMALL), "");
      await sh(`umount ${SMALL}`, "root");
      await configure();
    });

    it("is backed up, verified and restored", async () => {
      const megabytes = Number(await sql("SELECT pg_database_size('hockey_db') / 1048576"));
      assert.ok(megabytes >= 200, `${megabytes} MB`);
      const watch = `while [[ ! -e /tmp/done ]]; do
        echo "$(($(du -sm ${BACKUPS} | cut -f 1))) $(docker exec training_bot_db_verify df --output=used -m /var/lib/postgresql/data 2>/dev/null | grep -E "^ *[0-9]+$")"; sleep 0.2; done`;
      await sh(`rm -f /tmp/done; nohup bash -c '${watch}' >/tmp/usage 2>/dev/null &`);
      const { output } = await attempt(`time ${BACKUP}`);
      const usage = await sh(
        "touch /tmp/done; sort -n /tmp/usage | awk '{ if ($1 > a) a = $1; if ($2 > b) b = $2 } END { print a, b }'",
      );
      const restored = await attempt(`time ${restore("latest")} --yes --no-safety-dump`);
      assert.equal(restored.status, 0, restored.output);
      console.log(`      ${megabytes} MB database; peak in MB (backups, throwaway's memory): ${usage}`);
      for (const text of [output, restored.output]) {
        console.log(text.replace(/^/gm, "      | "));
      }
      assert.match(output, /found the same/);
      assert.equal(await sql("SELECT count(*) FROM big"), "1350000");
      await sql("DROP TABLE big");
      await sh(`${RESTORE_DB} drop-old --yes`);
    });
  });

  describe("the schedule", () => {
    const install = (schedule: string) => sh(cron("install", schedule));

    it("is one block in the crontab, put there and taken away without touching the rest", async () => {
      await sh("echo '1 2 3 4 * echo mine' | crontab -");
      assert.match(await install("0 6 * * *"), /backups at 0 6 \* \* \*, Etc\/UTC/);
      await install("30 5 * * *");
      const before = await sh("crontab -l; stat -c %Y /var/spool/cron/crontabs/deploy 2>/dev/null || true");
      await install("30 5 * * *");
      assert.equal(
        await sh("crontab -l; stat -c %Y /var/spool/cron/crontabs/deploy 2>/dev/null || true"),
        before,
      );
      assert.equal(before.match(/bin\/backup-db\.sh/g)?.length, 2);
      assert.match(before, /^30 5 \* \* \* .*backup-db\.sh .*--log /m);
      // Another bot's stack on the same server has a block of its own.
      const other = `${HOME}-other`;
      await sh(
        `mkdir -p ${other}/backups; sed 's#${HOME}/#${other}/#' ${SETTINGS} >${other}/backups/settings`,
      );
      await sh(cron("install", "0 3 * * *", other));
      assert.equal((await sh("crontab -l")).match(/# BEGIN backups of /g)?.length, 2);
      await sh(`${cron("remove", "", other)}; rm -r ${other}`);
      assert.equal(await sh("crontab -l"), before.replace(/\n\d+$/, ""));
      await sh(cron("remove"));
      assert.equal(await sh("crontab -l"), "1 2 3 4 * echo mine");
    });

    it("catches up only when the newest verified backup is old, and turns its log over", async () => {
      await clear();
      await backup();
      await sh(`${BACKUP} --if-older-than 25`);
      assert.equal((await files()).length, 1);
      await sh(
        `cd ${BACKUPS} && rm -f * ${HOME}/backup.log; umask 077; head -c 1100000 /dev/zero >${HOME}/backup.log`,
      );
      await sh(`${BACKUP} --log ${HOME}/backup.log --if-older-than 25`);
      assert.equal((await files()).length, 1);
      assert.match(await sh(`cat ${HOME}/backup.log`), /^== 20\S+Z\ndumped hockey_db/);
      assert.equal(await sh(`stat -c '%a %s' ${HOME}/backup.log.1`), "600 1100000");
    });

    it("really runs", async () => {
      await clear();
      await sh("systemctl is-active cron || systemctl start cron", "root");
      await install("* * * * *");
      await verifiedWithin(80_000);
      await sh(cron("remove"));
    });
  });
});
