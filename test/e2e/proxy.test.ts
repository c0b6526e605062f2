import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { DRAIN_SECONDS, PROXY_REQUESTS } from "../../infra/model/limits.ts";
import {
  type Answer,
  ask,
  askMany,
  begin,
  quantile,
  randomBody,
  type Trickle,
  trickle,
  uploadSlowly,
} from "./attack.ts";
import { eventually } from "./eventually.ts";
import { bot, digestOf, RealProxy, withProxy } from "./proxy-driver.ts";

/** Fails unless the bot has got each body, whole and once. */
function assertArrived(bodies: Buffer[], answers: Answer[]): void {
  assert.deepEqual(
    answers.map(({ status, text }, i) => `${bodies[i]?.length ?? 0} bytes: ${status === 200 ? 200 : text}`),
    bodies.map(({ length }) => `${length} bytes: 200`),
  );
  const digests = bodies.map(digestOf);
  assert.deepEqual(
    answers.map(({ text }) => (JSON.parse(text) as { digest: string }).digest),
    digests,
  );
  for (const digest of digests) assert.equal(bot.bodies.filter((arrived) => arrived === digest).length, 1);
}

const log = (line: string) => {
  console.log(`      ${line}`);
};

describe("the proxy", function () {
  const proxy = withProxy(this, "proxy-under-attack");
  /** They end with their test, however it ends. */
  const trickles: Trickle[] = [];

  afterEach(async () => {
    for (const { stop } of trickles.splice(0)) stop();
    await proxy.gate("open_gate");
    await eventually(async () => (await proxy.inside()) === 0, "an empty proxy");
  });

  it("tells the bot of the client, and nothing of its own two hops", async () => {
    const { text, headers } = await ask(proxy.target, { headers: { "x-forwarded-for": "1.2.3.4" } }).answer;
    const told = (JSON.parse(text) as { headers: Record<string, string> }).headers;
    assert.equal(told["x-forwarded-for"], bot.host);
    assert.equal(told["x-forwarded-proto"], "http");
    assert.equal(told["x-forwarded-host"], told.host);
    assert.equal(told.host, proxy.target.host);
    assert.deepEqual([told.via, headers.via], ["1.1 Caddy", "1.1 Caddy"]);
  });

  it("answers and drains beside a thousand clients that send one byte every five seconds", async () => {
    const headers = trickle(proxy.target, 500, () => "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", 5);
    // Every fifth declares a body that is not read before there is a place for it.
    const length = (i: number) => (i % 5 === 0 ? 100_000 : 1000);
    const post = (i: number) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length(i)}\r\n\r\n`;
    const bodies = trickle(proxy.target, 500, post, 5);
    trickles.push(headers, bodies);
    const stream = request({ ...proxy.target, path: "/events", agent: false }).end();
    const [events] = (await once(stream, "response")) as [IncomingMessage];
    events.resume();
    const times: number[] = [];
    const until = Date.now() + 60_000;
    while (Date.now() < until) {
      const { status, milliseconds } = await ask(proxy.target).answer;
      assert.equal(status, 200);
      times.push(milliseconds);
      await sleep(100);
    }
    assert.ok(!events.closed, "a stream outlasts all times of the proxy");
    stream.destroy();
    await eventually(async () => (await proxy.inFlight()) === "0", "the end of the stream");
    const drained = await proxy.hold();
    const slowest = quantile(times, 0.99);
    log(`${times.length} requests, 99 % within ${slowest} ms; drained in ${drained.toFixed(1)} s`);
    assert.ok(slowest <= 1000, `${slowest} ms`);
    assert.ok(drained <= 5, `${drained} s`);
    assert.ok(headers.ended() >= 500, `only ${headers.ended()} unfinished headers were given up`);
  });

  it("holds as many requests as it promises, and turns away the others at once", async () => {
    const began = await proxy.inspect("{{.State.StartedAt}}");
    await proxy.hold();
    const body = randomBody(2000);
    const asked = await askMany(proxy.target, 10_000, (i) => (i % 4 === 0 ? { body } : {}));
    const over = asked.slice(PROXY_REQUESTS);
    const turnedAway: Answer[] = [];
    for (const { answer } of asked) void answer.then((seen) => turnedAway.push(seen));
    await eventually(() => turnedAway.length >= over.length, "the answers to those beyond the bound");
    await sleep(500);
    assert.equal(turnedAway.length, over.length);
    const slowest = Math.max(...turnedAway.map(({ milliseconds }) => milliseconds));
    log(`slowest 503 after ${slowest} ms; ${await proxy.memory()} MiB with ${PROXY_REQUESTS} held`);
    assert.ok(slowest < 5000, `${slowest} ms`);
    for (const { status, headers } of turnedAway)
      assert.deepEqual([status, headers["retry-after"]], [503, "5"]);

    const isHeld = await Promise.all(
      asked.map(({ answer }) => Promise.race([answer.then(() => false), sleep(0, true)])),
    );
    const held = asked.filter((_, i) => isHeld[i]);
    const half = held.length / 2;
    for (const { request: sent } of held.slice(0, half)) sent.destroy();
    await eventually(async () => (await proxy.inside()) === half, "the places of those that hung up", 10);
    const later = await askMany(proxy.target, half, () => ({}));
    await eventually(async () => (await proxy.inside()) === PROXY_REQUESTS, "others in those places", 10);
    await proxy.gate("open_gate");
    const answers = await Promise.all([...held.slice(half), ...later].map(({ answer }) => answer));
    assert.deepEqual(
      answers.filter(({ status }) => status !== 200),
      [],
    );
    assert.equal(answers.length, PROXY_REQUESTS);
    assert.equal(
      await proxy.inspect("{{.State.OOMKilled}} {{.RestartCount}} {{.State.StartedAt}}"),
      `false 0 ${began}`,
    );
  });

  it("keeps bodies of up to 1 MB while the bot is down, and a slow upload with them", async () => {
    const pieces = Array.from({ length: 12 }, () => randomBody(30_000));
    const slow = uploadSlowly(proxy.target, pieces, 1000);
    await sleep(500);
    bot.stop();
    const bodies = [5, 9999, 10_000, 200_000, 1_000_000].flatMap((size) =>
      [1, 2, 3, 4, 5].map(() => randomBody(size)),
    );
    const posted = await askMany(proxy.target, bodies.length, (i) => ({ body: bodies[i] }));
    const other = ask(proxy.target, { method: "DELETE" });
    await sleep(3000);
    await bot.start();
    assertArrived(bodies, await Promise.all(posted.map(({ answer }) => answer)));
    assertArrived([Buffer.concat(pieces)], [await slow]);
    assert.equal((await other.answer).status, 200);
  });

  it("keeps bodies of any size at the closed gate, declared or in chunks", async () => {
    await proxy.hold();
    const bodies = [5, 9999, 10_000, 1_000_000, 1_100_000, 5_000_000].flatMap((size) => [
      randomBody(size),
      randomBody(size),
    ]);
    const posted = bodies.map((body, i) => ask(proxy.target, { body, chunked: i % 2 === 1 }));
    await sleep(1000);
    assert.equal(await proxy.inFlight(), "0");
    await proxy.gate("open_gate");
    assertArrived(bodies, await Promise.all(posted.map(({ answer }) => answer)));
  });

  it("tells the bot nothing of a request that its client has not finished", async () => {
    const before = bot.heard;
    for (const length of ["9000", "90000"]) {
      const { request: sent } = begin(proxy.target, {
        method: "POST",
        headers: { "content-length": length },
      });
      sent.write("half of it");
      await sleep(500);
      sent.destroy();
    }
    await sleep(500);
    assert.equal(bot.heard, before);
  });

  it("forgets requests whose clients hang up at the closed gate", async () => {
    await proxy.hold();
    const before = await proxy.goroutines();
    const bodies = [undefined, randomBody(2000), randomBody(20_000)];
    const asked = await askMany(proxy.target, 180, (i) => ({ body: bodies[i % 3] }));
    await eventually(async () => (await proxy.inside()) === 120, "the requests without large bodies");
    assert.ok((await proxy.goroutines()) > before + 300, "each takes some goroutines");
    for (const { request: sent } of asked) sent.destroy();
    await eventually(async () => (await proxy.goroutines()) <= before + 10, "the end of all of them", 10);
  });

  it("waits a few seconds for streams and WebSockets, and has their clients wait for the next bot", async () => {
    const subscribe = async () => {
      const asked = request({ ...proxy.target, path: "/events", agent: false }).end();
      const [events] = (await once(asked, "response")) as [IncomingMessage];
      let last = 0;
      events.on("data", () => (last = Date.now())).on("error", () => undefined);
      return { events, last: () => last };
    };
    const upgrade = async () => {
      const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
      const asked = request({ ...proxy.target, agent: false, headers }).end();
      const [, socket] = (await once(asked, "upgrade")) as [IncomingMessage, Socket];
      socket.on("error", () => undefined);
      return socket;
    };
    const echo = async (socket: Socket) => {
      assert.ok(!socket.closed, "the WebSocket is open");
      const ended = once(socket, "close").then(() => ["the end"]);
      const echoed = Promise.race([once(socket, "data"), ended]);
      // More than one byte might come back in pieces.
      socket.write("a");
      assert.equal(String((await echoed)[0]), "a");
    };
    const { events, last } = await subscribe();
    const socket = await upgrade();
    await echo(socket);
    const drained = await proxy.hold();
    log(`drained in ${drained.toFixed(1)} s with a stream and a WebSocket`);
    assert.ok(drained > DRAIN_SECONDS - 2 && drained < DRAIN_SECONDS + 3, `${drained} s`);
    assert.ok(Date.now() - last() < 2000, "the stream went on meanwhile");
    await echo(socket);
    assert.equal(await proxy.inFlight(), "2");

    bot.stop();
    await eventually(() => events.closed && socket.closed, "the end of both");
    const again = Promise.all([subscribe(), upgrade()]);
    assert.equal(await Promise.race([again, sleep(1000, "held")]), "held");
    await bot.start();
    assert.equal(await Promise.race([again, sleep(1000, "held")]), "held");
    await proxy.gate("open_gate");
    const [stream, next] = await again;
    await echo(next);
    await eventually(() => stream.last() > 0, "an event");
    stream.events.destroy();
    next.destroy();
  });

  it("takes headers of 16 KiB, and none that would fill its memory", async () => {
    const { status } = await ask(proxy.target, { headers: { "x-long": "a".repeat(15_000) } }).answer;
    assert.equal(status, 200);
    const { status: refused } = await ask(proxy.target, { headers: { "x-long": "a".repeat(25_000) } }).answer;
    assert.equal(refused, 431);
  });

  describe("with a domain", () => {
    const secure = new RealProxy("proxy-with-a-domain", proxy.name);

    /** Fails until Caddy has signed its certificate. */
    const connected = async () => {
      const options = { servername: "localhost", rejectUnauthorized: false };
      const session = connectHttp2(`https://${secure.target.host}`, options);
      await once(session, "connect");
      return session;
    };

    before(() => secure.start("localhost", bot));
    after(() => secure.remove());

    it("speaks HTTP/2, advertises no HTTP/3, and holds requests", async () => {
      const session = await eventually(connected, "a certificate");
      const ask2 = async (body?: Buffer) => {
        const stream = session.request({
          ":authority": "localhost",
          ":method": body ? "POST" : "GET",
          ":path": "/",
        });
        const answered = once(stream, "response") as Promise<[Record<string, string>]>;
        stream.end(body);
        const [headers] = await answered;
        const chunks = (await stream.toArray()) as Buffer[];
        return { headers, text: Buffer.concat(chunks).toString() };
      };
      try {
        const { headers, text } = await ask2();
        assert.equal(Number(headers[":status"]), 200);
        assert.equal(session.alpnProtocol, "h2");
        assert.equal(headers["alt-svc"], undefined);
        const told = (JSON.parse(text) as { headers: Record<string, string> }).headers;
        assert.deepEqual([told["x-forwarded-proto"], told.host], ["https", "localhost"]);

        await secure.hold();
        const bodies = [randomBody(5000), randomBody(500_000)];
        const posted = Promise.all(bodies.map(ask2));
        assert.equal(await Promise.race([posted, sleep(1000, "held")]), "held");
        await secure.gate("open_gate");
        const digests = (await posted).map((seen) => (JSON.parse(seen.text) as { digest: string }).digest);
        assert.deepEqual(digests, bodies.map(digestOf));
      } finally {
        session.destroy();
      }
    });
  });
});
