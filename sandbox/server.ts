import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";

import { createContainer, waitUntilBooted } from "./container.ts";
import { docker, run, SandboxError } from "./docker.ts";
import { ensureImages, ensureServerImage, type ServerStage } from "./images.ts";
import { load, preload } from "./preload.ts";

/** A container that acts as a server: systemd, sshd, cron, its own Docker Engine, a user `deploy`. */
export interface ThrowawayServer {
  name: string;
  host: "127.0.0.1";
  /** The published port of its sshd. */
  port: number;
  /** The login: `root` on a bare server, which has no other user yet. */
  user: "deploy" | "root";
  /** "ecdsa-sha2-nistp256 AAAA…", read inside the container, never over the network. */
  hostKey: string;
  /** Ed25519, mode 0600. */
  privateKeyFile: string;
  /** Ports of the server, each with its published port on 127.0.0.1. */
  publicPorts: Record<number, number>;
  /** The published port of one port; throws if there is none. */
  publicPort(port: number): number;
  /** Address at which containers on the server reach processes on this machine. */
  gateway: string;
  /** Address at which this machine and other servers reach the server, with the ports that it has itself. */
  address: string;
}

export interface ServerOptions {
  name: string;
  /** Directory of the private key, which is created if missing. */
  directory: string;
  /** Ports of the server to publish on this machine besides sshd's. Default: 5000. */
  ports?: number[];
  /** Where to publish them (22 is sshd); default: a free port above 20000. */
  fixedPorts?: Record<number, number>;
  /** Only systemd, sshd and root's key, as on a machine's first day. */
  bare?: boolean;
  /** `false`: the user `deploy`, but no Docker Engine. */
  docker?: boolean;
  /** Address of the DNS server that it asks; default: that of this machine. */
  dns?: string;
}

const LABEL = "throwaway-server";
const KEY_FILE = "id_ed25519";
const containerName = (name: string) => `throwaway-${name}`;
const volumeName = (name: string) => `throwaway-${name}-docker`;

/** Starts a server, or describes the running one of that name; waits until sshd and Docker answer. */
export async function startServer(options: ServerOptions): Promise<ThrowawayServer> {
  const { name, directory, ports = [5000], fixedPorts = {} } = options;
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) {
    throw new SandboxError(`"${name}" cannot name a server: use lower-case letters, digits and hyphens`);
  }
  await docker(["version", "--format", "{{.Server.Version}}"]).catch(() => {
    throw new SandboxError("the Docker Engine of this machine does not answer: start it, then try again");
  });
  const container = await inspect(name);
  if (container === undefined) {
    const stage: ServerStage = options.bare ? "bare" : options.docker === false ? "prepared" : "full";
    const image = await ensureServerImage(stage);
    const published: Record<number, number> = {};
    for (const port of new Set([22, ...ports, ...Object.keys(fixedPorts).map(Number)])) {
      published[port] = fixedPorts[port] ?? (await freePort(Object.values(published)));
    }
    await createVolume(name);
    if (stage === "full") await preload(volumeName(name));
    await createContainer({
      name: containerName(name),
      hostname: name,
      image,
      dockerVolume: volumeName(name),
      ports: published,
      labels: { [LABEL]: stage },
      dns: options.dns,
    });
  } else if (!container.State.Running) {
    await docker(["start", containerName(name)]);
  }
  await waitUntilBooted(containerName(name));
  await authorizeKey(name, directory);
  const server = await findServer(name, directory);
  if (server === undefined) throw new SandboxError(`the server ${name} has ended while it was started`);
  return server;
}

/** Describes the server of that name as `startServer` does; undefined if none is running. */
export async function findServer(name: string, directory: string): Promise<ThrowawayServer | undefined> {
  const container = await inspect(name);
  if (!container?.State.Running) return undefined;
  const publicPorts: Record<number, number> = {};
  for (const [inside, [binding]] of Object.entries(container.HostConfig.PortBindings)) {
    publicPorts[Number.parseInt(inside, 10)] = Number(binding?.HostPort);
  }
  const publicPort = (port: number) => {
    const outside = publicPorts[port];
    if (outside === undefined) throw new SandboxError(`port ${port} of the server ${name} is not published`);
    return outside;
  };
  const publicKey = await serverExec({ name }, ["cat", "/etc/ssh/ssh_host_ecdsa_key.pub"]);
  return {
    name,
    host: "127.0.0.1",
    port: publicPort(22),
    user: userOf(container),
    hostKey: publicKey.split(" ").slice(0, 2).join(" "),
    privateKeyFile: join(directory, KEY_FILE),
    publicPorts,
    publicPort,
    gateway: container.NetworkSettings.Networks.bridge?.Gateway ?? "",
    address: container.NetworkSettings.Networks.bridge?.IPAddress ?? "",
  };
}

