import assert from "node:assert/strict";
import { createServer, type Server as HttpServer } from "node:http";
import { serverExec } from "../../sandbox/server.ts";
import {
  BACKUP,
  BackupDriver,
  BACKUPS,
  cron,
  HOME,
  type Line,
  restore,
  RESTORE_DB,
  SETTINGS,
} from "./backup-driver.ts";
import { eventually } from "./eventually.ts";
import { createWorld, up, type World } from "./world.ts";

/** Milliseconds. */
const DAY = 86_400_000;

describe("backups", function () {
  this.timeout(300_000);
  let world: World;
  let bot: BackupDriver;

  before(async () => {
    world = await createWorld("backup");
    bot = new BackupDriver(world);
    await up(world);
    await bot.fill();
  });

  after(() => world.close());

  beforeEach(async () => {
    await bot.clear();
    await bot.settle();
  });

  afterEach("leaves nothing in /tmp, however a script has ended", async () => {
    await eventually(
      async () => (await bot.sh("ls -d /tmp/tmp.* 2>/dev/null || true")) === "",
      "an empty /tmp",
    );
  });

  describe("a backup", () => {
    it("is verified while the bot goes on writing, closed to others, and shows no secret", async () => {
      await bot.sh(`nohup bash -c 'while [[ ! -e /tmp/enough ]]; do docker exec training_bot_db psql -qU hockey hockey_db -c \
        "INSERT INTO games (player) SELECT 1 FROM generate_series(1, 50)"; done' >/dev/null 2>&1 &
        nohup bash -c 'while [[ ! -e /tmp/enough ]]; do cat /proc/[0-9]*/cmdline; done 2>/dev/null | tr "\\0" "\\n" | sort -u >/tmp/ps' >/dev/null 2>&1 &`);
      const said = await bot.sh(`${BACKUP} --json --log ${HOME}/backup.log`);
      await bot.sh("touch /tmp/enough");
      assert.equal(said, "", "with --log nothing goes to standard output");
      const manifest = JSON.parse(await bot.sh(`cat ${BACKUPS}/manifest.jsonl`)) as Line;
      assert.equal(manifest.verified, true);
      assert.equal(manifest.contents.rows["public.players"], 1000);
      assert.ok((manifest.contents.rows["public.games"] ?? 0) >= 500);
      assert.ok(
        Number(await bot.sql("SELECT count(*) FROM games")) > (manifest.contents.rows["public.games"] ?? 0),
      );
      assert.equal(manifest.contents.objects.v, 1);
      assert.match(manifest.file, /^hockey_db_\d{4}-\d\d-\d\d_\d{6}\.sql\.gz$/);
      assert.match(await bot.sh(`cd ${BACKUPS} && sha256sum -c *.sha256`), /: OK$/);
      assert.equal(await bot.sh(`find ${BACKUPS} ${HOME}/backup.log -perm /077`), "");
      assert.equal(await bot.sh("docker ps -aq --filter name=_verify"), "");
      const seen = await bot.sh(`until [[ -s /tmp/ps ]]; do sleep 0.1; done; cat /tmp/ps`);
      assert.match(seen, /pg_dump/);
      const everything = `${seen}\n${await bot.sh(`cat ${HOME}/backup.log; zcat ${BACKUPS}/*.gz`)}`;
      assert.ok(!everything.includes(world.secrets.postgresPassword ?? assert.fail()));
    });

    it("holds exactly the rows that are there", async () => {
      await bot.fill();
      const { file, contents } = await bot.backup();
      assert.equal(contents.rows["public.games"], 500);
      assert.equal(contents.rows["public.players"], 1000);
      const text = await bot.sh(`zcat ${BACKUPS}/${file}`);
      assert.equal((text.match(/^\d+\tplayer \d+$/gm) ?? []).length, 1000);
    });

    it("is made one at a time", async () => {
      const second = await bot.attempt(`${BACKUP} & pid=$!
        until [[ -e ${BACKUPS}/.partial ]] || ! kill -0 $pid; do :; done
        ${BACKUP}; echo "second: $?"; wait $pid`);
      assert.equal(second.status, 0, second.output);
      assert.match(second.output, /^Another backup, restore or upgrade is running/m);
      assert.match(second.output, /^second: 75$/m);
    });

    it("is refused where there is nothing to back up", async () => {
      // It would not let go of its database.
      await bot.sh("docker stop training_bot");
      await bot.sql("CREATE DATABASE spare", "postgres");
      await bot.sql("ALTER DATABASE hockey_db RENAME TO kept", "postgres");
      await bot.sql("ALTER DATABASE spare RENAME TO hockey_db", "postgres");
      const { status, output } = await bot.attempt(`${BACKUP} --json`);
      await bot.sql("DROP DATABASE hockey_db", "postgres");
      await bot.sql("ALTER DATABASE kept RENAME TO hockey_db", "postgres");
      await bot.sh("docker start training_bot");
      assert.equal(status, 1);
      assert.match(output, /^The database hockey_db has no tables/m);
      assert.match(output, /^\{"error":"The database hockey_db has no tables/m);
      assert.deepEqual(await bot.files(), []);
    });

    it("is not called verified when a row is missing in the dump", async () => {
      // Between PostgreSQL and the file a row is lost: what no check of the file alone can tell.
      const lossy = `#!/bin/bash
        if [[ "$*" != *pg_dump* ]]; then exec /usr/bin/docker "$@"; fi
        set -o pipefail
        /usr/bin/docker "$@" | grep -vP "^500\\t500\\t"`;
      await bot.put("/tmp/lossy/docker", lossy, "755");
      const { status, output } = await bot.attempt(`PATH=/tmp/lossy:$PATH ${BACKUP}`);
      assert.equal(status, 1);
      assert.match(output, /differs: < .*"public\.games" : 500.* > .*"public\.games" : 499/);
      assert.match(await bot.sh(`tail -n 1 ${BACKUPS}/manifest.jsonl`), /"verified":false/);
    });

    it("is not called verified when it does not restore the same", async () => {
      // Random answers stand for a restore that went wrong: the script must tell, keep it and delete nothing.
      await bot.settle({ query: "SELECT random()", retentionDays: 1, keepAtLeast: 1 });
      await bot.sh(`echo old >${BACKUPS}/hockey_db_2020-01-01_060000.sql.gz`);
      const { status, output } = await bot.attempt(BACKUP);
      await bot.settle({
        query: "SELECT count(*), max(name) FROM players WHERE name LIKE '%1\\_%' OR name = '\\'",
      });
      assert.equal(status, 1);
      assert.match(output, /is not good: restored, it answers `backups.query` differently/);
      assert.equal((await bot.files()).length, 2);
      assert.match(await bot.sh(`${RESTORE_DB} list`), /hockey_db_20[^\n]* no$/m);
      assert.equal((await bot.backup()).verified, true);
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
      await bot.sh(
        `cd ${BACKUPS} && touch ${names.join(" ")} ${names.map((name) => `${name}.sha256`).join(" ")}`,
      );
      await serverExec(world.server, ["bash", "-c", `cat >>${BACKUPS}/manifest.jsonl`], {
        user: "deploy",
        input,
      });
    }

    it("keeps 30 days of 40", async () => {
      await age(1, 40);
      await bot.backup();
      const left = await bot.files();
      assert.ok(left.length === 30 || left.length === 31, String(left.length));
      assert.equal(Number(await bot.sh(`ls ${BACKUPS}/*.sha256 | wc -l`)), left.length);
    });

    it("never goes below keepAtLeast verified ones, however old", async () => {
      await age(50, 70);
      await bot.backup();
      assert.equal((await bot.files()).length, 7);
    });

    it("takes a damaged manifest for less, deletes nothing for it, and goes on writing it", async () => {
      await age(50, 70);
      await bot.sh(
        `head -c 300 ${BACKUPS}/manifest.jsonl >/tmp/cut; head -c 500 /dev/urandom >>/tmp/cut; mv /tmp/cut ${BACKUPS}/manifest.jsonl`,
      );
      await bot.backup();
      assert.equal((await bot.files()).length, 22);
      assert.equal((JSON.parse(await bot.sh(`tail -n 1 ${BACKUPS}/manifest.jsonl`)) as Line).verified, true);
      assert.match(
        await bot.sh(`${RESTORE_DB} list --json`),
        /^\[\{"file":"hockey_db_[^}]*"verified":true\}/,
      );
      const before = await bot.players();
      await bot.sh(`${restore("latest")} --yes --no-safety-dump`);
      assert.equal(await bot.players(), before);
    });
  });

  describe("elsewhere", () => {
    let listener: HttpServer;
    const pings: string[] = [];

    before(async () => {
      listener = createServer((request, response) => {
        request.resume();
        pings.push(request.url ?? "");
        response.end();
      });
      await new Promise<void>((resolve) => listener.listen(0, world.server.gateway, resolve));
    });

    after(() => {
      listener.close();
    });

    it("a copy is encrypted for the holder of the key, and the ping URL is told", async () => {
      const address = listener.address();
      assert.ok(typeof address === "object" && address);
      const pingUrl = `http://${world.server.gateway}:${address.port}/check`;
      const recipient = await bot.sh("age-keygen -o /tmp/identity 2>/dev/null; age-keygen -y /tmp/identity");
      await bot.settle({ remote: "/home/deploy/offsite", recipient, pingUrl });
      const { file, sha256 } = await bot.backup();
      assert.equal(await bot.sh("ls /home/deploy/offsite"), `${file}.age`);
      assert.ok(
        (await bot.sh(`age -d -i /tmp/identity /home/deploy/offsite/${file}.age | sha256sum`)).startsWith(
          sha256,
        ),
      );

      await bot.settle({ remote: "nowhere:x", pingUrl });
      const { status, output } = await bot.attempt(BACKUP);
      assert.equal(status, 1);
      assert.match(output, /verified, but could not be copied to nowhere:x/);
      assert.deepEqual(pings, ["/check", "/check/fail"]);
    });
  });

  describe("the schedule", () => {
    const install = (schedule: string) => bot.sh(cron("install", schedule));

    it("is one block in the crontab, put there and taken away without touching the rest", async () => {
      await bot.sh("echo '1 2 3 4 * echo mine' | crontab -");
      assert.match(await install("0 6 * * *"), /backups at 0 6 \* \* \*, Etc\/UTC/);
      await install("30 5 * * *");
      const before = await bot.sh(
        "crontab -l; stat -c %Y /var/spool/cron/crontabs/deploy 2>/dev/null || true",
      );
      await install("30 5 * * *");
      assert.equal(
        await bot.sh("crontab -l; stat -c %Y /var/spool/cron/crontabs/deploy 2>/dev/null || true"),
        before,
      );
      assert.equal(before.match(/bin\/backup-db\.sh/g)?.length, 2);
      assert.match(before, /^30 5 \* \* \* .*backup-db\.sh .*--log /m);
      // Another bot's stack on the same server has a block of its own.
      const other = `${HOME}-other`;
      await bot.sh(
        `mkdir -p ${other}/backups; sed 's#${HOME}/#${other}/#' ${SETTINGS} >${other}/backups/settings`,
      );
      await bot.sh(cron("install", "0 3 * * *", other));
      assert.equal((await bot.sh("crontab -l")).match(/# BEGIN backups of /g)?.length, 2);
      await bot.sh(`${cron("remove", "", other)}; rm -r ${other}`);
      assert.equal(await bot.sh("crontab -l"), before.replace(/\n\d+$/, ""));
      await bot.sh(cron("remove"));
      assert.equal(await bot.sh("crontab -l"), "1 2 3 4 * echo mine");
    });

    it("catches up only when the newest verified backup is old, and turns its log over", async () => {
      await bot.backup();
      await bot.sh(`${BACKUP} --if-older-than 25`);
      assert.equal((await bot.files()).length, 1);
      await bot.sh(
        `cd ${BACKUPS} && rm -f * ${HOME}/backup.log; umask 077; head -c 1100000 /dev/zero >${HOME}/backup.log`,
      );
      await bot.sh(`${BACKUP} --log ${HOME}/backup.log --if-older-than 25`);
      assert.equal((await bot.files()).length, 1);
      assert.match(await bot.sh(`cat ${HOME}/backup.log`), /^== 20\S+Z\ndumped hockey_db/);
      assert.equal(await bot.sh(`stat -c '%a %s' ${HOME}/backup.log.1`), "600 1100000");
    });

    it("makes a backup with the line that cron is given", async () => {
      await install("0 6 * * *");
      const daily = /^0 6 \* \* \* (.*)$/m.exec(await bot.sh("crontab -l"))?.[1] ?? assert.fail();
      const asCron = ["env", "-i", "HOME=/home/deploy", "LOGNAME=deploy", "PATH=/usr/bin:/bin", "sh", "-c"];
      await serverExec(world.server, [...asCron, daily], { user: "deploy" });
      await bot.untilVerified(1);
    });

    it("really runs", async () => {
      await bot.sh("systemctl is-active cron || systemctl start cron", "root");
      await install("* * * * *");
      await bot.untilVerified(80);
      await bot.sh(cron("remove"));
    });
  });
});
