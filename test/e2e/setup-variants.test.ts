import assert from "node:assert/strict";
import type { ThrowawayServer } from "../../sandbox/server.ts";
import {
  address,
  attempt,
  bareServer,
  cleanUp,
  hasWayIn,
  IMAGE,
  install,
  killWhen,
  LISTEN,
  operator,
  passwordLogin,
  PASSWORD,
  prepare,
  setUp,
  setUpAgain,
  sh,
  ssh,
  steps,
  UNPACKS,
} from "./setup.ts";

// Where a test changes sshd by hand, it restarts it: systemd then waits until sshd listens again, as it does not after a
// reload.
describe("scripts/setup-server.sh, every variant @slow", function () {
  this.timeout(300_000);
  before(prepare);
  after(cleanUp);

  describe("on a server that was configured by hand", () => {
    let server: ThrowawayServer;
    let container: string;
    before(async () => {
      server = await bareServer("setup-hand");
      await sh(
        server,
        `useradd --uid 1500 --create-home --shell /bin/bash deploy
         install -d -m 755 -o deploy /home/deploy/.ssh
         echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjoLx1OSloxGNgkV37iiIUVp5ayj0UhsxUaCwH/E0kD colleague' >/home/deploy/.ssh/authorized_keys
         printf 'root:${PASSWORD}\\ndeploy:${PASSWORD}\\n' | chpasswd
         printf 'PasswordAuthentication yes\\nPermitRootLogin yes\\nMaxSessions 2\\n' >/etc/ssh/sshd_config.d/50-cloud-init.conf
         rm /etc/ssh/sshd_config.d/throwaway.conf
         systemctl restart ssh
         mkdir /etc/docker
         echo '{"debug": true, "log-driver": "json-file", "labels": ["rack=7"]}' >/etc/docker/daemon.json
         apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install docker.io ufw
         ufw limit 22/tcp; ufw limit OpenSSH; ufw allow 9999/tcp; ufw --force enable`,
      );
      container = await sh(server, `${IMAGE}; docker run -d ${LISTEN}`);
    });
    const startedAt = () =>
      sh(server, `docker inspect --format '{{.State.StartedAt}} {{.State.Running}}' ${container}`);

    it("refuses a daemon.json that is not JSON, and leaves it and the logins alone", async () => {
      await sh(
        server,
        "cp -p /etc/docker/daemon.json /tmp/d; echo '{ \"debug\": true,' >/etc/docker/daemon.json",
      );
      const outcome = await setUp(server);
      assert.equal(outcome.status, 1);
      assert.match(outcome.stderr, /^setup-server: \/etc\/docker\/daemon\.json is not valid JSON[^\n]*$/);
      assert.equal(await sh(server, "cat /etc/docker/daemon.json"), '{ "debug": true,');
      await sh(server, "cp -p /tmp/d /etc/docker/daemon.json");
    });

    it("keeps passwords while the key is not proved to work", async () => {
      await sh(server, "echo 'DenyUsers deploy' >/etc/ssh/sshd_config.d/60-deny.conf; systemctl restart ssh");
      const outcome = await setUp(server);
      assert.equal(outcome.status, 1);
      assert.match(
        outcome.stderr,
        /^setup-server: deploy cannot log in with a key[^\n]*passwords and root stay as they are[^\n]*$/,
      );
      assert.equal((await passwordLogin(server, "root")).stdout, "root");
      await sh(server, "rm /etc/ssh/sshd_config.d/60-deny.conf; systemctl restart ssh");
    });

    it("puts sshd back where another file overrides it", async () => {
      await sh(
        server,
        "printf 'Match User root\\n  PermitRootLogin yes\\n' >/etc/ssh/sshd_config.d/70-match.conf",
      );
      const outcome = await setUp(server);
      assert.equal(outcome.status, 1);
      assert.match(
        outcome.stderr,
        /sshd is as it was before, because [^\n]*overrides "permitrootlogin no for root"/,
      );
      assert.equal(await sh(server, "ls /etc/ssh/sshd_config.d"), "50-cloud-init.conf\n70-match.conf");
      assert.equal((await passwordLogin(server, "root")).stdout, "root");
      await sh(server, "rm /etc/ssh/sshd_config.d/70-match.conf");
    });

    describe("once it is set up", () => {
      let started: string;
      before(async () => {
        assert.equal((await passwordLogin(server, "deploy")).stdout, "deploy", "the password works before");
        started = await startedAt();
        const outcome = await setUp(server);
        assert.equal(outcome.status, 0, outcome.stderr);
      });

      it("keeps what is not its own", async () => {
        assert.deepEqual(JSON.parse(await sh(server, "cat /etc/docker/daemon.json")), {
          debug: true,
          labels: ["rack=7"],
          "log-driver": "local",
          "log-opts": { "max-size": "10m", "max-file": "5" },
          "live-restore": true,
        });
        assert.equal(await startedAt(), started, "the container lived on while Docker was restarted");
        assert.match(started, / true$/);
        assert.equal(
          await sh(server, "id -u deploy; grep -c colleague /home/deploy/.ssh/authorized_keys"),
          "1500\n1",
        );
        const rules = await sh(server, "ufw show added");
        assert.match(rules, /ufw allow 9999\/tcp/);
        assert.doesNotMatch(rules, /limit/);
        assert.deepEqual(steps(await setUpAgain(server), "changed"), []);
      });

      it("refuses an attacker who knows the passwords", async () => {
        for (const user of ["root", "deploy"]) {
          const { status, stderr } = await passwordLogin(server, user);
          assert.equal(status, 255);
          assert.match(stderr, /Permission denied \(publickey\)/);
        }
      });

      it("moves sshd to another port and stays reachable", async () => {
        assert.equal((await setUpAgain(server, ["--ssh-port", "2222"])).status, 0);
        assert.match(await sh(server, "ss -ltnH"), /0\.0\.0\.0:2222 /);
        const moved = { ...server, host: await address(server), port: 2222 } as ThrowawayServer;
        const outcome = await setUpAgain(moved);
        assert.deepEqual(steps(outcome, "changed"), [], outcome.stderr);
        assert.match(outcome.stdout, /pulumi config set --path server\.port 2222\n/);
        assert.equal((await setUpAgain(moved, ["--ssh-port", "22"])).status, 0);
        assert.equal((await setUpAgain(server, ["--check"])).status, 0);
      });
    });
  });

  describe("killed in the middle", () => {
    let server: ThrowawayServer;
    before(async () => {
      server = await bareServer("setup-killed");
      await install(server);
    });

    // One server and one test: each run goes on from where the one before was killed.
    it("leaves a way in at every stage, and completes when it is run again", async () => {
      for (const [when, line] of [
        ["dpkg unpacks", UNPACKS],
        ["dpkg sets up", "grep -q '^Setting up docker' /var/log/setup-server.log"],
        ["daemon.json is written, Docker not yet restarted", "[[ -e /etc/docker/daemon.json ]]"],
        ["the firewall has its first rules", "grep -q '^Rules updated' /var/log/setup-server.log"],
        ["the key is being proved", "[[ -e /run/setup-server/key.pub ]]"],
        ["sshd's file is written", "[[ -e /etc/ssh/sshd_config.d/00-setup-server.conf ]]"],
      ] as const) {
        await killWhen(server, line);
        assert.ok(await hasWayIn(server), `no way in after a kill when ${when}`);
      }

      const outcome = await attempt("docker", [
        "exec",
        "throwaway-setup-killed",
        "bash",
        "/root/setup-server.sh",
        "--key-file",
        "/root/key.pub",
      ]);
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.deepEqual(steps(await setUpAgain(server, ["--check"]), "would change"), []);
      assert.equal(
        await sh(
          server,
          "dpkg --audit; grep -c . /home/deploy/.ssh/authorized_keys; ls /var/lib/setup-server",
        ),
        "1",
      );
      const info = await ssh(server, "deploy", operator.deployKey, [
        "docker info --format '{{.LoggingDriver}} {{.LiveRestoreEnabled}}'",
      ]);
      assert.equal(info.stdout, "local true");
    });
  });
});
