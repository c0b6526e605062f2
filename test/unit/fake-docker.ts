import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

/** Above every process id that Linux gives. */
const NO_PROCESS = 2 ** 22 + 1;

/** A container as Docker would describe it. */
export interface FakeContainer {
  name: string;
  /** The status with which its process has ended; undefined while it runs. */
  ended?: number;
  /** Whether its process ends when Docker is asked to limit its processes: after the first good answer of a swap. */
  endsLater?: boolean;
  restarts?: number;
  outOfMemory?: boolean;
  /** The status of its answers; the last one stays. Without any, nothing listens there. */
  answers?: number | readonly number[];
  log?: string;
  /** What it prints once Docker has started it again. */
  nextLog?: string;
}

/** How a script ended. */
interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

/**
 * A server in a directory: copies of the scripts, and a `docker` that knows containers as directories. Each container has
 * an address of its own on this machine, where it answers or does not.
 */
export class FakeServer extends TemporaryDirectory {
  /** The port at which bots listen. */
  port = 0;
  private readonly listening: Server[] = [];
  private readonly processes: ChildProcess[] = [];
  private readonly pages: string[] = [];
  private last = 1;

  constructor() {
    super("server-");
    for (const part of ["bin", "containers", "swap"]) mkdirSync(join(this.directory, part));
    cpSync(SERVER_SCRIPTS, join(this.directory, "scripts"), { recursive: true });
    // What the gate does in the proxy is the end-to-end tests' part.
    this.write("scripts/lib/gate.sh", GATE);
    const leftovers = this.read("scripts/lib/leftovers.sh");
    this.write("scripts/lib/leftovers.sh", leftovers.replaceAll("/proc/", `${this.directory}/proc/`));
    writeFileSync(join(this.directory, "bin/docker"), DOCKER, { mode: 0o755 });
    this.write("log", "");
  }

  /** Adds a container, or changes one. */
  async put(id: string, container: FakeContainer): Promise<void> {
    const {
      name,
      ended,
      endsLater,
      restarts = 0,
      answers,
      log = "",
      outOfMemory = false,
      nextLog,
    } = container;
    const pid = ended === undefined ? this.startProcess() : NO_PROCESS;
    this.last += 1;
    const address = `127.0.0.${this.last}`;
    if (answers !== undefined) await this.listen(address, [answers].flat());
    const facts = { name, pid, restarts, address, log, exit: ended ?? 0, oom: outOfMemory };
    for (const [fact, value] of Object.entries(facts)) this.write(`made/${fact}`, String(value));
    if (endsLater) this.write("made/ends-later", "");
    if (nextLog !== undefined) this.write("made/next-log", nextLog);
    // A guard that looks meanwhile sees the container as a whole or not at all.
    const whole = join(this.directory, "containers", id);
    rmSync(whole, { recursive: true, force: true });
    renameSync(join(this.directory, "made"), whole);
  }

  /** Has Docker forget a process of a container. */
  forget(id: string): void {
    this.write("proc/4711/cgroup", `0::/system.slice/docker-${id}.scope\n`);
  }

  private startProcess(): number {
    const child = spawn("sleep", ["60"], { stdio: "ignore" });
    this.processes.push(child);
    return child.pid ?? NO_PROCESS;
  }

