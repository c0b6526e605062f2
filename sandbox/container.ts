import { setTimeout as sleep } from "node:timers/promises";

import { docker, SandboxError } from "./docker.ts";

/**
 * The capabilities that systemd and a nested Docker Engine need. Not --privileged, which asks for every capability: a
 * sandboxed machine may lack some.
 */
const CAPABILITIES = [
  "SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE SYS_BOOT SYS_TIME",
  "DAC_READ_SEARCH SYS_NICE IPC_LOCK MKNOD LINUX_IMMUTABLE SYSLOG",
].flatMap((line) => line.split(" "));

export interface ContainerOptions {
  /** Name of the container. */
  name: string;
  hostname: string;
  /** Image with systemd at /sbin/init. */
  image: string;
  /** Volume to hold the nested engine's /var/lib/docker. */
  dockerVolume?: string;
  /** Where ports of the container are published on 127.0.0.1 of this machine. */
  ports?: Record<number, number>;
  labels?: Record<string, string>;
  /** Address of the DNS server to ask; default: that of this machine. */
  dns?: string;
}

/** Starts systemd in a new container and returns while it boots. */
export async function createContainer(options: ContainerOptions): Promise<void> {
  const { name, hostname, image, dockerVolume, ports = {}, labels = {}, dns } = options;
  await docker([
    ...["run", "--detach", "--name", name, "--hostname", hostname],
    ...Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
    ...CAPABILITIES.flatMap((capability) => ["--cap-add", capability]),
    ...["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"],
    ...["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"],
    ...["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec,mode=1777"],
    ...(dns === undefined ? [] : ["--dns", dns]),
    ...(dockerVolume === undefined ? [] : ["--volume", `${dockerVolume}:/var/lib/docker`]),
    ...Object.entries(ports).flatMap(([inside, outside]) => ["--publish", `127.0.0.1:${outside}:${inside}`]),
    image,
  ]);
}

/** Waits until systemd has started everything: sshd and, if present, the nested Docker Engine. */
export async function waitUntilBooted(name: string): Promise<void> {
  const command = ["exec", name, "systemctl", "is-system-running", "--wait"];
  const deadline = Date.now() + 90_000;
  for (;;) {
    const state = await docker(command, { timeout: 60_000 }).catch((error: unknown) => String(error));
    if (state === "running") return;
    if (Date.now() > deadline) {
      throw new SandboxError(`${name} did not boot: ${state}; see docker exec ${name} systemctl --failed`);
    }
    await sleep(200);
  }
}
