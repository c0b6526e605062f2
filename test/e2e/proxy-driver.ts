import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { caddyfile } from "../../infra/components/Proxy.ts";
import { DRAIN_SECONDS, holdSeconds, PROXY_MEMORY, START_SECONDS } from "../../infra/model/limits.ts";
import { IN_CONTAINER } from "../../infra/model/paths.ts";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { docker, dockerSucceeds, run } from "../../sandbox/docker.ts";
import { ensureImages } from "../../sandbox/images.ts";
import { ask, type Target } from "./attack.ts";
import { eventually } from "./eventually.ts";
import { type Handover, handoversIn } from "./handover.ts";

const NEWEST = "caddy:2";
/** Another image, such as an older one that servers still run, may be named by hand. */
const IMAGE = process.env.PROXY_IMAGE ?? NEWEST;
export const digestOf = (body: Buffer) => createHash("sha256").update(body).digest("hex");

/** A bot that answers with the digest of the body it was sent, keeps /events open, and echoes a WebSocket's bytes. */
export class FakeBot {
  readonly host: string;
  port = 0;
  /** How many requests have reached it, whole or not. */
  heard = 0;
  /** Digests of the bodies that have arrived. */
  readonly bodies: string[] = [];
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();

  constructor(host: string) {
    this.host = host;
  }

  async start(): Promise<void> {
    const server = createServer({ maxHeaderSize: 100_000 }, (asked, answer) => {
      this.heard += 1;
      if (asked.url === "/events") {
        answer.writeHead(200, { "content-type": "text/event-stream" });
        const timer = setInterval(() => answer.write("data: tick\n\n"), 200);
        answer.on("close", () => {
          clearInterval(timer);
        });
        return;
      }
      const chunks: Buffer[] = [];
      asked.on("data", (chunk: Buffer) => chunks.push(chunk));
      asked.on("end", () => {
        const digest = digestOf(Buffer.concat(chunks));
        this.bodies.push(digest);
        answer.end(JSON.stringify({ digest, headers: asked.headers }));
      });
    });
    server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    server.on("upgrade", (_, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      socket.on("error", () => undefined);
      socket.pipe(socket);
    });
    await once(server.listen(this.port, this.host, 128), "listening");
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
  }

