import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Server } from "./Server.ts";

/**
 * The bridge network on which bot, database and proxy find each other by container name.
 *
 * On the server: one Docker network. Replacing it stops everything on it; deleting it loses nothing.
 */
export class Network extends pulumi.ComponentResource {
  /** The network's name, for `networkMode`. */
  readonly networkName: pulumi.Output<string>;

  constructor(
    name: string,
    args: { server: Server; botName: string },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("hockey:index:Network", name, {}, opts);
    const network = new docker.Network(
      name,
      { name: networkName(args.botName), driver: "bridge" },
      { parent: this, provider: args.server.docker, deleteBeforeReplace: true },
    );
    this.networkName = network.name;
    this.registerOutputs({ networkName: this.networkName });
  }
}

/** The first bot's network has the name that it always had; every further bot on the same server has one of its own. */
function networkName(botName: string): string {
  return botName === "training_bot" ? "bot_network" : `${botName}_network`;
}