  private async listen(address: string, statuses: number[]): Promise<void> {
    const server = createServer((request, response) => {
      this.pages.push(request.url ?? "");
      response.writeHead((statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 500).end();
    }).listen(this.port, address);
    this.listening.push(server);
    await new Promise((resolve) => server.once("listening", resolve));
    this.port = (server.address() as AddressInfo).port;
  }

  /** Runs a line of bash in the directory of the scripts. */
  sh(script: string, env: Record<string, string> = {}): Promise<Ended> {
    return new Promise((resolve) => {
      const options = {
        cwd: join(this.directory, "scripts"),
        env: {
          ...process.env,
          PATH: `${this.directory}/bin:${process.env.PATH ?? ""}`,
          WORLD: this.directory,
          ...env,
        },
      };
      const child = execFile("bash", ["-c", script], options, (_, stdout, stderr) => {
        resolve({ status: child.exitCode ?? -1, stdout: stdout.trim(), stderr: stderr.trim() });
      });
    });
  }

  /** Locks a file until the process is killed. */
  async lock(path: string): Promise<ChildProcess> {
    const file = join(this.directory, path);
    mkdirSync(dirname(file), { recursive: true });
    const child = spawn("flock", ["--no-fork", file, "sh", "-c", "echo locked; exec sleep 60"]);
    this.processes.push(child);
    await once(child.stdout, "data");
    return child;
  }

  /** The pages that bots were asked for so far. */
  asked(): string[] {
    return this.pages;
  }

  /** What has changed so far: the commands of Docker that change something, and the gate. */
  log(): string[] {
    return this.read("log").split("\n").filter(Boolean);
  }

  /** The id of the container of this name. */
  named(name: string): string | undefined {
    const found = ["old", "new"].filter((id) => existsSync(join(this.directory, "containers", id, "name")));
    return found.find((id) => this.read(`containers/${id}/name`) === name);
  }

  /** The id of the process that runs one of these scripts. */
  processOf(script: string): number | undefined {
    const words = ["bash", ...`${this.directory}/scripts/${script}`.split(" ")].join("\0");
    const found = readdirSync("/proc").find((id) => {
      return /^\d+$/.test(id) && commandOf(id).startsWith(words);
    });
    return found === undefined ? undefined : Number(found);
  }

  override close(): void {
    // A test that fails may leave a guard, which would wait for its Docker for ever.
    const guard = this.processOf("swap-bot.sh guard");
    if (guard !== undefined) process.kill(guard, "SIGKILL");
    for (const server of this.listening) server.close();
    for (const child of this.processes) child.kill();
    super.close();
  }
}

const GATE = `
gate_token=''
hold_requests() {
  if [[ -e $WORLD/deaf-proxy ]]; then refuse 'The proxy takes no commands.'; fi
  gate_token=1 && echo hold >>"$WORLD/log"
}
close_again() { echo 'hold again' >>"$WORLD/log"; }
open_gate() { echo open >>"$WORLD/log" && [[ ! -e $WORLD/no-proxy ]]; }
`;

/** The command line of a process, which may end while it is read. */
function commandOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** When Docker has started a container again, by its own word, and when that prints its first line. */
const STARTED_AGAIN = { time: "2026-01-02T03:04:05.000000007Z", seconds: "1767323044.998000007" };

/** Each container is a directory with a file for each fact. */
const DOCKER = `#!/usr/bin/env bash
cd "$WORLD"
# Docker that is away comes back when it was asked so many times.
if [[ -e away ]] && left=$(<away) && ((left > 0)); then
  echo $((left - 1)) >away
  exit 1
fi
look_up() {
  for at in containers/*; do
    if [[ \${at##*/} == "$1" || $(<"$at/name") == "$1" ]]; then return 0; fi
  done
  return 1
}
status() {
  if [[ -e $at/status ]]; then cat "$at/status"; elif [[ -d /proc/$(<"$at/pid") ]]; then echo running; else echo exited; fi
}
case "$1 $2" in
  'container inspect')
    # Of the proxy, which is no container here.
    if [[ $4 == '{{.Image}}' ]]; then
      echo "image of $5"
      exit
    fi
    look_up "\${!#}" || exit
    case $* in
      *State.StartedAt*) [[ ! -e $at/next-log ]] || echo ${STARTED_AGAIN.time} ;;
      *State.Pid*) echo "\${at##*/} $(status) $(<"$at/pid") $(<"$at/restarts") $(<"$at/exit") $(<"$at/oom") $(<"$at/address")" ;;
      *State.Running*) [[ $(status) != running ]] || echo true ;;
      *Config.Env*json*) echo "image of \${at##*/}" ;;
      *Config.Env*) printf '%s\\n' A=b 'POSTGRES_PASSWORD=old \\ "one"' ;;
    esac
    ;;
  'logs --tail')
    look_up "\${!#}" && echo "$(<"$at/log")"
    first=$(printf '%s\\n' "$5" ${STARTED_AGAIN.seconds} | sort -n | head -n 1)
    if [[ -e $at/next-log && "$4 $first" != "--until $5" ]]; then cat "$at/next-log"; fi
    ;;
  'run '*)
    pattern=\${!#}
    pattern=\${pattern#*]}
    echo "end what is left of \${pattern%%(*}" >>log
    rm -r proc
    ;;
  'exec -i') cat >>psql ;;
  'exec --env') echo postgres ;;
  'exec '*) [[ -e ready ]] ;;
  'stop '* | 'start '* | 'rename '* | 'rm '* | 'update '*)
    echo "$*" >>log
    case $1 in
      stop) look_up "\${!#}" && echo exited >"$at/status" ;;
      start)
        look_up "$2" || exit
        if [[ $(status) == running ]]; then exit 0; fi
        # The name of the process is taken.
        if grep -qs "docker-$2.scope" proc/*/cgroup; then exit 1; fi
        rm -f "$at/status"
        # Docker has started it, and ends before it can say so.
        if [[ -e lost-answer ]]; then
          rm lost-answer
          mkdir -p proc/4711
          echo "0::/docker/$2" >proc/4711/cgroup
          exit 1
        fi
        ;;
      rename)
        # Docker takes the name of a container that it makes before it shows the container.
        if [[ -e taken ]] || look_up "$3"; then exit 1; fi
        look_up "$2" && printf %s "$3" >"$at/name"
        ;;
      rm)
        shift 2
        for one; do if look_up "$one"; then rm -r "$at"; fi; done
        ;;
      update) if [[ $2 == --pids-limit ]] && look_up "\${!#}" && [[ -e $at/ends-later ]]; then kill "$(<"$at/pid")"; fi ;;
    esac
    ;;
esac
`;