  /** Ends as a container that is killed: its port refuses connections. */
  stop(): void {
    this.server?.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

/** A proxy as the stack starts it (infra/components/Proxy.ts), on this machine's Docker. */
export class RealProxy {
  readonly name: string;
  private readonly network: string;
  target: Target = { host: "", port: 0 };
  private directory?: string;

  constructor(name: string, network = name) {
    this.name = name;
    this.network = network;
  }

  /** Starts a bot, and this proxy before it, on a network of their own. */
  async startWithBot(): Promise<FakeBot> {
    await this.removeWithNetwork();
    await docker(["network", "create", this.network]);
    const gateway = "{{(index .IPAM.Config 0).Gateway}}";
    const bot = new FakeBot(await docker(["network", "inspect", "--format", gateway, this.network]));
    await bot.start();
    await this.start(":80", bot);
    return bot;
  }

  async removeWithNetwork(): Promise<void> {
    await this.remove();
    await dockerSucceeds(["network", "rm", this.network]);
  }

  async start(site: string, bot: FakeBot): Promise<void> {
    if (IMAGE === NEWEST) await ensureImages([IMAGE]);
    await this.remove();
    await docker([
      ...["run", "--detach", "--name", this.name, "--network", this.network],
      ...["--memory", `${PROXY_MEMORY}m`, "--memory-swap", `${PROXY_MEMORY}m`],
      ...["--security-opt", "no-new-privileges", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE"],
      ...["--tmpfs", `${IN_CONTAINER.gateDirectory}:size=64k,mode=0700`],
      ...["--volume", `${await this.configuration()}:${IN_CONTAINER.caddyDirectory}:ro`],
      ...["--env", `SITE=${site}`, "--env", `UPSTREAM=${bot.host}:${bot.port}`, IMAGE],
    ]);
    this.target = {
      host: await this.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"),
      port: 80,
    };
    await eventually(async () => (await ask(this.target).answer).status > 0, "an answer of the proxy");
  }

  async remove(): Promise<void> {
    await dockerSucceeds(["rm", "--force", "--volumes", this.name]);
    if (this.directory !== undefined) await rm(this.directory, { recursive: true });
    this.directory = undefined;
  }

  /** A directory with the Caddyfile as the stack puts it on a server. */
  private async configuration(): Promise<string> {
    this.directory = await mkdtemp(join(tmpdir(), "proxy-"));
    await writeFile(join(this.directory, basename(caddyfile.path)), caddyfile.content);
    await chmod(this.directory, 0o755);
    return this.directory;
  }

  inspect(format: string): Promise<string> {
    return docker(["inspect", "--format", format, this.name]);
  }

  /** Has Caddy go over to its configuration anew, as to another one. */
  async reload(): Promise<void> {
    const file = IN_CONTAINER.caddyfile;
    await docker(["exec", this.name, "caddy", "reload", "--force", "--config", file]);
  }

  /** When it has done so. */
  async handovers(): Promise<Handover[]> {
    return handoversIn(await run("sh", ["-c", 'docker logs "$0" 2>&1', this.name]));
  }

  /** Calls a function of gate.sh, as the scripts on a server do. */
  gate(call: "hold_requests" | "open_gate" | 'in_flight; echo "$reply"'): Promise<string> {
    const lib = join(SERVER_SCRIPTS, "lib");
    const script = `set -euo pipefail; source ${lib}/common.sh; source ${lib}/gate.sh; ${call}`;
    const env = {
      ...{ PROXY: this.name, GATE: IN_CONTAINER.gate },
      ...{ HOLD_SECONDS: String(holdSeconds(START_SECONDS)), DRAIN_SECONDS: String(DRAIN_SECONDS) },
    };
    return run("bash", ["-c", script], { env });
  }

  /** How many requests the bot has. */
  inFlight(): Promise<string> {
    return this.gate('in_flight; echo "$reply"');
  }

  /** Closes the gate and says how long it took until nothing was in flight, in seconds. */
  async hold(): Promise<number> {
    const began = Date.now();
    await this.gate("hold_requests");
    return (Date.now() - began) / 1000;
  }

  /** Asks Caddy itself. */
  private admin(path: string): Promise<string> {
    return docker(["exec", this.name, "wget", "-q", "-O", "-", `http://127.0.0.1:2019/${path}`]);
  }

  /** How many goroutines it has: a request that it has forgotten has none. */
  async goroutines(): Promise<number> {
    const [, total] = /total (\d+)/.exec(await this.admin("debug/pprof/goroutine?debug=1")) ?? [];
    return Number(total);
  }

  /** How many requests without large bodies the proxy counts inside, held ones and those with the bot. */
  async inside(): Promise<number> {
    const counts = JSON.parse(await this.admin("reverse_proxy/upstreams")) as {
      address: string;
      num_requests: number;
    }[];
    return counts.find(({ address }) => address === "127.0.0.1:9000")?.num_requests ?? 0;
  }

  /** Its memory in MiB, for the log; another file of the kernel's in either version of control groups. */
  async memory(): Promise<string> {
    const file = "/sys/fs/cgroup/memory.current /sys/fs/cgroup/memory/memory.usage_in_bytes";
    const bytes = await docker(["exec", this.name, "sh", "-c", `cat ${file} 2>/dev/null || true`]);
    return (Number(bytes) / 1024 ** 2).toFixed(0);
  }
}

/** The bot behind the proxy of the suite that runs. */
export let bot: FakeBot;

/** Gives a suite a proxy, with a bot behind it. */
export function withProxy(suite: Mocha.Suite, name: string): RealProxy {
  const proxy = new RealProxy(name);
  suite.beforeAll(async () => {
    bot = await proxy.startWithBot();
  });
  suite.afterAll(async () => {
    await proxy.removeWithNetwork();
    bot.stop();
  });
  return proxy;
}
