import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** What Telegram, a webhook and a ping URL would get: a real HTTP server on this machine. */
export class Receiver {
  readonly requests: { path: string; body: string }[] = [];
  /** The status of every answer to a POST. */
  status = 200;
  /** Updates that wait for the bot, as Telegram tells. */
  pending = 0;
  private readonly server: Server;
  private readonly host: string;

  private constructor(host: string) {
    this.host = host;
    this.server = createServer((request, response) => {
      void this.answer(request).then(({ status, body }) => {
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      });
    });
  }

  /** @param host the address to listen on */
  static async start(host = "127.0.0.1"): Promise<Receiver> {
    const receiver = new Receiver(host);
    await new Promise<void>((resolve) => receiver.server.listen(0, host, resolve));
    return receiver;
  }

  get url(): string {
    return `http://${this.host}:${(this.server.address() as AddressInfo).port}`;
  }

  /** The bodies of what came to a path. */
  to(path: string): string[] {
    return this.requests.filter((request) => request.path === path).map(({ body }) => body);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage) {
    const { url: path = "", method } = request;
    const body = await text(request);
    if (method === "GET") return { status: 200, body: { result: { pending_update_count: this.pending } } };
    this.requests.push({ path, body });
    return { status: this.status, body: {} };
  }
}
