import { readFileSync } from "node:fs";
import { join } from "node:path";
import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { digest } from "../model/digest.ts";
import type { AppSettings } from "../model/schema.ts";
import type { Server } from "./Server.ts";
import { containerOptions, hardened } from "./container.ts";
import type { Database } from "./Database.ts";
import type { Network } from "./Network.ts";
import type { Proxy } from "./Proxy.ts";
import type { Image } from "./Image.ts";

/** Upper bound of the bot's memory in MiB. */
const MEMORY = 512;
/** Seconds between SIGTERM and SIGKILL: requests in flight and the poller's last answer. */
const STOP_SECONDS = 30;
/** Seconds until a release that neither gets healthy nor fails is given up. */
const HEALTHY_SECONDS = 60;
/** Seconds after which the gate opens by itself: longer than any swap, so only a lost update meets it. */
const HOLD_SECONDS = 120;

const HEALTH_CHECK = "/usr/local/bin/delivery-health-check";

/**
 * The running bot, one and only one: two pollers on one Telegram token fight, so the old one stops before the new one
 * starts, while the proxy holds the requests.
 *
 * On the server: one container. A change of anything in it (image, environment, limits) replaces it: requests wait for
 * the seconds of the swap, none is refused. Deleting it stops the bot; its data is in the database.
 */
export class Bot extends pulumi.ComponentResource {
  readonly containerName: pulumi.Output<string>;

  constructor(
    name: string,
    args: {
      server: Server;
      network: Network;
      database: Database;
      proxy: Proxy;
      built: Image;
      settings: AppSettings;
      containerName: string;
      /** All environment variables; secret as a whole. */
      environment: pulumi.Output<Record<string, string>>;
    },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("hockey:index:Bot", name, {}, opts);
    const { server, network, database, proxy, built, settings, containerName, environment } = args;
    const page = `${settings.port}${settings.healthPath}`;
    const container: docker.ContainerArgs = {
      ...hardened(MEMORY),
      name: containerName,
      image: built.imageId,
      networkMode: network.networkName,
      envs: environment.apply((variables) =>
        Object.entries(variables).map(([key, value]) => `${key}=${value}`),
      ),
      uploads: [{ file: HEALTH_CHECK, content: healthCheck(), executable: true }],
      healthcheck: {
        tests: ["CMD", "/bin/sh", HEALTH_CHECK, `http://127.0.0.1:${page}`],
        interval: "5s",
        timeout: "5s",
        retries: 3,
        startPeriod: "10s",
      },
      capabilities: { drops: ["ALL"] },
      init: true,
      destroyGraceSeconds: STOP_SECONDS,
      stopTimeout: STOP_SECONDS,
      labels: [{ label: "org.opencontainers.image.revision", value: built.commit }],
      wait: false,
    };
    // Whatever replaces the container must close the gate first.
    const changes = pulumi.output(container).apply((value) => digest(JSON.stringify(value)));
    const hold = server.run(
      `${name}-hold`,
      { script: "hold-requests.sh", args: [proxy.containerName, String(HOLD_SECONDS)], rerunOn: changes },
      { parent: this, dependsOn: [database.ready, proxy.ready] },
    );
    // A new password is the role's only while nobody is served: the old bot knows the old one.
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
        args: [running.name, String(HEALTHY_SECONDS), proxy.containerName, page],
        rerunOn: running.id,
      },
      { parent: this },
    );
    this.registerOutputs({ containerName: this.containerName });
  }
}

/** The check that Docker runs inside the bot's container, with whatever the image has. */
function healthCheck(): string {
  return readFileSync(
    join(import.meta.dirname, "..", "..", "scripts", "server", "container", "health-check.sh"),
    "utf8",
  );
}
