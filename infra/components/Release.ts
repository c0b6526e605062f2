import type { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { AppSettings } from "../config";
import type { Server } from "../server";

/**
 * The bot's image of one commit, built on the server from the repository.
 *
 * On the server: the image `imageName:commit` and a bare copy of the repository. A new commit builds a new image beside
 * the old ones and touches nothing that runs; a commit whose image is there builds nothing. Deleting it loses nothing.
 */
export class Release extends pulumi.ComponentResource {
  /** The full hash of the commit. */
  readonly commit: string;
  /** Docker's id of the image, `sha256:…`. */
  readonly imageId: pulumi.Output<string>;

  constructor(
    name: string,
    args: { server: Server; settings: AppSettings; imageName: string; commit: string },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("hockey:index:Release", name, {}, opts);
    const { server, settings, imageName, commit } = args;
    this.commit = commit;
    const build: remote.Command = server.run(
      `${name}-image`,
      {
        script: "build-image.sh",
        args: [imageName, settings.repository, commit, server.settings.deployPath],
      },
      { parent: this },
    );
    this.imageId = build.stdout;
    this.registerOutputs({ commit, imageId: this.imageId });
  }
}
