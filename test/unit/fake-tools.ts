import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { bundle, type ScriptName, SCRIPTS } from "../../infra/model/scripts.ts";
import { shellCommand } from "../../infra/model/ssh.ts";
import type { FakeUpdate } from "./fake-update.ts";
import { rawConfig } from "./fixtures.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** As many lines tell a script from every other one; what a caller adds comes after the script. */
const HEAD_LINES = 3;

/** A secret as a stack's file has it. */
const SECURE = { secure: "v1:AAAAAAAAAAA=:AAAAAAAAAAAAAAAA" };
/** The secrets that no stack can do without. */
const SECRETS = { postgresPassword: SECURE, telegramToken: SECURE, secretKey: SECURE };

/** What a tool says to one call, and how it ends. */
export interface Reply {
  stdout?: string;
  stderr?: string;
  status?: number;
  /** Instead of all that: lines of sh that talk with the caller over standard input and output. */
  talk?: string;
  /** Of `pulumi up` instead of all that: an update that talks with the command as the program does. */
  update?: FakeUpdate;
}

/** One call of a tool. */
export interface Call {
  /** The name in the table under which it was answered: `ssh find-commit.sh`, `pulumi stack export`. */
  name: string;
  args: string[];
  /** The last argument, which for ssh is the command on the server. */
  command: string;
  stdin: string;
}

/** How a command ended. */
export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

/**
 * A project in a directory of its own, in which the operator's commands run for real, but for two programs: `ssh` and
 * `pulumi` are scripts that note their calls and answer from a table.
 */
export class FakeProject extends TemporaryDirectory {
  /** The stack's configuration file. */
  readonly file = join(this.directory, "Pulumi.test.yaml");
  private readonly locks = join(this.directory, "state/.pulumi/locks/organization/hockey/test");

  /** @param changes to the configuration, at its top level */
  constructor(changes: Record<string, unknown> = {}) {
    super("project-");
    for (const part of ["operator", "infra", "node_modules"])
      symlinkSync(join(ROOT, part), join(this.directory, part));
    writeFileSync(join(this.directory, "Pulumi.yaml"), "name: hockey\n");
    this.configure(changes);
    for (const part of [".tools/bin", "answers", "calls", "scripts"]) {
      mkdirSync(join(this.directory, part), { recursive: true });
    }
    for (const tool of ["ssh", "pulumi"]) {
      writeFileSync(join(this.directory, ".tools/bin", tool), fakeTool(tool, this.directory), {
        mode: 0o755,
      });
    }
    for (const script of Object.keys(SCRIPTS) as ScriptName[]) {
      const head = bundle(script).split("\n").slice(0, HEAD_LINES);
      const hash = createHash("sha256")
        .update(`${head.join("\n")}\n`)
        .digest("hex");
      writeFileSync(join(this.directory, "scripts", hash), `${script}\n`);
    }
  }

  /** Writes the stack's configuration file anew. */
  configure(changes: Record<string, unknown> = {}): void {
    const { commit, server, app } = rawConfig();
    const keys = Object.entries({ commit, server, app, ...SECRETS, ...changes }).filter(
      ([, value]) => value !== undefined,
    );
    const config = Object.fromEntries(keys.map(([key, value]) => [`hockey:${key}`, value]));
    writeFileSync(this.file, stringify({ config }));
  }

  /** What a stack's configuration file says. */
  configured(file = "Pulumi.test.yaml"): Record<string, unknown> {
    return (parse(this.read(file)) as { config: Record<string, unknown> }).config;
  }

  /**
   * Says how calls of this name are answered from now on; the last reply is repeated.
   *
   * @param name the tool, and the script or subcommand: `ssh find-commit.sh`, `ssh docker stop`, `pulumi stack export`
   */
  answer(name: string, ...replies: Reply[]): this {
    const directory = join(this.directory, "answers", name);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    replies.forEach((reply, index) => {
      writeFileSync(join(directory, String(index)), replyScript(reply));
    });
    return this;
  }

  /** The line of sh with which a tool has calls of this name answered otherwise from then on. */
  answerLater(name: string, reply: Reply): string {
    const later = join(this.directory, `later ${name}`);
    writeFileSync(later, replyScript(reply));
    return `cp '${later}' 'answers/${name}/0'`;
  }

  /** All calls so far, in the order in which they began. */
  calls(name?: string): Call[] {
    const log = join(this.directory, "log");
    const ids = existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n") : [];
    const all = ids.map((id) => {
      const read = (part: string) => {
        const path = join(this.directory, "calls", id, part);
        return existsSync(path) ? readFileSync(path, "utf8") : "";
      };
      const args = read("args").split("\0").slice(0, -1);
      return { name: read("name"), args, command: args.at(-1) ?? "", stdin: read("stdin") };
    });
    return name === undefined ? all : all.filter((call) => call.name === name);
  }

