// @ts-nocheck
import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { COMPONENTS, dockerNames } from "../model/names.ts";
import type { Server } from "./Server.ts";

/**
 * The bridge network on which bot, database and proxy find each other by container name.
 *
 * On the server: one Docker network. Replacing it stops all three containers; deleting it loses nothing.
 */
export class Network extends pulumi.ComponentResource {
  /** The network's name, for `networkMode`. */
  readonly networkName: pulumi.Output<string>;

  constructor(
    name: string,
    args: { server: Server; botName: string },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super(COMPONENTS.network, name, {}, opts);
    const network = new docker.Network(
      name,
      { name: dockerNames(args.botName).network, driver: "bridge" },
      { parent: this, provider: args.server.docker, deleteBeforeReplace: true },
    );
    this.networkName = network.name;
    this.registerOutputs({ networkName: this.networkName });
  }
}
