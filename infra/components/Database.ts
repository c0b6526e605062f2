import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { digest } from "../model/digest.ts";
import { dataDirectory, supportWarning } from "../model/postgres.ts";
import type { DatabaseSettings } from "../model/schema.ts";
import { SECRET_MODE, type Server, type ServerFile } from "./Server.ts";
import { containerOptions, hardened } from "./container.ts";
import type { Network } from "./Network.ts";

/** Upper bound of PostgreSQL's memory in MiB: four times its default shared_buffers (128 MiB). */
const MEMORY = 512;
/** Seconds that PostgreSQL gets to write everything down at a stop; being killed costs it a recovery. */
const STOP_SECONDS = 120;
/** Seconds to the first "healthy": initdb on a slow disk. */
const READY_SECONDS = 120;

const SECRETS = "secrets";
const PASSWORD_FILE = "postgres_password";

/** The password, as the file on the server that PostgreSQL's image reads when it makes the database. */
export function passwordFile(password: pulumi.Output<string>): ServerFile {
  return { path: `${SECRETS}/${PASSWORD_FILE}`, mode: SECRET_MODE, content: password };
}

/**
 * PostgreSQL, reachable on the bot's network alone.
 *
 * On the server: a container and the volume with the data. Replacing the container interrupts the bot for the seconds
 * that PostgreSQL takes to stop and start. The volume is protected and kept even when it is deleted here: only the
 * documented second step (docs/QUICKSTART.md) loses data. Another major version is another volume, to which
 * `./delivery database upgrade` moves the data; the old volume leaves the stack and stays on the server.
 */
export class Database extends pulumi.ComponentResource {
  /** Name of the container, which is its host name for the bot. */
  readonly containerName: pulumi.Output<string>;
  /** Done when PostgreSQL answers; what needs the database depends on it. */
  readonly ready: pulumi.Resource;
  /** Has the role take over the password in the secret file, whenever that has changed. */
  readonly setPassword: (name: string, opts: pulumi.CustomResourceOptions) => pulumi.Resource;

  constructor(
    name: string,
    args: {
      server: Server;
      network: Network;
      settings: DatabaseSettings;
      password: pulumi.Output<string>;
      containerName: string;
    },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("hockey:index:Database", name, {}, opts);
    const { server, network, settings, password, containerName } = args;
    const warning = supportWarning(settings.image, new Date());
    if (warning !== undefined) void pulumi.log.warn(warning, this);
    const usual = `${containerName}_data`;
    const volumeName = settings.volume ?? usual;
    const volume = new docker.Volume(
      // Another volume is another resource: what is protected cannot be replaced.
      volumeName === usual ? `${name}-data` : `${name}-data-${volumeName}`,
      { name: volumeName },
      { parent: this, provider: server.docker, protect: true, retainOnDelete: true },
    );
    const image = new docker.RemoteImage(
      `${name}-image`,
      { name: settings.image, keepLocally: true },
      { parent: this, provider: server.docker },
    );
    const container = new docker.Container(
      `${name}-container`,
      {
        ...hardened(MEMORY),
        name: containerName,
        image: image.imageId,
        networkMode: network.networkName,
        envs: [
          `POSTGRES_USER=${settings.user}`,
          `POSTGRES_DB=${settings.name}`,
          `POSTGRES_PASSWORD_FILE=/run/secrets/${PASSWORD_FILE}`,
        ],
        mounts: [
          { type: "volume", source: volume.name, target: dataDirectory(settings.image) },
          {
            type: "bind",
            source: `${server.settings.deployPath}/${SECRETS}`,
            target: "/run/secrets",
            readOnly: true,
          },
        ],
        healthcheck: {
          // Over TCP: while the image makes the database, PostgreSQL answers on its socket already.
          tests: ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", settings.user, "-d", settings.name],
          interval: "2s",
          timeout: "5s",
          retries: 15,
          // As Docker writes a minute: any other spelling would be a difference for ever.
          startPeriod: "1m0s",
        },
        // What the image's entrypoint needs to take over the volume and to become the user postgres.
        capabilities: {
          drops: ["ALL"],
          adds: ["CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID"],
        },
        destroyGraceSeconds: STOP_SECONDS,
        stopTimeout: STOP_SECONDS,
        wait: false,
      },
      containerOptions(this, server.docker, [server]),
    );
    this.containerName = container.name;
    this.ready = server.run(
      `${name}-ready`,
      {
        script: "await-healthy.sh",
        args: [container.name, String(READY_SECONDS)],
        rerunOn: container.id,
      },
      { parent: this },
    );
    this.setPassword = (resource, opts) =>
      server.run(
        resource,
        {
          script: "set-password.sh",
          args: [container.name, settings.user, settings.name],
          rerunOn: password.apply(digest),
        },
        opts,
      );
    this.registerOutputs({ containerName: this.containerName });
  }
}
