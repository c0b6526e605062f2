import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecure } from "node:https";
import { type AddressInfo, createServer as createSocketServer, type Server } from "node:net";
import { join } from "node:path";
import { createServer as createTls, getCACertificates, setDefaultCACertificates } from "node:tls";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import { judgeView, lookFromOutside, type Page, pageOf, viewOf } from "../../operator/health/outside.ts";
import { rawConfig } from "./fixtures.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

const NAME = "localhost";
const DAY = 86_400_000;

describe("health from outside", function () {
  this.timeout(20_000);
  const directory = new TemporaryDirectory("outside-");
  const usual = getCACertificates("default");
  const listening: Server[] = [];

  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: directory.directory, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

  /** A certificate for a name, valid for so many days from now, and issued by the trusted root unless told otherwise. */
  function certificate(name: string, days: number, { isTrusted = true } = {}) {
    const san = ["-addext", `subjectAltName=DNS:${name}`];
    const files = ["-subj", "/CN=x", "-keyout", "leaf.key"];
    if (isTrusted) {
      openssl("req", ...key, ...san, ...files, "-out", "leaf.csr");
      const root = ["-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial", "-copy_extensions", "copy"];
      openssl("x509", "-req", "-in", "leaf.csr", ...root, "-days", String(days), "-out", "leaf.crt");
    } else {
      openssl("req", "-x509", ...key, ...san, ...files, "-days", String(days), "-out", "leaf.crt");
    }
    const read = (file: string) => readFileSync(join(directory.directory, file));
    return { key: read("leaf.key"), cert: read("leaf.crt") };
  }

  before(() => {
    openssl(
      "req",
      "-x509",
      ...key,
      "-subj",
      "/CN=root",
      "-days",
      "100",
      "-keyout",
      "root.key",
      "-out",
      "root.crt",
    );
    const root = readFileSync(join(directory.directory, "root.crt"), "utf8");
    setDefaultCACertificates([...usual, root]);
  });
  after(() => {
    setDefaultCACertificates(usual);
    directory.close();
  });
  afterEach(() => {
    for (const server of listening.splice(0)) server.close();
  });

  /** The port at which a server listens from now on. */
  async function listen(server: Server): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    listening.push(server);
    return (server.address() as AddressInfo).port;
  }
  async function closedPort(): Promise<number> {
    const port = await listen(createSocketServer());
    await new Promise((resolve) => listening.pop()?.close(resolve));
    return port;
  }

  const answering =
    (status: number, headers: Record<string, string> = {}): RequestListener =>
    (_, response) =>
      response.writeHead(status, { connection: "close", ...headers }).end("page");

  /** A page over TLS, and a port that sends there. */
  async function page(shown: ReturnType<typeof certificate>, listener = answering(200)): Promise<Page> {
    const tls = await listen(createSecure(shown, listener));
    const location = `https://${NAME}:${tls}/health`;
    return {
      host: NAME,
      tls,
      plain: await listen(createServer(answering(308, { location }))),
      path: "/health",
    };
  }

  const judged = async (page: Page, now = new Date()) =>
    judgeView(await viewOf(page), now).map(({ check, level, text }) => [check, level, text] as const);
  const textOf = (verdicts: (readonly [string, string, string])[], index: number) =>
    verdicts.at(index)?.[2] ?? "";
  const worst = async (page: Page) => (await judged(page)).at(-1) ?? ["", "", ""];

  it("finds a page over TLS well, layer by layer, as a visitor gets there", async () => {
    const paths: (string | undefined)[] = [];
    const well = await page(certificate(NAME, 90), (asked, response) => {
      paths.push(asked.url);
      answering(200)(asked, response);
    });
    const verdicts = await judged(well);
    assert.deepEqual(
      verdicts.map(([check, level]) => [check, level]),
      ["name", "ports", "certificate", "page"].map((layer) => [`outside: ${layer}`, "ok"]),
    );
    assert.match(textOf(verdicts, 0), /^localhost leads to .*127\.0\.0\.1/);
    assert.match(textOf(verdicts, 2), /^of localhost is valid for (89|90) days$/);
    assert.match(textOf(verdicts, 3), /^https:\/\/localhost:\d+\/health answers 200$/);
    assert.deepEqual(paths, ["/health"]);
  });

  it("warns of a certificate in its last two weeks", async () => {
    const soon = await page(certificate(NAME, 90));
    const level = async (days: number) => (await judged(soon, new Date(Date.now() + days * DAY)))[2]?.[1];
    assert.deepEqual([await level(75), await level(76.5)], ["ok", "warning"]);
  });

  for (const [what, shown, text] of [
    ["has ended", () => certificate(NAME, -1), /^of localhost has expired; /],
    ["is another name's", () => certificate("other.example.org", 90), /^of localhost is for another name; /],
    [
      "has issued itself",
      () => certificate(NAME, 90, { isTrusted: false }),
      /^of localhost is of an unknown issuer \(DEPTH_ZERO_SELF_SIGNED_CERT\); /,
    ],
  ] as const) {
    it(`does not go on behind a certificate that ${what}`, async () => {
      const verdicts = await judged(await page(shown()));
      assert.equal(verdicts.length, 3);
      assert.deepEqual(verdicts.at(2)?.slice(0, 2), ["outside: certificate", "critical"]);
      assert.match(textOf(verdicts, 2), text);
    });
  }

  it("knows a server that has no certificate, and one that does not speak TLS", async () => {
    for (const server of [
      createTls(),
      createSocketServer((socket) => socket.on("error", () => undefined).end("hello")),
    ]) {
      server.on("tlsClientError", () => undefined);
      const tls = await listen(server);
      const [check, level, text] = await worst({ host: NAME, tls, plain: tls, path: "/" });
      assert.deepEqual([check, level], ["outside: certificate", "critical"]);
      assert.match(text, /^of localhost is missing \([\w/]+\); \.\/delivery deploy says why$/);
    }
  });

  it("says which port is closed, and warns only where the other one has the page", async () => {
    const tls = await closedPort();
    const { plain, ...well } = await page(certificate(NAME, 90));
    const shut = await judged({ ...well, tls, plain });
    assert.equal(shut.length, 2);
    assert.deepEqual(shut.at(1)?.slice(0, 2), ["outside: ports", "critical"]);
    assert.match(textOf(shut, 1), new RegExp(`^${tls} of localhost cannot be reached \\(ECONNREFUSED\\); `));
    const half = await judged({ ...well, plain: await closedPort() });
    assert.deepEqual(
      half.map(([, level]) => level),
      ["ok", "warning", "ok", "ok"],
    );
  });

  it("says so of a name that leads nowhere, and of nothing behind it", async () => {
    const verdicts = await judged({ host: "bot.invalid", tls: 443, plain: 80, path: "/" });
    assert.deepEqual(verdicts, [
      ["outside: name", "critical", "bot.invalid leads nowhere; add an A record that leads to the server"],
    ]);
  });

  it("follows redirects, but not in a circle", async () => {
    const circle = createServer((asked, response) => {
      answering(302, { location: asked.url === "/a" ? "/b" : "/a" })(asked, response);
    });
    const round = { host: "127.0.0.1", plain: await listen(circle), path: "/a" };
    const [check, level, text] = await worst(round);
    assert.deepEqual([check, level], ["outside: page", "critical"]);
    assert.match(text, /\/a redirects in a circle$/);
  });

  for (const [what, listener, level, text] of [
    ["answers with an error", answering(502), "critical", /\/health answers 502$/],
    ["breaks off", (_, response) => response.socket?.destroy(), "critical", /\/health breaks off \(.+\)$/],
    ["does not answer", () => undefined, "warning", /\/health has not answered in 5 s$/],
  ] as [string, RequestListener, string, RegExp][]) {
    it(`judges a page that ${what}`, async () => {
      const server = createServer(listener);
      const verdicts = await judged({ host: "127.0.0.1", plain: await listen(server), path: "/health" });
      server.closeAllConnections();
      // An address has no name to look for.
      assert.deepEqual(
        verdicts.map(([check]) => check),
        ["outside: ports", "outside: page"],
      );
      assert.equal(verdicts.at(1)?.[1], level);
      assert.match(textOf(verdicts, 1), text);
    });
  }

  it("goes where the configuration says that visitors go", async () => {
    const { server, app, proxy } = parsePlainConfig(rawConfig());
    const plain = { server: { ...server, host: "192.0.2.1" }, app, proxy };
    assert.deepEqual(pageOf(plain), { host: "192.0.2.1", plain: 5000, path: "/health" });
    assert.deepEqual(pageOf({ ...plain, proxy: { ...proxy, domain: "bot.example.org" } }), {
      ...{ host: "bot.example.org", tls: 443, plain: 80, path: "/health" },
    });
    const settings = parsePlainConfig({
      ...{ ...rawConfig(), server: { ...server, host: "127.0.0.1" } },
      proxy: { port: await listen(createServer(answering(200))) },
    });
    const verdicts = await lookFromOutside(settings, new Date());
    assert.deepEqual(
      verdicts.map(({ level }) => level),
      ["ok", "ok"],
    );
  });
});
