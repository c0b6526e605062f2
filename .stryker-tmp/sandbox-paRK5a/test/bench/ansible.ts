// @ts-nocheck
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import type { Bench } from "./bench.ts";
import type { Flow } from "./flow.ts";

const VENV = join(import.meta.dirname, "..", "..", ".tools", "ansible");
const FILES = join(import.meta.dirname, "ansible");

/** Ansible from this machine with its default SSH settings and the playbook beside this file. */
export function ansibleFlow(bench: Bench): Flow {
  const inventory = join(bench.directory, "inventory.yml");
  const { server, repository } = bench;
  const call = async (commit: string) => {
    const args = ["--inventory", inventory, "--extra-vars", `commit=${commit}`, join(FILES, "playbook.yml")];
    // Keeps Ansible's files within this run, and prints failures on standard error.
    const env = {
      ANSIBLE_HOME: join(bench.directory, "ansible"),
      ANSIBLE_DISPLAY_FAILED_STDERR: "1",
      LC_ALL: "C.UTF-8",
    };
    await run(join(VENV, "bin", "ansible-playbook"), args, { env });
    return {};
  };
  return {
    containers: ["ansible_proxy", "ansible_bot", "ansible_db"],
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
      };
      await writeFile(inventory, JSON.stringify({ all: { hosts: { server: variables } } }));
      await call(commit);
    },
    release: call,
    goBack: call,
  };
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
