import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { rebootServer, type ThrowawayServer } from "../../sandbox/server.ts";
import { eventually } from "./eventually.ts";
import {
  address,
  attempt,
  bareServer,
  CHANGING,
  cleanUp,
  fingerprint,
  hasWayIn,
  IMAGE,
  install,
  killWhen,
  LISTEN,
  operator,
  type Outcome,
  prepare,
  says,
  setUp,
  setUpAgain,
  sh,
  ssh,
  steps,
  UNPACKS,
} from "./setup.ts";

describe("scripts/setup-server.sh", function () {
  this.timeout(300_000);
  before(prepare);
  after(cleanUp);

  describe("on a bare Debian", () => {
    let server: ThrowawayServer;
    before(async () => {
      server = await bareServer("setup-bare");
    });

    /** Every file that set-up could change, with its time; not the caches that apt renews when it is asked. */
    const files = (from: ThrowawayServer) =>
      sh(
        from,
        "find /etc /home /var -path /var/lib/systemd -prune -o -path '/var/cache/apt/*.bin' -prune -o -type f -printf '%p %T@\\n' | grep -v journal | sort",
      );

    /** Exit status 2, one sentence that says it, and not a file touched. */
    async function refused(what: Promise<Outcome>, sentence: RegExp): Promise<void> {
      const { status, stdout, stderr } = await what;
      assert.match(stderr, sentence);
      assert.equal(stderr.split("\n").length, 1, stderr);
      assert.deepEqual({ status, stdout }, { status: 2, stdout: "" });
    }

    it("refuses what it cannot use, and changes nothing", async () => {
      const before = await files(server);
      await refused(setUp(server, [], ""), /deploy has no key on this server yet/);
      await refused(setUp(server, [], "ssh-ed25519 AAAA nonsense\n"), /not one public key/);
      await refused(setUp(server, [], await readFile(operator.deployKey, "utf8")), /that is a private key/);
      await refused(setUp(server, ["--user", "root"]), /--user root cannot be/);
      await refused(setUp(server, ["--ports", "'80 70000'"]), /"70000", which is not a port/);
      await refused(setUp(server, ["--frobnicate"]), /--frobnicate is not an option/);
      await refused(setUp(server, ["--docker-repository"]), /download\.docker\.com, cannot be reached/);
      const asOrdinaryUser = ["exec", "-i", "--user", "www-data", "throwaway-setup-bare", "bash", "-s"];
      await refused(
        attempt("docker", asOrdinaryUser, { input: operator.script + operator.publicKey }),
        /must run as root/,
      );
      assert.equal(await files(server), before);
    });

    it("refuses another distribution", async () => {
      await sh(
        server,
        "printf 'ID=fedora\\nVERSION_ID=43\\n' >/tmp/os; mount --bind /tmp/os /usr/lib/os-release",
      );
      try {
        await refused(setUp(server), /this is fedora 43, and only Debian 12 or 13/);
      } finally {
        await sh(server, "umount /usr/lib/os-release");
      }
    });

    it("says that swap is not its own to make where memory is small in a container", async () => {
      await sh(
        server,
        "sed 's/^MemTotal:.*/MemTotal: 1000000 kB/' /proc/meminfo >/tmp/meminfo; mount --bind /tmp/meminfo /proc/meminfo",
      );
      try {
        const outcome = await setUp(server, ["--check"]);
        assert.match(outcome.stdout, /^skipped +swap +976 MB of memory is little, but in a container/m);
      } finally {
        await sh(server, "umount /proc/meminfo");
      }
    });

    it("says beforehand what would change, and changes none of it", async () => {
      const before = await files(server);
      const outcome = await setUp(server, ["--check"]);
      assert.equal(outcome.status, 1, outcome.stderr);
      for (const step of CHANGING) assert.ok(steps(outcome, "would change").includes(step), outcome.stdout);
      assert.match(outcome.stdout, /nothing was changed/);
      const after = await files(server);
      assert.equal(after, before);
      const weak = await ssh(server, "root", server.privateKeyFile, ["id", "-un"], {
        ssh: ["-c", "aes128-ctr", "-m", "hmac-sha1"],
      });
      assert.equal(weak.stdout, "root", "before the set-up this server takes weak MACs and root");
    });

    it("leaves a way in when it is killed while dpkg unpacks", async () => {
      await install(server);
      await killWhen(server, UNPACKS);
      assert.ok(await hasWayIn(server));
    });

    describe("once it is set up", () => {
      let outcome: Outcome;

      before(async () => {
        outcome = await setUp(server);
        assert.equal(outcome.status, 0, outcome.stderr);
      });

      it("says what it did and what to type next", async () => {
        for (const step of CHANGING) assert.ok(steps(outcome, "changed").includes(step), outcome.stdout);
        assert.ok(outcome.stdout.endsWith(`  pulumi config set --path server.hostKey "${server.hostKey}"`));
        assert.equal(outcome.stderr, "");
        assert.equal(
          await sh(
            server,
            "stat -c '%U %a %n' /home/deploy/hockey /home/deploy/backups /home/deploy/.ssh/authorized_keys",
          ),
          "deploy 755 /home/deploy/hockey\ndeploy 700 /home/deploy/backups\ndeploy 600 /home/deploy/.ssh/authorized_keys",
        );
        // The throw-away key of the proof is gone.
        assert.equal(
          await sh(
            server,
            "cat /home/deploy/.ssh/authorized_keys; find /run/setup-server /var/lib/setup-server -type f 2>/dev/null || true",
          ),
          `${operator.publicKey.split(" ").slice(0, 2).join(" ")} deploy`,
        );
        assert.match(
          await sh(server, "unattended-upgrade --dry-run -v 2>&1"),
          /Initial blacklist: docker containerd runc/,
        );
      });

      it("changes nothing the second time, and says so", async () => {
        const before = await fingerprint(server);
        for (const args of [[], ["--check"]]) {
          const outcome = await setUpAgain(server, args);
          assert.equal(outcome.status, 0, outcome.stderr);
          assert.deepEqual([...steps(outcome, "changed"), ...steps(outcome, "would change")], []);
          assert.match(outcome.stdout, /nothing was changed/);
        }
        assert.equal(await fingerprint(server), before);
      });

      it("says in --check what was changed by hand since", async () => {
        await sh(
          server,
          "sed -i s/no$/yes/ /etc/ssh/sshd_config.d/00-setup-server.conf; ufw delete allow 443/tcp",
        );
        const outcome = await setUpAgain(server, ["--check"]);
        assert.deepEqual(steps(outcome, "would change"), ["firewall", "sshd"]);
        assert.equal(outcome.status, 1);
        assert.deepEqual(steps(await setUpAgain(server), "changed"), ["firewall", "sshd"]);
      });

      it("leaves the stack a server it can take over: Docker over SSH, 25 connections at once", async () => {
        const answers = await Promise.all(
          Array.from({ length: 25 }, () =>
            ssh(server, "deploy", operator.deployKey, ["docker", "version", "--format", "{{.Server.Os}}"]),
          ),
        );
        assert.deepEqual(
          new Set(answers.map(({ status, stdout, stderr }) => `${status} ${stdout}${stderr}`)),
          new Set(["0 linux"]),
        );
        const info = await ssh(server, "deploy", operator.deployKey, [
          "docker info --format '{{.LoggingDriver}} {{.LiveRestoreEnabled}}'",
        ]);
        assert.equal(info.stdout, "local true");
      });

      it("lets in only the ports that are wanted, also past ufw and after a reboot", async () => {
        await sh(server, `${IMAGE}; docker run -d --restart always -p 5000:5000 -p 8080:5000 ${LISTEN}`);
        for (const when of ["at once", "after a reboot"]) {
          if (when !== "at once") await rebootServer(server);
          // Docker's proxy accepts connections before the program in the container does.
          const local = () => sh(server, "exec 3<>/dev/tcp/127.0.0.1/8080; cat <&3");
          await eventually(async () => (await local()) === "hello", `8080 serves ${when}`);
          const host = await address(server);
          assert.equal(await says(host, 5000), "hello", `5000 ${when}`);
          assert.equal(await says(host, 8080), "closed", `8080 ${when}`);
        }
      });

      it("refuses an attacker: root, and weak algorithms", async () => {
        const root = await ssh(server, "root", server.privateKeyFile, ["id"]);
        assert.match(root.stderr, /Permission denied \(publickey\)/);
        for (const options of [
          ["-c", "aes128-cbc"],
          ["-c", "aes128-ctr", "-m", "hmac-sha1"],
          ["-o", "KexAlgorithms=diffie-hellman-group14-sha1"],
        ]) {
          const weak = await ssh(server, "deploy", operator.deployKey, ["id"], {
            ssh: ["-o", "LogLevel=INFO", ...options],
          });
          assert.match(weak.stderr, /Unable to negotiate/, options.join(" "));
        }
      });
    });
  });
});
