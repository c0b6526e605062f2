import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import { settingsFile } from "../../infra/model/server-settings.ts";
import { run } from "../../sandbox/docker.ts";
import type { Bench } from "./bench.ts";
import { parking } from "./containers.ts";
import type { Command, Flow } from "./flow.ts";
import { must } from "./perform.ts";

const VENV = join(import.meta.dirname, "..", "..", ".tools", "ansible");
const FILES = join(import.meta.dirname, "ansible");

/** Ansible from this machine with SSH pipelining and the playbook beside this file. */
export function ansibleFlow(bench: Bench): Flow {
  const inventory = join(bench.directory, "inventory.yml");
  const { server, repository } = bench;
  const call = (commit: string): Command => ({
    file: join(VENV, "bin", "ansible-playbook"),
    args: ["--inventory", inventory, "--extra-vars", `commit=${commit}`, join(FILES, "playbook.yml")],
    // Keeps Ansible's files within this run.
    options: {
      env: { ANSIBLE_HOME: join(bench.directory, "ansible"), ANSIBLE_PIPELINING: "1", LC_ALL: "C.UTF-8" },
    },
  });
  return {
    ...parking(bench, ["ansible_proxy", "ansible_bot", "ansible_db"]),
    async setUp(commit) {
      await install();
      const known = join(repository.directory, ".git", "known_hosts");
      const variables = {
        ansible_host: server.host,
        ansible_port: server.port,
        ansible_user: server.user,
        ansible_ssh_private_key_file: server.privateKeyFile,
        ansible_ssh_common_args: `-o IdentitiesOnly=yes -o UserKnownHostsFile=${known}`,
        // Saves Ansible the search for it.
        ansible_python_interpreter: "/usr/bin/python3",
        repository: repository.pathOnServer,
        settings: settings(bench),
      };
      await writeFile(inventory, JSON.stringify({ all: { hosts: { server: variables } } }));
      await must(call(commit));
    },
    release: call,
    goBack: call,
  };
}

/** What the backup's scripts go by, for the containers of this flow. */
function settings({ server: { host, port, user, hostKey }, repository }: Bench): string {
  const deployPath = "/home/deploy/ansible-delivery";
  const stack = parsePlainConfig({
    name: "ansible",
    server: { host, port, user, hostKey, deployPath, backupPath: `${deployPath}/backups` },
    app: { repository: repository.pathOnServer },
  });
  return settingsFile(stack).replace(/^bot=.*$/m, "bot=ansible_bot");
}

/** Installs Ansible from PyPI, once. */
async function install(): Promise<void> {
  const [wanted, stamp] = [join(FILES, "requirements.txt"), join(VENV, "requirements.txt")];
  if ((await readFile(stamp, "utf8").catch(() => "")) === (await readFile(wanted, "utf8"))) return;
  await run("python3", ["-m", "venv", "--clear", VENV]);
  await run(join(VENV, "bin", "pip"), ["install", "--quiet", "--disable-pip-version-check", "-r", wanted]);
  await cp(wanted, stamp);
}

/** The installed versions, for the report. */
export async function ansibleVersions(): Promise<Record<string, string>> {
  await install();
  const galaxy = ["collection", "list", "community.docker", "--format", "json"];
  const env = { LC_ALL: "C.UTF-8" };
  const listed = await run(join(VENV, "bin", "ansible-galaxy"), galaxy, { env });
  const [collection] = Object.values(
    JSON.parse(listed) as Record<string, Record<string, { version: string }>>,
  );
  const pins = (await readFile(join(FILES, "requirements.txt"), "utf8")).trim().split("\n");
  return {
    ...(Object.fromEntries(pins.map((pin) => pin.split("=="))) as Record<string, string>),
    "community.docker": collection?.["community.docker"]?.version ?? "unknown",
  };
}
