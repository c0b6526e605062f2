import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { run } from "../../sandbox/docker.ts";
import { removeServer, serverExec, startServer, type ThrowawayServer } from "../../sandbox/server.ts";

const SCRIPT = join(import.meta.dirname, "../../scripts/setup-server.sh");
export const PASSWORD = "correct-horse-battery-staple";

export interface Outcome {
  status: number | undefined;
  stdout: string;
  stderr: string;
}

/** What the operator has: the script, a key for the deploy user, and a directory for both. */
export const operator = { directory: "", script: "", publicKey: "", deployKey: "" };

const servers: string[] = [];

/** Makes the operator's key. */
export async function prepare(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "setup-server-"));
  const deployKey = join(directory, "deploy");
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", deployKey]);
  const publicKey = await readFile(`${deployKey}.pub`, "utf8");
  Object.assign(operator, { directory, deployKey, publicKey, script: await readFile(SCRIPT, "utf8") });
}

/** Removes every server, and what the operator has. */
export async function cleanUp(): Promise<void> {
  for (const name of servers) await removeServer(name);
  await rm(operator.directory, { recursive: true, force: true });
}

/** A machine on its first day. */
export async function bareServer(name: string): Promise<ThrowawayServer> {
  servers.push(name);
  await removeServer(name);
  const server = await startServer({
    name,
    directory: join(operator.directory, name),
    bare: true,
    ports: [],
  });
  // These packages need not survive a power cut.
  await sh(server, "echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/throwaway");
  return server;
}

/** Runs a program and never throws; what it says is for the test to judge. */
export async function attempt(
  program: string,
  args: string[],
  options: { input?: string; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const { exitCode, stdout, stderr } = await execa(program, args, { ...options, reject: false });
  return { status: exitCode, stdout, stderr };
}

/** A login from outside: only this key, only what the server's host key says. */
export const ssh = (
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
export async function passwordLogin(server: ThrowawayServer, user: string): Promise<Outcome> {
  const askpass = join(operator.directory, "askpass");
  await writeFile(askpass, `#!/bin/sh\necho ${PASSWORD}\n`, { mode: 0o700 });
  const options = ["-o", "BatchMode=no", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"];
  const args = ["-F", "none", "-p", String(server.port), "-l", user, ...options];
  const hosts = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
  return attempt("setsid", ["ssh", ...args, ...hosts, server.host, "id -un"], {
    input: "",
    env: { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force", DISPLAY: "none" },
  });
}

/** The operator.script as a newcomer sends it: through root's SSH, the key behind it on standard input. */
export const setUp = (server: ThrowawayServer, args: string[] = [], key = operator.publicKey) =>
  ssh(server, "root", server.privateKeyFile, ["bash", "-s", "--", ...args], { input: operator.script + key });

/** And as the operator does later, when root has no login any more. */
export const setUpAgain = (server: ThrowawayServer, args: string[] = []) =>
  ssh(server, "deploy", operator.deployKey, ["sudo", "bash", "-s", "--", ...args], {
    input: operator.script + operator.publicKey,
  });

export const sh = (server: ThrowawayServer, line: string) => serverExec(server, ["bash", "-euc", line]);

/** What a run must not touch when there is nothing to do: files with their times, rules, processes. */
export const fingerprint = (server: ThrowawayServer) =>
  sh(
    server,
    `find /etc /home /root/.ssh /var/lib/dpkg /var/lib/setup-server -type f -printf '%p %T@ %s %m %u\\n' | sort
     iptables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'
     systemctl show -p MainPID docker ssh cron systemd-journald; systemctl list-unit-files --no-legend --no-pager`,
  );

/** The steps with this verdict, by name. */
export const steps = (outcome: Outcome, verdict: string) =>
  outcome.stdout
    .split("\n")
    .filter((line) => line.startsWith(`${verdict} `))
    .map((line) => line.slice(14, 32).trim());

export const CHANGING = [
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
export const IMAGE = `tar -ch /usr/bin/perl /usr/lib/x86_64-linux-gnu/perl-base $(ldd /usr/bin/perl | grep -o '/lib[^ ]*') 2>/dev/null |
  docker import - perl >/dev/null`;
export const LISTEN = `perl /usr/bin/perl -MIO::Socket::INET -e '$SIG{TERM} = sub { exit };
  $s = IO::Socket::INET->new(LocalPort => 5000, Listen => 5); while ($c = $s->accept) { print $c "hello"; close $c }'`;

/** What a port says; "closed" where there is no answer in two seconds. */
export const says = (host: string, port: number) =>
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
export const address = (server: ThrowawayServer) =>
  sh(server, "ip -4 -o addr show eth0 | awk '{ print $4 }' | cut -d/ -f1");

/** Puts the script and the key on the server, for runs that are killed. */
export async function install(server: ThrowawayServer): Promise<void> {
  await serverExec(server, ["tee", "/root/setup-server.sh"], { input: operator.script });
  await serverExec(server, ["tee", "/root/key.pub"], { input: operator.publicKey });
}

/** True as soon as packages are being unpacked. */
export const UNPACKS = "grep -qs '^Unpacking' /var/log/setup-server.log";

/** Starts what `install` has put there in a session of its own, and kills all of that once `line` is true. */
export async function killWhen(server: ThrowawayServer, line: string): Promise<void> {
  await sh(
    server,
    "setsid bash /root/setup-server.sh --key-file /root/key.pub >/tmp/out 2>&1 </dev/null & echo $! >/tmp/pid",
  );
  const hit = await sh(
    server,
    `until ${line}; do kill -0 $(cat /tmp/pid) 2>/dev/null || exit 0; sleep 0.01; done
     kill -KILL -- -$(cat /tmp/pid) && echo killed`,
  );
  assert.equal(hit, "killed", `the script ended before: ${line}\n${await sh(server, "cat /tmp/out")}`);
  // Apt runs dpkg in a session of its own, which ends once it finds its terminal gone.
  await sh(
    server,
    "for _ in {1..200}; do pgrep -s $(cat /tmp/pid) >/dev/null || pgrep -x dpkg >/dev/null || exit 0; sleep 0.05; done; exit 1",
  );
}

/** Whether an administrator still gets in, as deploy or as root. */
export async function hasWayIn(server: ThrowawayServer): Promise<boolean> {
  const key = await ssh(server, "deploy", operator.deployKey, ["sudo", "id", "-un"]);
  const root = await ssh(server, "root", server.privateKeyFile, ["id", "-un"]);
  return [key.stdout, root.stdout].includes("root");
}
