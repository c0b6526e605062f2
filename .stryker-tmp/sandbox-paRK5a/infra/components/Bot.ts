// @ts-nocheck
import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { fingerprint } from "../model/digest.ts";
import { BOT_MEMORY, BOT_STOP_SECONDS, HEALTH_CHECK } from "../model/limits.ts";
import { COMPONENTS, dockerNames, REVISION_LABEL } from "../model/names.ts";
import { IN_CONTAINER } from "../model/paths.ts";
import type { AppSettings } from "../model/schema.ts";
import { fileFrom } from "../server-files.ts";
import { containerOptions, hardened } from "./container.ts";
import type { Database } from "./Database.ts";
import type { Image } from "./Image.ts";
import type { Network } from "./Network.ts";
import type { Proxy } from "./Proxy.ts";
import type { Server } from "./Server.ts";

interface BotArgs {
  server: Server;
  network: Network;
  database: Database;
  proxy: Proxy;
  image: Image;
  settings: AppSettings;
  /** `name` of the configuration. */
  botName: string;
  /** All environment variables; secret as a whole. */
  environment: pulumi.Output<Record<string, string>>;
}

/**
 * The running bot, one and only one: two pollers on one Telegram token fight, so the old one stops before the new one
 * starts, while the proxy holds the requests.
 *
 * On the server: one container. A change of anything in it (image, environment, limits) replaces it: requests wait for
 * the seconds of the swap, none is refused. Deleting it stops the bot; its data is in the database.
 */
export class Bot extends pulumi.ComponentResource {
  readonly containerName: pulumi.Output<string>;

  constructor(name: string, args: BotArgs, opts?: pulumi.ComponentResourceOptions) {
    super(COMPONENTS.bot, name, {}, opts);
    const { server, database, proxy } = args;
    const container = containerArgs(args);
    // The gate must close before anything replaces the container.
    const hold = server.run(
      `${name}-hold`,
      { script: "hold-requests.sh", names: {}, rerunOn: pulumi.output(container).apply(fingerprint) },
      { parent: this, dependsOn: [database.ready, proxy.ready] },
    );
    // The role gets a new password only while requests are held: the old bot knows the old one.
    const password = database.setPassword(`${name}-password`, { parent: this, dependsOn: [hold] });
    const running = new docker.Container(
      `${name}-container`,
      container,
      containerOptions(this, server.docker, [password]),
    );
    this.containerName = running.name;
    server.run(
      `${name}-verdict`,
      {
        script: "await-healthy.sh",
        names: {},
        words: ["bot"],
        // The verdict opens the gate. So it comes after every hold, whose output differs each time, even where the
        // container stays; and after every new container, even where nothing was held.
        rerunOn: pulumi.interpolate`${running.id} ${hold.stdout}`,
      },
      { parent: this },
    );
    this.registerOutputs({ containerName: this.containerName });
  }
}

function containerArgs({ network, image, settings, botName, environment }: BotArgs): docker.ContainerArgs {
  const check = fileFrom("container/health-check.sh", IN_CONTAINER.healthCheck, 0o755);
  const url = `http://127.0.0.1:${settings.port}${settings.healthPath}`;
  return {
    ...hardened(BOT_MEMORY),
    name: dockerNames(botName).bot,
    image: image.imageId,
    networkMode: network.networkName,
    envs: environment.apply((variables) =>
      Object.entries(variables).map(([key, value]) => `${key}=${value}`),
    ),
    uploads: [{ file: check.path, content: check.content, executable: true }],
    healthcheck: {
      tests: ["CMD", "/bin/sh", check.path, url],
      interval: `${HEALTH_CHECK.interval}s`,
      timeout: `${HEALTH_CHECK.timeout}s`,
      retries: HEALTH_CHECK.retries,
      startPeriod: `${HEALTH_CHECK.startPeriod}s`,
    },
    capabilities: { drops: ["ALL"] },
    init: true,
    destroyGraceSeconds: BOT_STOP_SECONDS,
    stopTimeout: BOT_STOP_SECONDS,
    labels: [{ label: REVISION_LABEL, value: image.commit }],
    wait: false,
  };
}
