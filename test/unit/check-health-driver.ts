import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle, SCRIPTS } from "../../infra/model/scripts.ts";
import { factsByName } from "../../infra/model/server-settings.ts";
import { type Look, parseLook } from "../../operator/health/look.ts";
import type { Verdict } from "../../operator/health/verdict.ts";
import { settings } from "./fixtures.ts";
import { bash, type Ended } from "./server-shell.ts";

const MIB = 1024 ** 2;
export const NAMES = ["training_bot", "training_bot_db", "training_bot_proxy"] as const;
export const TOKEN = "1:token-of-the-bot";

/** What check-health.sh has found, and how it ended. */
export interface Checked extends Ended, Omit<Look, "faults"> {
  /** What Docker was called with. */
  calls: string[];
  verdict: (check: string) => Verdict | undefined;
}

/** check-health.sh as it is uploaded, on a server of which Docker, PostgreSQL and the containers' memory are made up. */
export class CheckHealth {
  readonly root = mkdtempSync(join(tmpdir(), "check-health-"));
  /** What PostgreSQL says first. */
  answer = "R\0\0\0\u0008\0\0\0\u0003";
  /** What PostgreSQL was asked. */
  readonly asked: string[] = [];
  private readonly postgres: Server;

  private constructor() {
    this.postgres = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (data) => {
        this.asked.push(data.toString("latin1"));
        socket.end(this.answer);
      });
    }).listen(0, "127.0.0.1");
    mkdirSync(join(this.root, "proc"));
    mkdirSync(join(this.root, "deploy"));
    this.write("proc/meminfo", `MemTotal:       ${8 * 1024 * 1024} kB\n`);
    for (const name of NAMES) {
      this.write(`cgroup/docker/id-${name}/memory.current`, `${35 * MIB}\n`);
      this.write(`cgroup/docker/id-${name}/memory.stat`, "inactive_file 0\n");
    }
  }

  static async start(): Promise<CheckHealth> {
    const server = new CheckHealth();
    await once(server.postgres, "listening");
    return server;
  }

  close(): void {
    this.postgres.close();
    rmSync(this.root, { recursive: true });
  }

  write(path: string, content: string): void {
    mkdirSync(join(this.root, path, ".."), { recursive: true });
    writeFileSync(join(this.root, path), content);
  }

  read(path: string): string {
    return readFileSync(join(this.root, path), "utf8");
  }

  /** The settings file of the stack, of which a health check takes the channels. */
  channels(channels: Record<string, string>): void {
    const lines = Object.entries(channels).map(([key, value]) => `${key}=${value}\n`);
    this.write("deploy/backups/settings", lines.join(""));
  }

  /** @param docker what it does, by its first words */
  async run(
    mode: "look" | "tell" | "cron",
    docker: Record<string, string> = RUNNING,
    env: Record<string, string> = {},
    caller = "",
  ): Promise<Checked> {
    const log = join(this.root, "calls");
    writeFileSync(log, "");
    const cases = Object.entries(docker).map(([words, does]) => `"${words}"*) ${does} ;;`);
    this.write(
      "bin/docker",
      `#!/bin/bash\necho "$*" >>${log}\ncase "$*" in\n${cases.join("\n")}\n*) exit 1 ;;\nesac\n`,
    );
    chmodSync(join(this.root, "bin/docker"), 0o755);
    const ended = await bash(["-s", "--", mode], `${bundle("check-health.sh")}${caller}`, {
      ...this.facts(),
      ...env,
      PATH: `${join(this.root, "bin")}:${process.env.PATH ?? ""}`,
    });
    const calls = readFileSync(log, "utf8").trimEnd().split("\n");
    const look = parseLook(ended.status === 0 && mode !== "cron" ? ended.stdout : "");
    return {
      ...{ ...ended, ...look, calls },
      verdict: (check) => look.verdicts.find((one) => one.check === check),
    };
  }

  private facts(): Record<string, string> {
    const all = factsByName(settings());
    const facts = SCRIPTS["check-health.sh"].facts.map((name) => [name, all[name]] as const);
    const at = (path: string) => join(this.root, path);
    return {
      ...Object.fromEntries(facts),
      ...{
        CGROUPS: at("cgroup"),
        PROCESSES: at("proc"),
        PUBLIC_PORT: "1",
        BOT_API_URL: "http://127.0.0.1:1",
      },
      DATABASE_PORT: String((this.postgres.address() as AddressInfo).port),
      ...{ BACKUP_MANIFEST: at("manifest"), DRIFT: at("drift"), HEALTH: at("deploy/health.json") },
      ...{ DEPLOY_PATH: at("deploy"), HEALTH_DIRECTORY: at("deploy/health"), IMAGE_UPDATES: at("images") },
      ...{ RESTORE_JOURNAL: at("restore"), UPGRADE_JOURNAL: at("upgrade"), SWAP_LOCK: at("swap/lock") },
      REPORT: "yes",
    };
  }
}

/** A container as Docker describes it in the form that is asked for. */
export const fact = (name: string, { pid = 7, limit = 512 * MIB, status = "running", token = "" } = {}) => {
  const now = new Date().toISOString();
  return `echo '${name} id-${name} ${pid} ${limit} ${status} healthy ${now} ${now} 0 false ${"a1".repeat(20)} sha256:1 -127.0.0.1 -${token}'`;
};
export const inspect = (...facts: string[]) => ({ "container inspect": facts.join("; ") || "exit 1" });
/** All three containers run, and the gate is open. */
export const RUNNING = { "info --format": "echo /", ...inspect(...NAMES.map((name) => fact(name))) };
