import { Agent, request } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { Agent as TlsAgent, request as requestTls } from "node:https";
import type { LookupFunction } from "node:net";

/** A page as this machine reaches it. */
export interface Page {
  url: string;
  /** With TLS: the address that its name leads to, and the root certificates that are trusted (PEM). */
  tls?: { address: string; ca: string };
}

export interface Question {
  method: "GET" | "POST";
  path: string;
  body?: string;
}

/** The request was not taken: the connection had ended before. It may be sent once more, as every browser does. */
export class NotTaken extends Error {}

/** One way to ask for a page. */
export interface Client {
  /** Gives the status of a whole answer. @throws NotTaken, or another Error with what went wrong */
  ask(question: Question): Promise<number>;
  close(): void;
}

/** How long a request may take before it counts as failed: longer than the proxy holds one. */
const REQUEST_SECONDS = 90;

const headersOf = ({ body }: Question) =>
  body === undefined ? {} : { "content-type": "application/json", "content-length": body.length };

/** HTTP/1.1 on a new connection for each request, or on connections that it keeps. */
class Http1Client implements Client {
  private readonly page: Page;
  private readonly agent?: Agent;

  constructor(page: Page, { keeps }: { keeps: boolean }) {
    this.page = page;
    if (keeps) this.agent = new (page.tls ? TlsAgent : Agent)({ keepAlive: true });
  }

  ask(question: Question): Promise<number> {
    const { url, tls } = this.page;
    const { method, path, body } = question;
    return new Promise((resolve, reject) => {
      const options = {
        ...{ method, headers: headersOf(question), agent: this.agent ?? false },
        ...{ timeout: REQUEST_SECONDS * 1000, ...(tls && { ca: tls.ca, lookup: leadTo(tls.address) }) },
      };
      const sent = (tls ? requestTls : request)(new URL(path, url), options, (response) => {
        response.resume();
        response.on("end", () => {
          resolve(response.statusCode ?? 0);
        });
        response.on("error", reject);
      });
      sent.on("timeout", () => sent.destroy(new Error(`no answer in ${REQUEST_SECONDS} s`)));
      sent.on("error", (error: NodeJS.ErrnoException) => {
        // A server that closes idle connections cannot prevent that (RFC 9112, section 9.3.1).
        const ended = sent.reusedSocket && error.code === "ECONNRESET";
        reject(ended ? new NotTaken(error.message) : error);
      });
      sent.end(body);
    });
  }

  close(): void {
    this.agent?.destroy();
  }
}

/** HTTP/2: all requests are streams of one connection, until the server sends another one away with GOAWAY. */
class Http2Client implements Client {
  private readonly page: Page;
  private current?: ClientHttp2Session;

  constructor(page: Page) {
    this.page = page;
  }

  ask(question: Question): Promise<number> {
    const { method, path, body } = question;
    return new Promise((resolve, reject) => {
      const stream = this.session().request(
        { ":method": method, ":path": path, ...headersOf(question) },
        { signal: AbortSignal.timeout(REQUEST_SECONDS * 1000) },
      );
      let status = 0;
      stream.on("response", (headers) => (status = headers[":status"] ?? 0));
      stream.on("error", (error: Error) => {
        // Such a stream was not processed, the server says (RFC 9113, sections 6.8 and 8.7).
        const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
        reject(refused ? new NotTaken(error.message) : error);
      });
      stream.on("end", () => {
        if (status > 0) resolve(status);
        else reject(new Error("the stream ended without an answer"));
      });
      stream.resume();
      stream.end(body);
    });
  }

  close(): void {
    this.current?.close();
  }

  /** A session that takes further requests; one that was told to go away finishes what it has. */
  private session(): ClientHttp2Session {
    if (this.current === undefined || this.current.closed || this.current.destroyed) {
      const { url, tls } = this.page;
      this.current = connectHttp2(url, tls && { ca: tls.ca, lookup: leadTo(tls.address) });
      // Every stream reports it.
      this.current.on("error", () => undefined);
    }
    return this.current;
  }
}

/** As if a DNS server had said so. */
function leadTo(address: string): LookupFunction {
  return (_, { all }, callback) => {
    if (all) callback(null, [{ address, family: 4 }]);
    else callback(null, address, 4);
  };
}

/** The clients of a page's visitors: with TLS they speak HTTP/2, too. The first has a new connection for each request. */
export function clientsOf(page: Page): [Client, ...Client[]] {
  const fresh = new Http1Client(page, { keeps: false });
  const kept = new Http1Client(page, { keeps: true });
  return page.tls === undefined ? [fresh, kept] : [fresh, kept, new Http2Client(page)];
}
