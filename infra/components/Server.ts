import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { remote } from "@pulumi/command";
import docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import * as tar from "tar-stream";
import { digest } from "../model/digest.ts";
import type { ServerSettings } from "../model/schema.ts";
import { shellCommand, sshOptions } from "../model/ssh.ts";

/** Permissions of a file that only the deploy user may read. */
export const SECRET_MODE = 0o600;

const SCRIPTS = join(import.meta.dirname, "..", "..", "scripts", "server");

/** A file that the stack puts on the server. */
export interface ServerFile {
  /** Path below `server.deployPath`. */
  path: string;
  /** Permissions; `SECRET_MODE` for whatever is secret. */
  mode: number;
  content: pulumi.Input<string>;
}

/** A call of one of scripts/*.sh on the server. */
interface ScriptArgs {
  /** File name in scripts/; it must be safe to run twice. */
  script: string;
  args: pulumi.Input<string>[];
  /** Further arguments, by name. */
  env?: Record<string, string>;
  /** A value whose change runs the script again. */
  rerunOn?: pulumi.Input<string>;
  /** Arguments with which the script undoes its work when the resource is deleted; without them nothing is run then. */
  remove?: string[];
}

/**
 * The server as seen from here: how to reach it, its Docker Engine, and the stack's directories and files.
 *
 * On the server: the deploy user's directories `deployPath` and `backupPath`, and below the former bin/ (scripts/*.sh),
 * proxy/ and secrets/. Changing it rewrites the files that differ and interrupts nothing. Deleting it removes
 * these files; backups, images and the copy of the repository stay.
 */
export class Server extends pulumi.ComponentResource {
  /** Options for every resource that lives in the server's Docker Engine. */
  readonly docker: docker.Provider;
  /** The server's address and directories. */
  readonly settings: ServerSettings;
  /** When files on the server were last found to differ; empty where they never were. */
  readonly damaged: string;
  private readonly connection: remote.CommandArgs["connection"];
  private readonly files: remote.Command;

  constructor(
    name: string,
    args: {
      settings: ServerSettings;
      sshPrivateKey?: string;
      files: ServerFile[];
      /** When files on the server were last found to differ; they are put there anew after that. */
      damaged?: string;
    },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("hockey:index:Server", name, {}, opts);
    const { settings, sshPrivateKey, damaged = "" } = args;
    this.settings = settings;
    this.damaged = damaged;
    this.connection = {
      host: settings.host,
      port: settings.port,
      user: settings.user,
      hostKey: settings.hostKey,
      privateKey: sshPrivateKey && pulumi.secret(sshPrivateKey),
    };
    this.docker = new docker.Provider(
      `${name}-docker`,
      {
        host: `ssh://${settings.user}@${settings.host}:${settings.port}`,
        sshOpts: sshOptions(settings, sshPrivateKey !== undefined),
      },
      { parent: this },
    );
    this.files = this.installFiles(`${name}-files`, [...scripts(), ...args.files], damaged);
    this.registerOutputs();
  }

  /** Runs a script on the server, at creation and whenever an argument or `rerunOn` changes. */
  run(
    name: string,
    { script, args, env, rerunOn, remove }: ScriptArgs,
    opts: pulumi.CustomResourceOptions,
  ): remote.Command {
    const named = Object.entries(env ?? {}).map(([key, value]) => `${key}=${value}`);
    const path = [...(env ? ["env", ...named] : []), `${this.settings.deployPath}/bin/${script}`];
    // `rerunOn` goes to standard input, which no script reads: a changed `triggers` would delete and create anew. It is
    // taken before the script begins: one that ends before all of it has come fails with "EOF".
    const call = (words: string[]) =>
      `${rerunOn === undefined ? "" : "cat >/dev/null; "}${shellCommand([...path, ...words])}`;
    return new remote.Command(
      name,
      {
        ...this.command(pulumi.all(args).apply(call)),
        delete: remove && call(remove),
        stdin: rerunOn,
        // What the script reports is shown as it comes; what it gives back is its output.
        logging: remote.Logging.Stderr,
      },
      { ...opts, dependsOn: [this.files, ...dependencies(opts)] },
    );
  }

  private installFiles(name: string, files: ServerFile[], damaged: string): remote.Command {
    const { deployPath, backupPath } = this.settings;
    const script = readFileSync(join(SCRIPTS, "install-files.sh"), "utf8");
    const install = shellCommand(["bash", "-s", "--", "install", deployPath, backupPath]);
    const contents = pulumi.all(files.map(({ content }) => content));
    const full = contents.apply((texts) =>
      files.map((file, index) => ({ ...file, content: texts[index] ?? "" })),
    );
    // For the reader of a preview, who sees no archive: which files change. Nothing is said of what is secret.
    const open = full.apply((all) => all.filter(({ mode }) => mode !== SECRET_MODE));
    const versions = open.apply((all) =>
      all.map(({ path, content }) => `${path}:${digest(content).slice(0, 8)}`),
    );
    return new remote.Command(
      name,
      {
        ...this.command(
          pulumi.unsecret(
            pulumi.interpolate`${install} # ${versions.apply((all) => [...all, damaged].join(" ").trim())}`,
          ),
        ),
        delete: shellCommand(["bash", "-s", "--", "remove", deployPath]),
        stdin: pulumi.secret(full.apply(archive).apply((payload) => `${script}\n${payload}`)),
        logging: remote.Logging.None,
      },
      { parent: this, hideDiffs: ["stdin"] },
    );
  }

  /** What every command on the server has in common; `update` so that a change never deletes first. */
  private command(create: pulumi.Input<string>) {
    return { connection: this.connection, create, update: create, addPreviousOutputInEnv: false };
  }
}

/** Everything that runs on the server, and what it sources. */
function scripts(): ServerFile[] {
  return [...readdirSync(SCRIPTS), ...readdirSync(join(SCRIPTS, "lib")).map((file) => `lib/${file}`)]
    .filter((file) => file.endsWith(".sh"))
    .sort()
    .map((file) => ({
      path: `bin/${file}`,
      mode: 0o755,
      content: readFileSync(join(SCRIPTS, file), "utf8"),
    }));
}

function dependencies(opts: pulumi.CustomResourceOptions): pulumi.Input<pulumi.Resource>[] {
  return opts.dependsOn === undefined ? [] : ([opts.dependsOn].flat() as pulumi.Input<pulumi.Resource>[]);
}

/** A tar archive in base64 with the files and their manifest.sha256; the same files give the same text. */
async function archive(files: { path: string; mode: number; content: string }[]): Promise<string> {
  const pack = tar.pack();
  const mtime = new Date(0);
  for (const directory of new Set(files.map(({ path }) => dirname(path)))) {
    const secret = files.some(({ path, mode }) => path.startsWith(`${directory}/`) && mode === SECRET_MODE);
    pack.entry({ name: directory, type: "directory", mode: secret ? 0o700 : 0o755, mtime });
  }
  for (const { path, mode, content } of files) pack.entry({ name: path, mode, mtime }, content);
  const manifest = files.map(({ path, content }) => `${digest(content)}  ${path}\n`).join("");
  pack.entry({ name: "manifest.sha256", mode: SECRET_MODE, mtime }, manifest);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("base64");
}
