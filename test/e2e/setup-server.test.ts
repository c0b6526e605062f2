import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { run as command } from "../../sandbox/docker.ts";
import {
  rebootServer,
  removeServer,
  serverExec,
  startServer,
  type ThrowawayServer,
} from "../../sandbox/server.ts";

const SCRIPT = join(import.meta.dirname, "../../scripts/setup-server.sh");
const PASSWORD = "correct-horse-battery-staple";

interface Outcome {
  status: number | undefined;
  stdout: string;
  stderr: string;
}

let directory: string;
let script: string;
let publicKey: string;
let deployKey: string;

/** Runs a program and never throws; what it says is for the test to judge. */
async function attempt(
  program: string,
  args: string[],
  options: { input?: string; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const { execa } = await import("execa");
  const { exitCode, stdout, stderr } = await execa(program, args, { ...options, reject: false });
  return { status: exitCode, stdout, stderr };
}

/** A login from outside: only this key, only what the server's host key says. */
const ssh = (
  server: ThrowawayServer,
  user: string,
  key: string,
  words: string[],
  options: { input?: string; ssh?: string[] } = {},
) =>
  attempt(
    "ssh",
    [
      ...(options.ssh ?? []),
      ...["-F", "none", "-i", key, "-p", String(server.port), "-l", user],
      ...Object.entries({
        BatchMode: "yes",
        ConnectTimeout: "10",
        IdentitiesOnly: "yes",
        LogLevel: "ERROR",
        UserKnownHostsFile: "/dev/null",
        KnownHostsCommand: `/bin/echo %H ${server.hostKey}`,
      }).flatMap(([name, value]) => ["-o", `${name}=${value}`]),
      server.host,
      ...words,
    ],
    { input: options.input ?? "" },
  );

/** As an attacker would: with the right password and no key. */
async function passwordLogin(server: ThrowawayServer, user: string): Promise<Outcome> {
  const askpass = join(directory, "askpass");
  await writeFile(askpass, `#!/bin/sh\necho ${PASSWORD}\n`, { mode: 0o700 });
  const options = ["-o", "BatchMode=no", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"];
  const args = ["-F", "none", "-p", String(server.port), "-l", user, ...options];
  const hosts = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
  return attempt("setsid", ["ssh", ...args, ...hosts, server.host, "id -un"], {
    input: "",
    env: { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force", DISPLAY: "none" },
  });
}

/** The script as a newcomer sends it: through root's SSH, the key behind it on standard input. */
const setUp = (server: ThrowawayServer, args: string[] = [], key = publicKey) =>
  ssh(server, "root", server.privateKeyFile, ["bash", "-s", "--", ...args], { input: script + key });

/** And as the operator does later, when root has no login any more. */
const setUpAgain = (server: ThrowawayServer, args: string[] = []) =>
  ssh(server, "deploy", deployKey, ["sudo", "bash", "-s", "--", ...args], { input: script + publicKey });

const sh = (server: ThrowawayServer, line: string) => serverExec(server, ["bash", "-euc", line]);

/** What a run must not touch when there is nothing to do: files with their times, rules, processes. */
const fingerprint = (server: ThrowawayServer) =>
  sh(
    server,
    `find /etc /home /root/.ssh /var/lib/dpkg /var/lib/setup-server -type f -printf '%p %T@ %s %m %u\\n' | sort
     iptables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'
     systemctl show -p MainPID docker ssh cron systemd-journald; systemctl list-unit-files --no-legend --no-pager`,
  );

/** The steps with this verdict, by name. */
const steps = (outcome: Outcome, verdict: string) =>
  outcome.stdout
    .split("\n")
    .filter((line) => line.startsWith(`${verdict} `))
    .map((line) => line.slice(14, 32).trim());

const CHANGING = [
  "packages",
  "deploy user",
  "deploy key",
  "sudo",
  "directories",
  "docker",
  "firewall",
  "sshd",
  "updates",
  "journal",
];

/** An image of little more than perl: it needs no registry. */
const IMAGE = `tar -ch /usr/bin/perl /usr/lib/x86_64-linux-gnu/perl-base $(ldd /usr/bin/perl | grep -o '/lib[^ ]*') 2>/dev/null |
  docker import - perl >/dev/null`;
const LISTEN = `perl /usr/bin/perl -MIO::Socket::INET -e '$SIG{TERM} = sub { exit };
  $s = IO::Socket::INET->new(LocalPort => 5000, Listen => 5); while ($c = $s->accept) { print $c "hello"; close $c }'`;

/** What a port says; "closed" where nobody answers in two seconds. */
const says = (host: string, port: number) =>
  new Promise<string>((resolve) => {
    const socket = connect(port, host).setTimeout(2000);
    socket.on("data", (data) => {
      resolve(data.toString());
    });
    for (const end of ["timeout", "error", "close"]) {
      socket.on(end, () => {
        resolve("closed");
        socket.destroy();
      });
    }
  });

/** An address of the server that only machines outside of it use. */
const address = (server: ThrowawayServer) =>
  sh(server, "ip -4 -o addr show eth0 | awk '{ print $4 }' | cut -d/ -f1");

describe("scripts/setup-server.sh", function () {
  this.timeout(300_000);
  const names: string[] = [];

  async function bareServer(name: string): Promise<ThrowawayServer> {
    names.push(name);
    await removeServer(name);
    const server = await startServer({ name, directory: join(directory, name), bare: true, ports: [] });
    // Nobody will miss these packages after a power cut.
    await sh(server, "echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/throwaway");
    return server;
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "setup-server-"));
    deployKey = join(directory, "deploy");
    await command("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", deployKey]);
    publicKey = await readFile(`${deployKey}.pub`, "utf8");
    script = await readFile(SCRIPT, "utf8");
  });

  after(async () => {
    for (const name of names) await removeServer(name);
    await rm(directory, { recursive: true, force: true });
  });

  describe("on a bare Debian", () => {
    let server: ThrowawayServer;
    before(async () => {
      server = await bareServer("setup-bare");
    });

    /** Exit status 2, one sentence that says it, and not a file touched. */
    async function refused(what: Promise<Outcome>, sentence: RegExp): Promise<void> {
      const { status, stdout, stderr } = await what;
      assert.match(stderr, sentence);
      assert.equal(stderr.split("\n").length, 1, stderr);
      assert.deepEqual({ status, stdout }, { status: 2, stdout: "" });
    }

    it("refuses what it cannot use, and changes nothing", async () => {
      const state = () => sh(server, "find /etc /home /var/lib -newer /tmp/start -type f | sort");
      await sh(server, "sleep 1; touch /tmp/start; sleep 0.1");
      const before = await state();
      await refused(setUp(server, [], ""), /deploy has no key on this server yet/);
      await refused(setUp(server, [], "ssh-ed25519 AAAA nonsense\n"), /not one public key/);
      await refused(setUp(server, [], await readFile(deployKey, "utf8")), /that is a private key/);
      await refused(setUp(server, ["--user", "root"]), /--user root cannot be/);
      await refused(setUp(server, ["--ports", "'80 70000'"]), /"70000", which is not a port/);
      await refused(setUp(server, ["--frobnicate"]), /--frobnicate is not an option/);
      await refused(setUp(server, ["--docker-repository"]), /download\.docker\.com, cannot be reached/);
      const asNobody = ["exec", "-i", "--user", "nobody", "throwaway-setup-bare", "bash", "-s"];
      await refused(attempt("docker", asNobody, { input: script + publicKey }), /must run as root/);
      assert.equal(await state(), before);
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
      const before = await sh(
        server,
        "find /etc /home /var/lib /var/log -type f -printf '%p %T@\\n' | grep -v journal | sort",
      );
      const outcome = await setUp(server, ["--check"]);
      assert.equal(outcome.status, 1, outcome.stderr);
      for (const step of CHANGING) assert.ok(steps(outcome, "would change").includes(step), outcome.stdout);
      assert.match(outcome.stdout, /nothing was changed/);
      const after = await sh(
        server,
        "find /etc /home /var/lib /var/log -type f -printf '%p %T@\\n' | grep -v journal | sort",
      );
      assert.equal(after, before);
      const weak = await ssh(server, "root", server.privateKeyFile, ["id", "-un"], {
        ssh: ["-c", "aes128-ctr", "-m", "hmac-sha1"],
      });
      assert.equal(weak.stdout, "root", "before the set-up this server takes weak MACs and root");
    });

    it("sets it up and says what to type next", async () => {
      const outcome = await setUp(server);
      assert.equal(outcome.status, 0, outcome.stderr);
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
        `${publicKey.split(" ").slice(0, 2).join(" ")} deploy`,
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

    it("says in --check what somebody has changed since", async () => {
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
          ssh(server, "deploy", deployKey, ["docker", "version", "--format", "{{.Server.Os}}"]),
        ),
      );
      assert.deepEqual(
        new Set(answers.map(({ status, stdout, stderr }) => `${status} ${stdout}${stderr}`)),
        new Set(["0 linux"]),
      );
      const info = await ssh(server, "deploy", deployKey, [
        "docker info --format '{{.LoggingDriver}} {{.LiveRestoreEnabled}}'",
      ]);
      assert.equal(info.stdout, "local true");
    });

    it("lets in only the ports that are wanted, also past ufw and after a reboot", async () => {
      await sh(server, `${IMAGE}; docker run -d --restart always -p 5000:5000 -p 8080:5000 ${LISTEN}`);
      for (const when of ["at once", "after a reboot"]) {
        if (when !== "at once") await rebootServer(server);
        assert.equal(
          await sh(server, "exec 3<>/dev/tcp/127.0.0.1/8080; cat <&3"),
          "hello",
          `8080 serves ${when}`,
        );
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
        const weak = await ssh(server, "deploy", deployKey, ["id"], {
          ssh: ["-o", "LogLevel=INFO", ...options],
        });
        assert.match(weak.stderr, /Unable to negotiate/, options.join(" "));
      }
    });
  });

  describe("on a server that somebody has configured by hand", () => {
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
         systemctl reload ssh
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
      await sh(server, "echo 'DenyUsers deploy' >/etc/ssh/sshd_config.d/60-deny.conf; systemctl reload ssh");
      const outcome = await setUp(server);
      assert.equal(outcome.status, 1);
      assert.match(
        outcome.stderr,
        /^setup-server: deploy cannot log in with a key[^\n]*passwords and root stay as they are[^\n]*$/,
      );
      assert.equal((await passwordLogin(server, "root")).stdout, "root");
      await sh(server, "rm /etc/ssh/sshd_config.d/60-deny.conf; systemctl reload ssh");
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

    it("sets it up, and keeps what is not its own", async () => {
      assert.equal((await passwordLogin(server, "deploy")).stdout, "deploy", "the password works before");
      const started = await startedAt();
      const outcome = await setUp(server);
      assert.equal(outcome.status, 0, outcome.stderr);
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
    });
  });

  describe("killed in the middle", () => {
    let server: ThrowawayServer;
    before(async () => {
      server = await bareServer("setup-killed");
      await writeFile(join(directory, "script"), script);
      await serverExec(server, ["tee", "/root/setup-server.sh"], { input: script });
      await serverExec(server, ["tee", "/root/key.pub"], { input: publicKey });
    });

    /** Starts it in a session of its own and kills all of that once `line` is true. */
    async function killWhen(line: string): Promise<void> {
      await sh(
        server,
        "setsid bash /root/setup-server.sh --key-file /root/key.pub >/tmp/out 2>&1 </dev/null & echo $! >/tmp/pid",
      );
      const hit = await sh(
        server,
        `for _ in {1..1000}; do if ${line}; then kill -KILL -- -$(cat /tmp/pid) && echo killed; exit; fi
         kill -0 $(cat /tmp/pid) 2>/dev/null || exit 0; sleep 0.05; done`,
      );
      assert.equal(hit, "killed", `the script ended before: ${line}\n${await sh(server, "cat /tmp/out")}`);
      await sleep(500);
    }

    for (const [when, line] of [
      ["dpkg unpacks", "grep -q '^Unpacking' /var/log/setup-server.log"],
      ["dpkg sets up", "grep -q '^Setting up docker' /var/log/setup-server.log"],
      ["daemon.json is written, Docker not yet restarted", "[[ -e /etc/docker/daemon.json ]]"],
      ["the firewall has its first rules", "grep -q '^Rules updated' /var/log/setup-server.log"],
      ["the key is being proved", "[[ -e /run/setup-server/key.pub ]]"],
      ["sshd's file is written", "[[ -e /etc/ssh/sshd_config.d/00-setup-server.conf ]]"],
    ] as const) {
      it(`leaves a way in when ${when}`, async () => {
        await killWhen(line);
        const key = await ssh(server, "deploy", deployKey, ["sudo", "id", "-un"]);
        const root = await ssh(server, "root", server.privateKeyFile, ["id", "-un"]);
        assert.ok([key.stdout, root.stdout].includes("root"), `${key.stderr} ${root.stderr}`);
      });
    }

    it("completes when it is run again", async () => {
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
      const info = await ssh(server, "deploy", deployKey, [
        "docker info --format '{{.LoggingDriver}} {{.LiveRestoreEnabled}}'",
      ]);
      assert.equal(info.stdout, "local true");
    });
  });
});
