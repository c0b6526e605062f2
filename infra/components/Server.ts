import { remote } from "@pulumi/command";
import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { callServer } from "../call-server.ts";
import type { ServerReport } from "../check-server.ts";
import { connectionTo } from "../connection.ts";
import { digest } from "../model/digest.ts";
import { COMPONENTS } from "../model/names.ts";
import type { ServerSettings } from "../model/schema.ts";
import { type Arguments, bundle, installedCall, type ScriptName, uploadedCall } from "../model/scripts.ts";
import type { StackSettings } from "../model/server-settings.ts";
import { explain, shellCommand, sshOptions } from "../model/ssh.ts";
import {
  archive,
  type KnownFile,
  manifest,
  scriptFiles,
  SECRET_MODE,
  type ServerFile,
  withContents,
} from "../server-files.ts";

/** A call of an installed script. */
interface ScriptArgs<S extends ScriptName> {
  /** It must be safe to run twice. */
  script: S;
  /** Arguments by name: only those whose change must run the script again. All else is in the settings file. */
  names: Arguments<S, pulumi.Input<string>>;
  /** Positional arguments. */
  words?: string[];
  /** A value whose change runs the script again. */
  rerunOn?: pulumi.Input<string>;
  /** Positional arguments with which the script undoes its work on deletion; without them a deletion runs nothing. */
  remove?: string[];
}

/**
 * The server as seen from here: how to reach it, its Docker Engine, and the stack's directories and files.
 *
 * On the server: the deploy user's directories `deployPath` and `backupPath`, and below the former bin/ (the installed
 * scripts of scripts/server/), backups/, proxy/ and secrets/. A change rewrites the files that differ and interrupts
 * nothing. Deleting it removes these files; backups, images and the mirror of the repository stay.
 */
export class Server extends pulumi.ComponentResource {
  /** Provider of every resource in the server's Docker Engine. */
  readonly docker: docker.Provider;
  /** The server's address and directories. */
  readonly settings: ServerSettings;
  /** When files on the server were last found to differ (ISO 8601); empty where they never were. */
  readonly driftedAt: string;
  /** When an update last found no certificate for the domain (ISO 8601); empty where that never was so. */
  readonly uncertifiedAt: string;
  /** Whether this update is a release and nothing else: the server has every file as it shall be, and an older bot. */
  readonly isRelease: pulumi.Output<boolean>;
  /** What holds the directories: what is in them, and the data, goes before it. */
  readonly claim: pulumi.Resource;
  private readonly stack: StackSettings & { sshPrivateKey?: string };
  private readonly connection: remote.CommandArgs["connection"];
  private readonly files: remote.Command;

  constructor(
    name: string,
    args: {
      settings: StackSettings & { sshPrivateKey?: string };
      files: ServerFile[];
      report: ServerReport;
      claim: pulumi.Resource;
    },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super(COMPONENTS.server, name, {}, opts);
    const { server, sshPrivateKey } = args.settings;
    const { host, port, user } = server;
    this.settings = server;
    this.claim = args.claim;
    this.stack = args.settings;
    // A new time puts all files there anew.
    this.driftedAt = args.report.driftedAt;
    this.connection = connectionTo(args.settings);
    this.uncertifiedAt = args.report.uncertifiedAt;
    this.docker = new docker.Provider(
      `${name}-docker`,
      {
        host: `ssh://${user}@${host}:${port}`,
        sshOpts: sshOptions(server, pulumi.getStack(), sshPrivateKey !== undefined),
      },
      { parent: this },
    );
    const files = withContents([...scriptFiles(), ...args.files]);
    this.files = this.installFiles(`${name}-files`, args.settings, files);
    this.isRelease = files.apply(
      (all) => args.report.isRelease && digest(manifest(all)) === args.report.manifest,
    );
    this.registerOutputs();
  }

  /**
   * Runs an installed script on the server, at creation and whenever a name or `rerunOn` changes. Installed, because the
   * text of an uploaded one would be an input here: a changed comment would run it again, and the state would hold the
   * old text for the deletion.
   */
  run<S extends ScriptName>(
    name: string,
    { script, names, words = [], rerunOn, remove }: ScriptArgs<S>,
    opts: pulumi.CustomResourceOptions,
  ): remote.Command {
    // `rerunOn` goes to standard input, which no script reads: a changed `triggers` would delete and create anew. It is
    // read before the script begins: ssh fails with "EOF" when a script ends before all of its input has come.
    const prefix = rerunOn === undefined ? "" : "cat >/dev/null; ";
    const create = pulumi
      .output(names)
      .apply(
        (known) => prefix + shellCommand(installedCall(script, this.settings, known as Arguments<S>, words)),
      );
    return new remote.Command(
      name,
      {
        ...this.command(create),
        delete:
          remove && prefix + shellCommand(installedCall(script, this.settings, {} as Arguments<S>, remove)),
        stdin: rerunOn,
        // Standard error is shown as it comes; standard output is the resource's output.
        logging: remote.Logging.Stderr,
      },
      { ...opts, dependsOn: [this.files, ...dependencies(opts)] },
    );
  }

  /**
   * Calls an installed script around an operation of another resource, over the connection that is open already.
   *
   * @throws Error with the script's last words; the operation fails with it
   */
  async call<S extends ScriptName>(script: S, names: Arguments<S>, words: string[]): Promise<void> {
    const answer = await callServer(
      this.stack,
      pulumi.getStack(),
      installedCall(script, this.settings, names, words),
    );
    const fault = explain(answer, this.stack);
    if (fault !== undefined) throw new Error(fault);
  }

  private installFiles(
    name: string,
    settings: StackSettings,
    files: pulumi.Output<KnownFile[]>,
  ): remote.Command {
    const call = (word: string) => shellCommand(uploadedCall("install-files.sh", settings, {}, [word]));
    // A preview shows no archive, so the command ends in a comment with the version of each file that is not secret.
    const versions = files.apply((all) =>
      all
        .filter(({ mode }) => mode !== SECRET_MODE)
        .map(({ path, content }) => `${path}:${digest(content).slice(0, 8)}`),
    );
    const comment = versions.apply((all) => [...all, this.driftedAt].join(" ").trim());
    return new remote.Command(
      name,
      {
        ...this.command(pulumi.unsecret(pulumi.interpolate`${call("install")} # ${comment}`)),
        delete: call("remove"),
        stdin: pulumi.secret(
          files.apply(archive).apply((payload) => `${bundle("install-files.sh")}\n${payload}`),
        ),
        logging: remote.Logging.None,
      },
      { parent: this, dependsOn: [this.claim], hideDiffs: ["stdin"] },
    );
  }

  /** What every command on the server has in common; with `update` a change never deletes first. */
  private command(create: pulumi.Input<string>) {
    return { connection: this.connection, create, update: create, addPreviousOutputInEnv: false };
  }
}

function dependencies(opts: pulumi.CustomResourceOptions): pulumi.Input<pulumi.Resource>[] {
  return opts.dependsOn === undefined ? [] : ([opts.dependsOn].flat() as pulumi.Input<pulumi.Resource>[]);
}