  /** The names of all calls so far. */
  called(): string[] {
    return this.calls().map(({ name }) => name);
  }

  /** A lock as an update leaves it in the state. */
  lock(holder: { pid: number; hostname: string }): void {
    mkdirSync(this.locks, { recursive: true });
    const content = { username: "ann", timestamp: new Date().toISOString(), ...holder };
    writeFileSync(join(this.locks, "1.json"), JSON.stringify(content));
  }

  /** The line of sh with which a tool takes the lock of this process. */
  lockLater(): string {
    this.lock({ pid: process.pid, hostname: hostname() });
    const later = join(this.directory, "locks");
    renameSync(this.locks, later);
    return `mv '${later}' '${this.locks}'`;
  }

  /**
   * Runs `./delivery` in the project.
   *
   * @param env further variables; undefined takes one away
   * @param typed what the operator types on a terminal; without it there is no terminal
   */
  async run(args: string[], env: Record<string, string | undefined> = {}, typed?: string): Promise<Ended> {
    const command = ["--import", redirection(this.directory), join(ROOT, "operator/cli.ts"), ...args];
    const onTerminal = ["-qec", shellCommand([process.execPath, ...command]), "/dev/null"];
    const [program, words] = typed === undefined ? [process.execPath, command] : ["script", onTerminal];
    const { exitCode, stdout, stderr } = await execa(program, words, {
      cwd: tmpdir(),
      env: {
        HOME: this.directory,
        PULUMI_BACKEND_URL: `file://${this.directory}/state`,
        PULUMI_STACK: undefined,
        GITHUB_ACTOR: "ann",
        NO_COLOR: "1",
        // As ./delivery does: it halves the start of each command.
        NODE_COMPILE_CACHE: join(homedir(), ".cache/hockey-delivery/compile"),
        ...env,
      },
      input: typed ?? "",
      reject: false,
    });
    return { status: exitCode ?? -1, stdout, stderr };
  }

  /** Takes a tool away; the machine's own may still be in PATH. */
  remove(tool: "ssh" | "pulumi"): void {
    rmSync(join(this.directory, ".tools/bin", tool));
  }
}

/** The project's directory is where operator/stack.ts is: that one module is loaded from beside the scratch files. */
function redirection(directory: string): string {
  const real = pathToFileURL(join(ROOT, "operator/stack.ts")).href;
  const scratch = pathToFileURL(join(directory, "operator/stack.ts")).href;
  const source = `
    import { registerHooks } from "node:module";
    registerHooks({
      resolve(specifier, context, next) {
        const found = next(specifier, context);
        return found.url === ${JSON.stringify(real)} ? { ...found, url: ${JSON.stringify(scratch)} } : found;
      },
    });`;
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

function replyScript({ stdout = "", stderr = "", status = 0, talk, update }: Reply): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  if (update !== undefined) {
    const command = [process.execPath, join(import.meta.dirname, "fake-update.ts"), JSON.stringify(update)];
    return `exec ${shellCommand(command)} "$@"\n`;
  }
  if (talk !== undefined) return `# talk\n${talk}\n`;
  return `printf %s ${quoted(stdout)}\nprintf %s ${quoted(stderr)} >&2\nexit ${status}\n`;
}

/**
 * A tool in sh that starts few processes: it notes its arguments and standard input, then answers with the first reply in
 * its table. An uploaded script is known by its first lines, all else by its first words.
 */
function fakeTool(tool: string, directory: string): string {
  return `#!/bin/sh
cd '${directory}' || exit
call=calls/$$
mkdir "$call" && echo $$ >>log
printf '%s\\0' "$@" >"$call/args"
if [ ${tool} = ssh ]; then
  for command; do :; done
  case $command in
    *'bash -s'*)
      cat >"$call/stdin"
      hash=$(head -n ${HEAD_LINES} "$call/stdin" | sha256sum)
      read -r name <"scripts/\${hash%% *}" ;;
    *)
      eval "set -- $command"
      [ "$1" = env ] && shift
      while [ "$1" != "\${1#*=}" ]; do shift; done
      name="\${1##*/}"
      [ "$name" = docker ] && name="$name $2" ;;
  esac
else
  name=$1
  shift
  while case \${1--} in -* | urn:* | 20??-*) false ;; esac; do name="$name $1"; shift; done
fi
printf '%s' "${tool} $name" >"$call/name"
for reply in "answers/${tool} $name"/*; do break; done
if [ ! -e "$reply" ]; then
  echo "the test has no answer to: ${tool} $name" >&2
  exit 99
fi
next=\${reply%/*}/$((\${reply##*/} + 1))
if [ -e "$next" ]; then mv "$reply" "$call/reply" && reply=$call/reply; fi
read -r first <"$reply"
if [ "$first" != '# talk' ] && [ ! -e "$call/stdin" ]; then cat >"$call/stdin"; fi
. "./$reply"
`;
}
