import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { digest } from "../model/digest.ts";
import { PROXY_MEMORY, PROXY_STOP_SECONDS } from "../model/limits.ts";
import { COMPONENTS, dockerNames } from "../model/names.ts";
import { IN_CONTAINER, INSTALLED, serverPaths } from "../model/paths.ts";
import type { AppSettings, ProxySettings } from "../model/schema.ts";
import { fileFrom } from "../server-files.ts";
import { containerOptions, hardened } from "./container.ts";
import type { Network } from "./Network.ts";
import type { Server } from "./Server.ts";

/** Caddy's configuration, as the file on the server that the proxy reads: the same for every bot. */
export const caddyfile = fileFrom("container/Caddyfile", INSTALLED.caddyfile, 0o644);

interface ProxyArgs {
  server: Server;
  network: Network;
  settings: ProxySettings;
  app: AppSettings;
  /** `name` of the configuration. */
  botName: string;
}

/**
 * Caddy before the bot: the only container that publishes a port. It holds requests while the bot is replaced. Its memory
 * is raised in place.
 *
 * On the server: a container, and a volume for certificates. No key of the configuration changes the Caddyfile, only
 * another version of this project does, and Caddy takes that over while it goes on (reload-proxy.sh says at what price).
 * Replacing the container (another domain, port or image) refuses connections for a second. Deleting it takes the page
 * off the net and loses nothing: Caddy gets its certificates anew.
 */
export class Proxy extends pulumi.ComponentResource {
  readonly containerName: pulumi.Output<string>;
  /** Where the page is. */
  readonly url: string;
  /** Done when the proxy serves its newest configuration. */
  readonly ready: pulumi.Resource;

  constructor(name: string, args: ProxyArgs, opts?: pulumi.ComponentResourceOptions) {
    super(COMPONENTS.proxy, name, {}, opts);
    const { server, settings, botName } = args;
    const { domain, port, image: imageName } = settings;
    const options = { parent: this, provider: server.docker };
    const image = new docker.RemoteImage(`${name}-image`, { name: imageName, keepLocally: true }, options);
    const certificates = new docker.Volume(
      `${name}-data`,
      { name: dockerNames(botName).certificates },
      options,
    );
    const container = new docker.Container(
      `${name}-container`,
      containerArgs(args, image.imageId, certificates.name),
      containerOptions(this, server.docker, [server]),
    );
    this.containerName = container.name;
    this.url = domain ? `https://${domain}` : `http://${server.settings.host}:${port}`;
    this.ready = server.run(
      `${name}-configuration`,
      { script: "reload-proxy.sh", names: {}, rerunOn: digest(caddyfile.content) },
      { parent: this, dependsOn: [container] },
    );
    if (domain !== undefined) {
      // Nothing waits for it: the bot needs no certificate.
      const rerunOn = pulumi.interpolate`${container.id} ${server.uncertifiedAt}`;
      server.run(
        `${name}-certificate`,
        { script: "await-certificate.sh", names: {}, rerunOn },
        { parent: this, dependsOn: [this.ready] },
      );
    }
    this.registerOutputs({ containerName: this.containerName, url: this.url });
  }
}

function containerArgs(
  { server, network, settings: { domain, port }, app, botName }: ProxyArgs,
  image: pulumi.Output<string>,
  certificates: pulumi.Output<string>,
): docker.ContainerArgs {
  const names = dockerNames(botName);
  const published = domain
    ? [
        { internal: 80, external: 80 },
        { internal: 443, external: 443 },
      ]
    : [{ internal: 80, external: port }];
  return {
    ...hardened(PROXY_MEMORY),
    name: names.proxy,
    image,
    networkMode: network.networkName,
    envs: [`SITE=${domain ?? ":80"}`, `UPSTREAM=${names.bot}:${app.port}`],
    ports: published,
    mounts: [
      {
        type: "bind",
        source: serverPaths(server.settings).proxyDirectory,
        target: IN_CONTAINER.caddyDirectory,
        readOnly: true,
      },
      { type: "volume", source: certificates, target: IN_CONTAINER.certificates },
    ],
    // The gate's state lives in memory: a restart opens it.
    tmpfs: { [IN_CONTAINER.gateDirectory]: "size=64k,mode=0700" },
    capabilities: { drops: ["ALL"], adds: ["CAP_NET_BIND_SERVICE"] },
    destroyGraceSeconds: PROXY_STOP_SECONDS,
    stopTimeout: PROXY_STOP_SECONDS,
    wait: false,
  };
}
