// @ts-nocheck
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { World } from "../world.ts";

/** What is true of one server, one build or one run only, by the names that stand for it in a fixture. */
export type Values = Record<string, string | number>;

/** The two releases in a fixture: one that was live before, and the one that runs. */
export interface Commits {
  earlier: string;
  running: string;
}

/** The stack's containers, by the first word of their placeholders. */
export const CONTAINERS = { BOT: "training_bot", DB: "training_bot_db", PROXY: "training_bot_proxy" };

/** The SHA-256 of a text, in hexadecimal. */
export const digest = (text: string) => createHash("sha256").update(text).digest("hex");

/** The values that are known before the stack is on the server. */
export async function machineValues(
  { server, telegram, secrets }: World,
  { earlier, running }: Commits,
): Promise<Values> {
  return {
    SSH_PORT: server.port,
    HOST_KEY: server.hostKey,
    // Part of the name of the SSH control socket, which is in the state.
    HOST_KEY_PIN: digest(server.hostKey).slice(0, 8),
    SSH_PRIVATE_KEY: await readFile(server.privateKeyFile, "utf8"),
    TELEGRAM_URL: telegram.url,
    TELEGRAM_TOKEN: secrets.telegramToken ?? "",
    EARLIER_COMMIT: earlier,
    EARLIER_SHORT: earlier.slice(0, 7),
    RUNNING_COMMIT: running,
    RUNNING_SHORT: running.slice(0, 7),
  };
}

/** The images' ids. @param tags the images' names, by the placeholders of their ids */
export async function imageValues(world: World, tags: Record<string, string>): Promise<Values> {
  const ids: Values = {};
  for (const [placeholder, tag] of Object.entries(tags)) {
    ids[placeholder] = await world.onServer("docker", "image", "inspect", "--format", "{{.Id}}", tag);
  }
  return ids;
}

/** Ids and addresses of the network and of the containers, which must run. */
export async function containerValues(world: World, network: string): Promise<Values> {
  const { Id, IPAM } = await inspect<{ Id: string; IPAM: { Config: [{ Subnet: string; Gateway: string }] } }>(
    world,
    "network",
    network,
  );
  const [{ Subnet, Gateway }] = IPAM.Config;
  const values: Values = { NETWORK_ID: Id, NETWORK_SUBNET: Subnet, NETWORK_GATEWAY: Gateway };
  for (const [role, name] of Object.entries(CONTAINERS)) {
    const { Id, Config, NetworkSettings } = await inspect<{
      Id: string;
      Config: { Hostname: string };
      NetworkSettings: { Networks: Record<string, { IPAddress: string; MacAddress: string }> };
    }>(world, "container", name);
    const address = NetworkSettings.Networks[network];
    if (!address?.IPAddress) throw new Error(`The container ${name} has no address in ${network}.`);
    Object.assign(values, { [`${role}_ID`]: Id, [`${role}_HOSTNAME`]: Config.Hostname });
    Object.assign(values, { [`${role}_IP`]: address.IPAddress, [`${role}_MAC`]: address.MacAddress });
  }
  return values;
}

/** What `docker KIND inspect NAME` says on the server. */
export async function inspect<T>(world: World, kind: string, name: string): Promise<T> {
  return (JSON.parse(await world.onServer("docker", kind, "inspect", name)) as [T])[0];
}

/** Puts placeholders where these values are, in a text or anywhere in a JSON value. */
export function generalise<T>(json: T, values: Values): T {
  // Longer values first: a container's host name is the beginning of its id.
  const known = Object.entries(values).sort(([, a], [, b]) => String(b).length - String(a).length);
  return mapLeaves(json, (leaf) => {
    if (typeof leaf === "string") {
      return known.reduce((text, [name, value]) => text.replaceAll(String(value), `@${name}@`), leaf);
    }
    const name = known.find(([, value]) => value === leaf)?.[0];
    return name === undefined ? leaf : `@${name}@`;
  }) as T;
}

/**
 * Puts values where their placeholders are. One that is a whole text gives its own type: a port stays a number.
 *
 * @throws Error naming a placeholder that has no value
 */
export function substitute<T>(json: T, values: Values): T {
  const valueOf = (name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`The placeholder @${name}@ of the fixture has no value here.`);
    return value;
  };
  return mapLeaves(json, (leaf) => {
    if (typeof leaf === "number") return leaf;
    const whole = /^@([A-Z_]+)@$/.exec(leaf)?.[1];
    if (whole !== undefined) return valueOf(whole);
    return leaf.replace(/@([A-Z_]+)@/g, (_, name: string) => String(valueOf(name)));
  }) as T;
}

/** Pulumi keeps secrets and lists as JSON within texts; these are mapped from within, so that escapes stay right. */
function mapLeaves(value: unknown, change: (leaf: string | number) => unknown): unknown {
  if (typeof value === "string") {
    const inner = parseNested(value);
    return inner === undefined ? change(value) : JSON.stringify(mapLeaves(inner, change));
  }
  if (typeof value === "number") return change(value);
  if (Array.isArray(value)) return value.map((item) => mapLeaves(item, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapLeaves(item, change)]));
}

function parseNested(text: string): unknown {
  if (!/^[[{"]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
