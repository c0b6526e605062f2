import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { get as getTls } from "node:https";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { text } from "node:stream/consumers";
import { execa } from "execa";
import type { Acme } from "../../sandbox/acme.ts";
import type { Outcome } from "../../sandbox/stack.ts";
import { BotDriver } from "./bot-driver.ts";
import type { World } from "./world.ts";

/** A page behind a domain, as its visitors, its operator and their DNS see it. */
export class HttpsDriver extends BotDriver {
  domain: string;
  readonly acme: Acme;

  constructor(world: World, domain: string, acme: Acme) {
    super(world);
    this.domain = domain;
    this.acme = acme;
  }

  /** What a GET is answered, without redirects; over HTTPS unless told otherwise. */
  async page(path = "/", scheme: "https" | "http" = "https") {
    const { address, ca } = this.world.tls ?? { address: "", ca: "" };
    const options = { host: address, path, agent: false, headers: { host: this.domain } };
    const asked = scheme === "https" ? getTls({ ...options, servername: this.domain, ca }) : get(options);
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    return { status: response.statusCode, headers: response.headers, body: await text(response) };
  }

  override async running(): Promise<string> {
    return (JSON.parse((await this.page("/health")).body) as { release: string }).release;
  }

  /** The certificate that a server at this address shows for the domain, if it is one that visitors trust. */
  async certificate(address = this.world.tls?.address): Promise<{ serial: string; until: Date }> {
    const socket = connect({ host: address, port: 443, servername: this.domain, ca: this.world.tls?.ca });
    try {
      await once(socket, "secureConnect");
      const shown = socket.getPeerX509Certificate();
      if (shown === undefined) throw new Error("no certificate");
      return { serial: shown.serialNumber, until: shown.validToDate };
    } finally {
      socket.destroy();
    }
  }

  /** An operator's command on a machine that asks the same DNS server as everything there, and trusts the same roots. */
  async operateOutside(...words: string[]): Promise<Outcome> {
    const { stack, directory, tls } = this.world;
    const resolver = join(directory, "resolv.conf");
    const roots = join(directory, "roots.pem");
    await writeFile(resolver, `nameserver ${this.acme.address}\n`);
    await writeFile(roots, tls?.ca ?? "");
    const alone = process.getuid?.() === 0 ? ["--mount"] : ["--mount", "--map-root-user"];
    const script = 'mount --bind "$0" /etc/resolv.conf && exec ./delivery "$@"';
    const ended = await execa("unshare", [...alone, "sh", "-c", script, resolver, ...words], {
      cwd: stack.project,
      env: { ...stack.env, PULUMI_STACK: stack.name, NODE_EXTRA_CA_CERTS: roots },
      all: true,
      reject: false,
    });
    return { exitCode: ended.exitCode ?? 1, output: ended.all, stdout: ended.stdout };
  }
}
