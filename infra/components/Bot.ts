import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { announce } from "../conversation.ts";
import { BOT_MEMORY, BOT_STOP_SECONDS, HEALTH_CHECK, MAKE_SECONDS } from "../model/limits.ts";
import { COMPONENTS, dockerNames, REVISION_LABEL } from "../model/names.ts";
import type { AppSettings } from "../model/schema.ts";
import { contentOf } from "../server-files.ts";
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
 *
 * The server itself guards the swap (scripts/server/swap-bot.sh): it stops and keeps the old container before the new one
 * is made, and has it run again where the new one does not come or does not get well, whatever has become of this
 * program. So Pulumi never deletes the old container, and a failed release leaves the old one running.
 */
export class Bot extends pulumi.ComponentResource {
  readonly containerName: pulumi.Output<string>;

  constructor(name: string, args: BotArgs, opts?: pulumi.ComponentResourceOptions) {
    super(COMPONENTS.bot, name, {}, opts);
    const { server, database, proxy } = args;
    const running = new docker.Container(`${name}-container`, containerArgs(args), {
      ...containerOptions(this, server.docker, [database.ready, proxy.ready]),
      deleteBeforeReplace: false,
      retainOnDelete: true,
      hooks: swapHooks(name, server),
    });
    this.containerName = running.name;
    server.run(
      `${name}-verdict`,
      {
        script: "swap-bot.sh",
        names: { CONTAINER_ID: running.id },
        words: ["verdict"],
        remove: ["remove"],
      },
      { parent: this },
    );
    this.registerOutputs({ containerName: this.containerName });
  }
}

/** Hooks and no resources: they run whenever Pulumi makes a container, and only then. */
function swapHooks(name: string, server: Server): pulumi.ResourceHookBinding {
  /** Gives the time at which the old bot has stopped. */
  const begin = async () => {
    announce("swapping");
    await server.call("swap-bot.sh", {}, ["begin"]);
    return Date.now();
  };
  // While the old bot stops, Pulumi compares what a release leaves as it is. That takes as long, so no request waits
  // longer.
  let early: Promise<number> | undefined;
  server.isRelease.apply((is) => {
    if (!is || pulumi.runtime.isDryRun()) return;
    early = begin();
    // The hook tells of a failure.
    early.catch(() => undefined);
  });
  const finishBeginning = async () => {
    const stoppedAt = await early;
    // Where something else took its time after all, the server gives that swap up, and another one begins after it.
    const isOver = stoppedAt === undefined || Date.now() - stoppedAt > (MAKE_SECONDS * 1000) / 2;
    if (isOver) await begin();
    announce("making");
  };
  const abandon = async () => {
    await server.call("swap-bot.sh", {}, ["abandon"]);
    // The swap has an end then; a second try would need another.
    return false;
  };
  return {
    beforeCreate: [new pulumi.ResourceHook(`${name}-swap`, finishBeginning)],
    onError: [new pulumi.ErrorHook(`${name}-abandon`, abandon)],
  };
}

function containerArgs({ network, image, settings, botName, environment }: BotArgs): docker.ContainerArgs {
  // As an argument of the shell: a file in the container would have to be copied there while requests wait.
  const check = contentOf("container/health-check.sh");
  const url = `http://127.0.0.1:${settings.port}${settings.healthPath}`;
  return {
    ...hardened(BOT_MEMORY),
    name: dockerNames(botName).bot,
    image: image.imageId,
    networkMode: network.networkName,
    envs: environment.apply((variables) =>
      Object.entries(variables).map(([key, value]) => `${key}=${value}`),
    ),
    healthcheck: {
      tests: ["CMD", "/bin/sh", "-c", check, "health-check.sh", url],
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
