import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../config.ts";
import { COMPONENTS } from "../model/names.ts";
import type { Server } from "./Server.ts";

/**
 * The bot's image of one commit, built on the server from the repository.
 *
 * On the server: the image `name:commit` and a bare mirror of the repository. A new commit builds a new image beside
 * the old ones and touches no container; a commit whose image is there builds nothing. Deleting it loses nothing.
 */
export class Image extends pulumi.ComponentResource {
  /** The full hash of the commit. */
  readonly commit: string;
  /** Docker's id of the image, `sha256:…`. */
  readonly imageId: pulumi.Output<string>;

  constructor(
    name: string,
    args: {
      server: Server;
      settings: Settings;
      /** Docker's id of the image, where the server has it already. */
      known?: string;
      /** What must exist before the server can read the repository. */
      access: pulumi.Resource[];
    },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super(COMPONENTS.image, name, {}, opts);
    const { server, settings, access, known } = args;
    const { commit } = settings;
    this.commit = commit;
    const build = server.run(
      `${name}-image`,
      { script: "build-image.sh", names: { IMAGE: settings.name, COMMIT: commit } },
      {
        parent: this,
        dependsOn: access,
        // An image that is there needs no command that finds it: its connection alone would take a tenth of a release.
        ignoreChanges: known === undefined ? [] : ["create", "update", "connection"],
      },
    );
    // The bot's container comes after the command all the same: Pulumi's `--target` fails where the state knows of a
    // dependency that a run does not wait for.
    this.imageId = build.stdout.apply((built) => known ?? built);
    this.registerOutputs({ commit, imageId: this.imageId });
  }
}