/** Removes the container and its volume. A missing server is no error. */
export async function removeServer(name: string): Promise<void> {
  await docker(["rm", "--force", "--volumes", containerName(name)]);
  await docker(["volume", "rm", "--force", volumeName(name)]);
}

/** Runs a command inside, as root unless told otherwise, and returns its standard output. */
export function serverExec(
  server: Pick<ThrowawayServer, "name">,
  command: string[],
  { input, user = "root" }: { input?: string; user?: string } = {},
): Promise<string> {
  const interactive = input === undefined ? [] : ["--interactive"];
  const args = ["exec", ...interactive, "--user", user, containerName(server.name), ...command];
  return docker(args, input === undefined ? {} : { input });
}

/** Reboots the server as an administrator would; returns when it is up again. */
export async function rebootServer(server: ThrowawayServer): Promise<void> {
  const name = containerName(server.name);
  await docker(["exec", name, "systemctl", "reboot"]);
  // A reboot ends the container, so the outer engine has to start it again.
  await docker(["wait", name], { timeout: 60_000 });
  await docker(["start", name]);
  await waitUntilBooted(name);
}

/** Cuts all SSH sessions without notice to either side. sshd keeps listening. */
export async function cutConnections(server: ThrowawayServer): Promise<void> {
  // Sessions are titled "sshd: deploy [priv]" and "sshd: deploy@notty", the listener "sshd: /usr/sbin/sshd …".
  await serverExec(server, ["pkill", "-KILL", "-f", "^sshd: [^/]"]).catch(() => undefined);
}

/** Copies further images of this machine to the server's Docker Engine; builds stand-ins as needed. */
export async function loadImages(server: ThrowawayServer, images: string[]): Promise<void> {
  await ensureImages(images);
  await load(containerName(server.name), images);
}

interface Container {
  State: { Running: boolean };
  Config: { Labels: Record<string, string> };
  HostConfig: { PortBindings: Record<string, { HostPort: string }[]> };
  NetworkSettings: { Networks: Record<string, { Gateway: string; IPAddress: string }> };
}

async function inspect(name: string): Promise<Container | undefined> {
  const json = await docker(["container", "inspect", containerName(name)]).catch(() => "[]");
  return (JSON.parse(json) as Container[])[0];
}

const userOf = (container: Container) => (container.Config.Labels[LABEL] === "bare" ? "root" : "deploy");

async function authorizeKey(name: string, directory: string): Promise<void> {
  const file = join(directory, KEY_FILE);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const publicKey = await readFile(`${file}.pub`, "utf8").catch(async () => {
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", `throwaway-${name}`, "-f", file]);
    return readFile(`${file}.pub`, "utf8");
  });
  const container = await inspect(name);
  const user = container === undefined ? "deploy" : userOf(container);
  const home = user === "root" ? "/root" : `/home/${user}`;
  await serverExec({ name }, ["install", "-d", "-m", "700", `${home}/.ssh`], { user });
  await serverExec({ name }, ["tee", `${home}/.ssh/authorized_keys`], { user, input: publicKey });
}

/** Volume for the data of the server's Docker, which would have to copy every layer on the container's own file system. */
async function createVolume(name: string): Promise<void> {
  // A volume left by a server that was removed by hand would bring old containers back.
  await docker(["volume", "rm", "--force", volumeName(name)]);
  await docker(["volume", "create", "--label", LABEL, volumeName(name)]);
}

/**
 * A free port. It lies below the range of outgoing connections, from which the system would choose, so that it is still free
 * after the server reboots.
 */
export async function freePort(taken: number[] = []): Promise<number> {
  for (;;) {
    const port = 20000 + Math.floor(Math.random() * 10000);
    if (!taken.includes(port) && (await isFree(port))) return port;
  }
}

/** Whether this port of 127.0.0.1 is free. */
export const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const probe = createServer();
    probe.once("error", () => {
      resolve(false);
    });
    probe.listen(port, "127.0.0.1", () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
