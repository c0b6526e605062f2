import { readFileSync } from "node:fs";
import { join } from "node:path";
import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { digest } from "../model/digest.ts";
import type { AppSettings, ProxySettings } from "../model/schema.ts";
import type { Server, ServerFile } from "./Server.ts";
import { containerOptions, hardened } from "./container.ts";
import type { Network } from "./Network.ts";

/** Upper bound of Caddy's memory in MiB; a held request costs some 50 KiB. */
const MEMORY = 256;
/** Seconds that answers under way get when the proxy itself is stopped. */
const STOP_SECONDS = 30;

const CONFIGURATION = readFileSync(
  join(import.meta.dirname, "..", "..", "scripts", "server", "container", "Caddyfile"),
  "utf8",
);

/** Caddy's configuration, as the file on the server that the proxy reads. */
export const caddyfile: ServerFile = { path: "proxy/Caddyfile", mode: 0o644, content: CONFIGURATION };

/**
 * Caddy before the bot: the only container that publishes a port. It holds requests while the bot is replaced.
 *
 * On the server: a container, and a volume for certificates. A changed Caddyfile is taken over without dropping a
 * connection; replacing the container (another domain, port or image) refuses connections for a second. Deleting it
 * takes the page off the net and loses nothing: certificates are got anew.
 */
export class Proxy extends pulumi.ComponentResource {
  readonly containerName: pulumi.Output<string>;
  /** Where the page is. */
  readonly url: string;
  /** Done when the proxy serves its newest configuration. */
  readonly ready: pulumi.Resource;

  constructor(
    name: string,
    args: { server: Server; network: Network; settings: ProxySettings; app: AppSettings; botName: string },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("hockey:index:Proxy", name, {}, opts);
    const { server, network, settings, app, botName } = args;
    const { domain, port } = settings;
    const image = new docker.RemoteImage(
      `${name}-image`,
      { name: settings.image, keepLocally: true },
      { parent: this, provider: server.docker },
    );
    const certificates = new docker.Volume(
      `${name}-data`,
      { name: `${botName}_proxy_data` },
      { parent: this, provider: server.docker },
    );
    const container = new docker.Container(
      `${name}-container`,
      {
        ...hardened(MEMORY),
        name: `${botName}_proxy`,
        image: image.imageId,
        networkMode: network.networkName,
        envs: [`SITE=${domain ?? ":80"}`, `UPSTREAM=${botName}:${app.port}`],
        ports: domain
          ? [
              { internal: 80, external: 80 },
              { internal: 443, external: 443 },
            ]
          : [{ internal: 80, external: port }],
        mounts: [
          {
            type: "bind",
            source: `${server.settings.deployPath}/proxy`,
            target: "/etc/caddy",
            readOnly: true,
          },
          { type: "volume", source: certificates.name, target: "/data" },
        ],
        // The gate's state lives in memory: a restart opens it.
        tmpfs: { "/gate": "size=64k,mode=0700" },
        capabilities: { drops: ["ALL"], adds: ["CAP_NET_BIND_SERVICE"] },
        destroyGraceSeconds: STOP_SECONDS,
        stopTimeout: STOP_SECONDS,
        wait: false,
      },
      containerOptions(this, server.docker, [server]),
    );
    this.containerName = container.name;
    this.url = domain ? `https://${domain}` : `http://${server.settings.host}:${port}`;
    this.ready = server.run(
      `${name}-configuration`,
      {
        script: "reload-proxy.sh",
        args: [container.name],
        rerunOn: digest(CONFIGURATION),
      },
      { parent: this },
    );
    this.registerOutputs({ containerName: this.containerName, url: this.url });
  }
}
