import assert from "node:assert/strict";
import { createServer, type Server as HttpServer } from "node:http";
import { serverExec } from "../../sandbox/server.ts";
import {
  BACKUP,
  BACKUPS,
  bot,
  cron,
  type Line,
  restore,
  RESTORE_DB,
  withBackups,
  withCleanTests,
  world,
} from "./backup-driver.ts";
import { HOME, SETTINGS } from "./bot-driver.ts";

/** Milliseconds. */
const DAY = 86_400_000;

describe("backups that are kept", function () {
  withBackups(this, "backup-kept");
  withCleanTests(this);

  describe("retention", () => {
    /** Verified backups, one a day, of the last days. */
    async function age(from: number, to: number, purpose = "", step = DAY): Promise<void> {
      const names = Array.from({ length: (to - from) * (DAY / step) + 1 }, (_, index) => {
        const stamp = new Date(Date.now() - from * DAY - index * step).toISOString();
        return `hockey_db_${stamp.slice(0, 10)}_${stamp.slice(11, 19).replaceAll(":", "")}.sql.gz`;
      });
      const input = names
        .map((file) => `{"file":"${file}","verified":true,${purpose}"contents":{}}\n`)
        .join("");
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

    it("keeps those from before releases for three days and five whatever their age, and counts none of them as others", async () => {
      const release = '"for":"release",';
      // Seven daily ones, too old to be kept for their age, and a release every four hours since.
      await age(40, 46);
      await age(1, 8, release, DAY / 6);
      await bot.backup();
      const left = (await bot.lines()).map(({ file }) => file);
      const files = await bot.files();
      assert.equal(left.filter((file) => files.includes(file)).length, files.length);
      // The newest verified ones: the one just made and six old ones; two days of releases.
      assert.equal(files.length, 7 + 12, files.join("\n"));

      await bot.clear();
      await age(10, 12, release, DAY / 6);
      await bot.backup();
      assert.equal((await bot.files()).length, 1 + 5);
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

      assert.match((await bot.lines())[0]?.copied ?? "", /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.equal(await bot.sh(`${BACKUP} --copy 2>&1`), "", "there is nothing to do");

      await bot.settle({ remote: "nowhere:x", pingUrl });
      const { status, output } = await bot.attempt(BACKUP);
      assert.equal(status, 1);
      assert.match(output, /verified, but could not be copied to nowhere:x/);
      assert.deepEqual(pings, ["/check", "/check/fail"]);
    });

    describe("a copy that cannot be made", () => {
      const path = "PATH=/tmp/fake:$PATH";
      const calls = async () => (await bot.sh("cat /tmp/fake/calls")).split("\n");
      const old = "hockey_db_2020-01-01_060000.sql.gz";

      /** An rclone that notes what it is to copy. */
      const putRclone = (end: string) =>
        bot.put("/tmp/fake/rclone", `#!/bin/bash\nbasename "\${@: -1}" >>/tmp/fake/calls\n${end}`, "755");

      beforeEach(async () => {
        await bot.settle({ remote: "offsite:hockey", keepAtLeast: 1 });
        await putRclone("echo 'no route to host' >&2; exit 1");
        await bot.sh("rm -f /tmp/fake/calls");
      });

      it("is said in a sentence once all is done that needs no other machine, and made up for", async () => {
        await bot.sh(`echo x >${BACKUPS}/${old}`);
        const first = await bot.attempt(`${path} ${BACKUP}`);
        assert.equal(first.status, 1);
        assert.match(
          first.output,
          /verified, but could not be copied to offsite:hockey \(no route to host\)/,
        );
        assert.ok(!(await bot.files()).includes(old), "retention comes first");
        const second = await bot.attempt(`${path} ${BACKUP} --json`);
        assert.equal(second.status, 1);
        const [earlier, later] = await bot.files();
        assert.deepEqual(await calls(), [earlier, later], "the newest first, and then no other");
        for (const line of await bot.lines()) {
          assert.deepEqual([line.verified, line.copy, line.copied], [true, "wanted", undefined]);
        }
        const listed = await bot.sh(`${RESTORE_DB} list; ${RESTORE_DB} list --json`);
        assert.match(listed, /BYTES {2}COPIED {16}VERIFIED\n.* no {20}yes\n/);
        assert.match(listed, /"copied":null,"verified":true/);

        await putRclone("exit 0");
        assert.match(
          await bot.sh(`${path} ${BACKUP} --copy 2>&1`),
          /^(copied hockey_db_\S+ to offsite:hockey\n?){2}$/,
        );
        assert.deepEqual((await calls()).slice(2), [later, earlier], "the newest first");
        assert.ok((await bot.lines()).every(({ copied }) => copied !== undefined));
        assert.match(await bot.sh(`${RESTORE_DB} list`), / 20\S+T\S+Z {2}yes\n/);
        assert.equal(await bot.sh(`${path} ${BACKUP} --copy 2>&1`), "");
        assert.equal((await calls()).length, 4);
        assert.equal((await bot.files()).length, 2);
      });

      it("is made up for by the next backup", async () => {
        await bot.attempt(`${path} ${BACKUP}`);
        await putRclone("exit 0");
        await bot.sh(`${path} ${BACKUP}`);
        const [earlier, later] = await bot.files();
        assert.deepEqual(await calls(), [earlier, later, earlier]);
      });

      it("holds up no other backup", async () => {
        await putRclone("until [[ -e /tmp/fake/go ]]; do sleep 0.1; done");
        const both = await bot.attempt(`rm -f /tmp/fake/go; ${path} ${BACKUP} & pid=$!
          until [[ -e /tmp/fake/calls ]] || ! kill -0 $pid; do sleep 0.1; done
          ${path} ${BACKUP}; echo "second: $?"; touch /tmp/fake/go; wait $pid`);
        assert.equal(both.status, 0, both.output);
        assert.match(both.output, /^second: 0$/m);
        assert.ok(
          (await bot.lines()).every(({ copied }) => copied !== undefined),
          "the first copies both",
        );
      });
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
      assert.equal(before.match(/bin\/backup-db\.sh/g)?.length, 3);
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
      await bot.sh("systemctl start cron", "root");
      await install("* * * * *");
      await bot.untilVerified(80);
      await bot.sh(cron("remove"));
    });
  });
});
