import { once } from "node:events";
import { lookup } from "node:dns/promises";
import { connect, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import type { PlainSettings } from "../../infra/model/schema.ts";
import { CERTIFICATE_DAYS } from "../../infra/model/limits.ts";
import type { Level, Verdict } from "./verdict.ts";

/** Within which each layer must answer; the page may be held for a moment. */
const SECONDS = { network: 3, page: 5 } as const;
const HTTP = 80;
const HTTPS = 443;
const DAY = 86_400_000;
/** A browser gives up after some more. */
const REDIRECTS = 5;

/** A page as its visitors address it. */
export interface Page {
  /** A name, or an address. */
  host: string;
  /** Where it is served over TLS; undefined for a page over HTTP alone. */
  tls?: number;
  /** Where it is served over HTTP, or where that sends to TLS. */
  plain: number;
  path: string;
}

/** What a visitor's machine has seen of a page, layer by layer; what lies below a failed layer was not tried. */
export interface View {
  page: Page;
  /** What the name leads to. */
  addresses?: string[];
  /** Why there was no connection to a port, by port. */
  closed?: Record<number, string | undefined>;
  handshake?: { fault?: string; until?: Date };
  answer?: { status?: number; fault?: string; isLate?: boolean };
}

/** Looks at the page as a visitor gets it, from this machine, within seconds; one verdict for each layer. */
export async function lookFromOutside(settings: PlainSettings, now: Date): Promise<Verdict[]> {
  return judgeView(await viewOf(pageOf(settings)), now);
}

export function pageOf({ server, app, proxy }: Pick<PlainSettings, "server" | "app" | "proxy">): Page {
  const { domain } = proxy;
  const path = app.healthPath;
  return domain === undefined
    ? { host: server.host, plain: proxy.port, path }
    : { host: domain, tls: HTTPS, plain: HTTP, path };
}

export async function viewOf(page: Page): Promise<View> {
  const { host, tls, plain } = page;
  const view: View = { page };
  if (isIP(host) === 0) {
    const found = await within(SECONDS.network, lookup(host, { all: true })).catch(() => []);
    view.addresses = found.map(({ address }) => address);
    if (found.length === 0) return view;
  }
  const ports = tls === undefined ? [plain] : [tls, plain];
  const tried = ports.map(async (port): Promise<[number, string | undefined]> => [
    port,
    await faultOf(connected(host, port)),
  ]);
  view.closed = Object.fromEntries(await Promise.all(tried));
  if (view.closed[tls ?? plain] !== undefined) return view;
  if (tls !== undefined) {
    view.handshake = await shakeHands(host, tls);
    if (view.handshake.fault !== undefined) return view;
  }
  // As for a visitor who types the name: HTTP comes first, and sends to TLS.
  const answersPlain = view.closed[plain] === undefined;
  return { ...view, answer: await follow(urlOf(page, !answersPlain)) };
}

export function judgeView({ page, addresses, closed, handshake, answer }: View, now: Date): Verdict[] {
  return [
    ...(addresses === undefined ? [] : [judgeName(page, addresses)]),
    ...(closed === undefined ? [] : [judgePorts(page, closed)]),
    ...(handshake === undefined ? [] : [judgeHandshake(page, handshake, now)]),
    ...(answer === undefined ? [] : [judgeAnswer(page, answer)]),
  ];
}

const verdict = (check: string, level: Level, text: string): Verdict => ({
  check: `outside: ${check}`,
  level,
  text,
});

function judgeName({ host }: Page, addresses: string[]): Verdict {
  return addresses.length === 0
    ? verdict("name", "critical", `${host} leads nowhere; add an A record that leads to the server`)
    : verdict("name", "ok", `${host} leads to ${addresses.join(", ")}`);
}

function judgePorts({ host, tls, plain }: Page, closed: NonNullable<View["closed"]>): Verdict {
  const shut = Object.entries(closed).filter(([, fault]) => fault !== undefined);
  if (shut.length === 0)
    return verdict("ports", "ok", `${Object.keys(closed).join(" and ")} of ${host} can be reached`);
  const list = shut.map(([port, fault]) => `${port} of ${host} cannot be reached (${fault ?? ""})`);
  const text = `${list.join(", ")}; see that the proxy runs, and that no firewall before the server blocks it`;
  // Without the port that only sends to the other one, most visitors still arrive.
  return verdict("ports", closed[tls ?? plain] === undefined ? "warning" : "critical", text);
}

function judgeHandshake(
  { host }: Page,
  { fault, until }: NonNullable<View["handshake"]>,
  now: Date,
): Verdict {
  if (fault !== undefined) return verdict("certificate", "critical", fault);
  const days = Math.floor(((until?.getTime() ?? 0) - now.getTime()) / DAY);
  const level = days < CERTIFICATE_DAYS ? "warning" : "ok";
  return verdict("certificate", level, `of ${host} is valid for ${days} days`);
}

function judgeAnswer(page: Page, { status, fault, isLate }: NonNullable<View["answer"]>): Verdict {
  const url = urlOf(page);
  if (isLate) return verdict("page", "warning", `${url} has not answered in ${SECONDS.page} s`);
  if (fault !== undefined) return verdict("page", "critical", `${url} ${fault}`);
  return verdict("page", status === 200 ? "ok" : "critical", `${url} answers ${status ?? 0}`);
}

function urlOf({ host, tls, plain, path }: Page, isSecure = tls !== undefined): string {
  const [scheme, port] = isSecure ? (["https", tls] as const) : (["http", plain] as const);
  return new URL(path, `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port ?? plain}`).href;
}

/** For the errors that may come after the first one, which is reported. */
const ignore = () => undefined;

async function connected(host: string, port: number): Promise<void> {
  const socket = connect({ host, port }).on("error", ignore);
  try {
    await within(SECONDS.network, once(socket, "connect"));
  } finally {
    socket.destroy();
  }
}

/** What is wrong with a certificate, by Node's code. */
const CERTIFICATE_FAULTS: Record<string, string> = {
  CERT_HAS_EXPIRED: "has expired",
  CERT_NOT_YET_VALID: "is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "is for another name",
};

async function shakeHands(host: string, port: number): Promise<NonNullable<View["handshake"]>> {
  // Judged here: a refusal by Node would not tell a wrong certificate from a broken handshake.
  const socket = connectTls({ host, port, servername: host, rejectUnauthorized: false }).on("error", ignore);
  try {
    await within(SECONDS.network, once(socket, "secureConnect"));
    const code = socket.authorized ? undefined : String(socket.authorizationError);
    const until = socket.getPeerX509Certificate()?.validToDate;
    if (code === undefined) return { until };
    const fault = CERTIFICATE_FAULTS[code] ?? `is of an unknown issuer (${code})`;
    return { fault: `of ${host} ${fault}; see the proxy's log with: ./delivery logs --proxy`, until };
  } catch (error) {
    const cause = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return { fault: `of ${host} is missing (${cause}); ./delivery deploy says why` };
  } finally {
    socket.destroy();
  }
}

/** Follows the page's own redirects, as a browser does. */
async function follow(from: string): Promise<NonNullable<View["answer"]>> {
  const signal = AbortSignal.timeout(SECONDS.page * 1000);
  const seen = new Set<string>();
  let url = from;
  try {
    for (;;) {
      seen.add(url);
      const response = await fetch(url, { redirect: "manual", signal });
      await response.body?.cancel();
      const location = response.headers.get("location");
      if (location === null || response.status < 300 || response.status > 399)
        return { status: response.status };
      url = new URL(location, url).href;
      if (seen.has(url) || seen.size > REDIRECTS) return { fault: "redirects in a circle" };
    }
  } catch (error) {
    if (signal.aborted) return { isLate: true };
    const { cause, message } = error as Error;
    return { fault: `breaks off (${cause instanceof Error && cause.message ? cause.message : message})` };
  }
}

async function faultOf(attempt: Promise<unknown>): Promise<string | undefined> {
  return attempt.then(
    () => undefined,
    (error: unknown) => (error as NodeJS.ErrnoException).code ?? (error as Error).message,
  );
}

/** @throws Error when the answer takes longer */
async function within<T>(seconds: number, answer: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(reject, seconds * 1000, new Error(`no answer in ${seconds} s`)).unref();
  });
  return Promise.race([answer, late]);
}
