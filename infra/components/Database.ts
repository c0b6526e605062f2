import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import {
  DATABASE_MEMORY,
  DATABASE_SHARED_MEMORY,
  DATABASE_STOP_SECONDS,
  HEALTH_CHECK,
} from "../model/limits.ts";
import { COMPONENTS, dockerNames } from "../model/names.ts";
import { IN_CONTAINER, INSTALLED, serverPaths } from "../model/paths.ts";
import { dataDirectory, supportWarning } from "../model/postgres.ts";
import type { DatabaseSettings } from "../model/schema.ts";
import { SECRET_MODE, type ServerFile } from "../server-files.ts";
import { containerOptions, hardened } from "./container.ts";
import type { Network } from "./Network.ts";
import type { Server } from "./Server.ts";

/** The password, as the file on the server that PostgreSQL's image reads when it makes the database. */
export function passwordFile(password: pulumi.Output<string>): ServerFile {
  return { path: INSTALLED.password, mode: SECRET_MODE, content: password };
}

interface DatabaseArgs {
  server: Server;
  network: Network;
  settings: DatabaseSettings;
  /** `name` of the configuration. */
  botName: string;
}

/**
 * PostgreSQL, reachable on the bot's network alone. The bot's role owns its database and is no superuser: that is another
 * role, without a password, which only the socket inside the container lets in. The image makes the bot's role the
 * superuser, and scripts/server/own-database.sh exchanges it before the bot starts. Where a bot of an earlier version runs,
 * it stands for a second or two meanwhile, and the proxy holds the requests.
 *
 * On the server: a container and the volume with the data. Replacing the container interrupts the bot for the seconds
 * that PostgreSQL takes to stop and start. The volume is protected, and stays on the server even when it is deleted
 * here: only the documented second step (docs/QUICKSTART.md) loses data. Another major version has another volume, to
 * which `./delivery database upgrade` moves the data; the old volume leaves the stack and stays on the server.
 */
export class Database extends pulumi.ComponentResource {
  /** Name of the container, which is its host name for the bot. */
  readonly containerName: pulumi.Output<string>;
  /** Done when PostgreSQL answers and the role owns its database; what needs the database depends on it. */
  readonly ready: pulumi.Resource;

  constructor(name: string, args: DatabaseArgs, opts?: pulumi.ComponentResourceOptions) {
    super(COMPONENTS.database, name, {}, opts);
    const { server, settings } = args;
    const warning = supportWarning(settings.image, new Date());
    if (warning !== undefined) void pulumi.log.warn(warning, this);
    const volume = this.declareVolume(name, args);
    const image = new docker.RemoteImage(
      `${name}-image`,
      { name: settings.image, keepLocally: true },
      { parent: this, provider: server.docker },
    );
    const container = new docker.Container(
      `${name}-container`,
      containerArgs(args, image.imageId, volume.name),
      // A running database is not stopped for another health check or more shared memory.
      { ...containerOptions(this, server.docker, [server]), ignoreChanges: ["healthcheck", "shmSize"] },
    );
    this.containerName = container.name;
    const answering = server.run(
      `${name}-ready`,
      { script: "await-healthy.sh", names: {}, words: ["database"], rerunOn: container.id },
      { parent: this },
    );
    this.ready = server.run(
      `${name}-owner`,
      {
        script: "own-database.sh",
        names: {},
        words: [serverPaths(server.settings).settings, "own"],
        rerunOn: pulumi.interpolate`${container.id} ${settings.extensions.join(" ")}`,
      },
      { parent: this, dependsOn: [answering] },
    );
    this.registerOutputs({ containerName: this.containerName });
  }

  private declareVolume(name: string, { server, settings, botName }: DatabaseArgs): docker.Volume {
    const usual = dockerNames(botName).data;
    const volume = settings.volume ?? usual;
    return new docker.Volume(
      // A volume of another name is another resource: a protected one cannot be replaced.
      volume === usual ? `${name}-data` : `${name}-data-${volume}`,
      { name: volume },
      {
        ...{ parent: this, provider: server.docker, dependsOn: [server.claim] },
        ...{ protect: true, retainOnDelete: true },
      },
    );
  }
}

function containerArgs(
  { server, network, settings, botName }: DatabaseArgs,
  image: pulumi.Output<string>,
  volume: pulumi.Output<string>,
): docker.ContainerArgs {
  return {
    ...hardened(DATABASE_MEMORY),
    shmSize: DATABASE_SHARED_MEMORY,
    name: dockerNames(botName).database,
    image,
    networkMode: network.networkName,
    envs: [
      `POSTGRES_USER=${settings.user}`,
      `POSTGRES_DB=${settings.name}`,
      `POSTGRES_PASSWORD_FILE=${IN_CONTAINER.password}`,
    ],
    mounts: [
      { type: "volume", source: volume, target: dataDirectory(settings.image) },
      {
        type: "bind",
        source: serverPaths(server.settings).secretsDirectory,
        target: IN_CONTAINER.secrets,
        readOnly: true,
      },
    ],
    healthcheck: {
      // Over TCP: while the image makes the database, PostgreSQL answers on its socket already.
      tests: ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", settings.user, "-d", settings.name],
      // Half as often as the bot, whose own check asks the database, too. As Docker writes a minute: any other spelling
      // would show as a difference for ever.
      interval: "1m0s",
      timeout: `${HEALTH_CHECK.timeout}s`,
      retries: HEALTH_CHECK.retries,
      startPeriod: "1m0s",
    },
    // What the image's entrypoint needs to take over the volume and to become the user postgres.
    capabilities: {
      drops: ["ALL"],
      adds: ["CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID"],
    },
    destroyGraceSeconds: DATABASE_STOP_SECONDS,
    stopTimeout: DATABASE_STOP_SECONDS,
    wait: false,
  };
}
