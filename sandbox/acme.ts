import { setTimeout as sleep } from "node:timers/promises";

import { docker, dockerSucceeds, SandboxError } from "./docker.ts";
import { ensureAcmeImage } from "./images.ts";
import { serverExec, type ThrowawayServer } from "./server.ts";

/** The names under which clients look for Let's Encrypt. */
const NAMES = ["acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org"];
/** Where images/acme keeps its own root certificate, and its configuration. */
const OWN_ROOT = "/data/caddy/pki/authorities/local/root.crt";
const CONFIGURATION = "/etc/pebble/pebble.json";
/** Where a server's proxies find the root certificate. */
const TRUSTED = "/etc/acme.crt";
const PATIENCE = 30_000;

/** Pebble, an ACME server that clients take for Let's Encrypt, and the DNS server that leads them there. */
export class Acme {
  /** Where the DNS server answers. */
  readonly address: string;
  private readonly container: string;

  constructor(container: string, address: string) {
    this.container = container;
    this.address = address;
  }

  /** The root certificate of what it issues (PEM); another one after `issueFor`. */
  async root(): Promise<string> {
    return (await fetch(`http://${this.address}:8080/roots/0`)).text();
  }

  /** Has a name lead to this address, or nowhere. */
  async lead(name: string, address?: string): Promise<void> {
    const host = `${name}.`;
    await this.manageDns("clear-a", { host });
    if (address !== undefined) await this.manageDns("add-a", { host, addresses: [address] });
  }

  /** Has certificates be valid for so many seconds from now on. */
  async issueFor(seconds: number): Promise<void> {
    const edit = `s/("validityPeriod": )[0-9]+/\\1${seconds}/`;
    await docker(["exec", this.container, "sed", "-i", "-E", edit, CONFIGURATION]);
    const before = await this.root();
    await docker(["exec", this.container, "sh", "-c", 'kill "$(pidof pebble)"']);
    await until(async () => /BEGIN/.exec(await this.root()) !== null && (await this.root()) !== before);
  }

  /** Has the proxies of a server take it for Let's Encrypt: their image trusts its root certificate, and no other. */
  async becomeTrustedBy(server: Pick<ThrowawayServer, "name">): Promise<void> {
    const image = "caddy:2";
    const container = await serverExec(server, ["docker", "create", image]);
    const root = await docker(["exec", this.container, "cat", OWN_ROOT]);
    await serverExec(server, ["tee", TRUSTED], { input: `${root}\n` });
    await serverExec(server, ["docker", "cp", TRUSTED, `${container}:${TRUSTED}`]);
    const change = `ENV SSL_CERT_FILE=${TRUSTED}`;
    await serverExec(server, ["docker", "commit", "--change", change, container, image]);
    await serverExec(server, ["docker", "rm", container]);
  }

  close(): Promise<unknown> {
    return dockerSucceeds(["rm", "--force", "--volumes", this.container]);
  }

  private async manageDns(what: string, body: object): Promise<void> {
    const url = `http://${this.address}:8055/${what}`;
    const { ok, status } = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    if (!ok) throw new SandboxError(`the DNS server answered ${what} with ${status}`);
  }
}

/** Starts it in a container of this name, anew; returns when it answers. */
export async function startAcme(name: string): Promise<Acme> {
  const container = `throwaway-${name}`;
  await dockerSucceeds(["rm", "--force", "--volumes", container]);
  await docker(["run", "--detach", "--name", container, await ensureAcmeImage()]);
  const format = "{{.NetworkSettings.IPAddress}}";
  const acme = new Acme(container, await docker(["inspect", "--format", format, container]));
  await until(async () => (await acme.root()).includes("BEGIN"));
  for (const host of NAMES) await acme.lead(host, acme.address);
  return acme;
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!(await isDone().catch(() => false))) {
    if (Date.now() > deadline)
      throw new SandboxError("the ACME server does not answer: see its container's log");
    await sleep(100);
  }
}
