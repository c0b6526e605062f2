import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Acme, startAcme } from "../../sandbox/acme.ts";
import { assertUnnoticed } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { HttpsDriver } from "./https-driver.ts";
import { createWorld, unchanged, up, type World } from "./world.ts";

const DOMAIN = "bot.example.org";

describe("a bot behind a domain", () => {
  let acme: Acme;
  let world: World;
  let bot: HttpsDriver;

  before(async () => {
    acme = await startAcme("acme-https");
    world = await createWorld("https", { domain: DOMAIN, acme });
    bot = new HttpsDriver(world, DOMAIN, acme);
    await bot.configure("backups.remote", "/home/deploy/copies");
    assert.doesNotMatch(await up(world), /no certificate/);
  });

  after(async () => {
    await world.close();
    await acme.close();
  });

  it("has a certificate from the ACME server after the first update, and nothing more to do", async () => {
    const { until } = await bot.certificate();
    assert.ok(until.getTime() > Date.now());
    assert.ok(await unchanged(world.stack));
  });

  it("serves its page over HTTPS, sends HTTP there, and advertises no port that is closed", async () => {
    const { status, headers, body } = await bot.page();
    assert.equal(status, 200);
    assert.match(body, /Hockey training log/);
    assert.equal(headers["alt-svc"], undefined);
    const plain = await bot.page("/health?a=b", "http");
    assert.deepEqual([plain.status, plain.headers.location], [308, `https://${DOMAIN}/health?a=b`]);
  });

  it("is released, rolled back and restarted, which no visitor over HTTPS/1.1 and HTTP/2 notices", async () => {
    const before = await bot.running();
    const commit = await bot.change("New");
    assertUnnoticed(await bot.during("deploy", () => bot.ok("deploy")));
    assert.equal(await bot.running(), commit);
    assertUnnoticed(await bot.during("rollback", () => bot.ok("rollback")));
    assert.equal(await bot.running(), before);
    assertUnnoticed(await bot.during("restart", () => bot.ok("restart")));
  });

  it("keeps its certificate when the proxy's container is replaced", async () => {
    const { serial } = await bot.certificate();
    const proxy = () => world.onServer("docker", "inspect", "-f", "{{.Id}}", "training_bot_proxy");
    const before = await proxy();
    await world.onServer("docker", "rm", "--force", "training_bot_proxy");
    await bot.ok("deploy", await world.repository.head());
    assert.notEqual(await proxy(), before);
    assert.equal((await bot.certificate()).serial, serial);
  });

  it("is well for a visitor's machine, and what is not is said by the layer that fails", async () => {
    const well = await bot.operateOutside("health", "--no-alert");
    assert.equal(well.exitCode, 0, well.output);
    for (const verdict of [
      `name +${DOMAIN} leads to ${world.server.address}`,
      `ports +443 and 80 of ${DOMAIN} can be reached|ports +80 and 443 of ${DOMAIN} can be reached`,
      `certificate +of ${DOMAIN} is valid for \\d+ days`,
      `page +https://${DOMAIN}/health answers 200`,
    ])
      assert.match(well.output, new RegExp(`^ok +outside: (${verdict})`, "m"));
    await acme.lead(DOMAIN);
    try {
      const lost = await bot.operateOutside("health", "--no-alert");
      assert.equal(lost.exitCode, 2, lost.output);
      assert.match(lost.output, /^critical +outside: name +bot\.example\.org leads nowhere/m);
    } finally {
      await acme.lead(DOMAIN, world.server.address);
    }
  });

  describe("behind another domain", () => {
    const file = () => join(world.stack.project, "scripts", "server", "container", "Caddyfile");
    let caddyfile: string;

    before(async () => {
      caddyfile = await readFile(file(), "utf8");
    });

    afterEach("goes back to the first domain", async () => {
      await writeFile(file(), caddyfile);
      await useDomain(DOMAIN);
      await up(world);
    });

    /** Has the next update use this domain, and the visitors too. */
    async function useDomain(domain: string): Promise<void> {
      await bot.configure("proxy.domain", domain);
      bot.domain = domain;
      Object.assign(world, {
        url: `https://${domain}`,
        tls: { address: world.server.address, ca: await acme.root() },
      });
    }

    it("gets its certificate renewed under load, which no visitor notices", async () => {
      // Caddy looks every ten minutes by default.
      await writeFile(file(), caddyfile.replace(/^\{\n/m, "{\n\trenew_interval 1s\n"));
      await acme.lead("short.example.org", world.server.address);
      await acme.issueFor(30);
      try {
        await useDomain("short.example.org");
        await up(world);
        const { serial } = await bot.certificate();
        const renewed = () =>
          eventually(async () => (await bot.certificate()).serial !== serial, "another certificate", 60);
        assertUnnoticed(await bot.during("renewal", renewed));
      } finally {
        await acme.issueFor(90 * 86_400);
        await world.onServer("docker", "exec", "training_bot_proxy", "rm", "-r", "/data/caddy/certificates");
      }
    });

    it("says why there is no certificate at each update, fails for nothing, and has one once the cause is gone", async () => {
      const missing = (cause: string) =>
        new RegExp(
          `https://lost\\.example\\.org does not work, since Let's Encrypt has issued no certificate for it yet \\(.*${cause}.*\\); have the domain's A record`,
        );
      await useDomain("lost.example.org");
      assert.match(await up(world), missing("Could not resolve"));
      assert.match(await bot.ok("deploy"), missing("Could not resolve"));
      const sick = await bot.operateOutside("health", "--no-alert");
      assert.equal(sick.exitCode, 2, sick.output);
      assert.match(sick.output, /^critical +certificate +there is none for lost\.example\.org/m);
      assert.match(sick.output, /^critical +outside: name +lost\.example\.org leads nowhere/m);

      // Nothing there serves port 80.
      await acme.lead(bot.domain, acme.address);
      assert.match(await bot.ok("deploy"), missing("(connection refused|Failed to connect)"));
      const elsewhere = await bot.operateOutside("health", "--no-alert");
      assert.match(elsewhere.output, /^critical +outside: certificate +of lost\.example\.org is /m);

      await acme.lead(bot.domain, world.server.address);
      assert.doesNotMatch(await bot.ok("deploy"), /certificate/);
      assert.equal((await bot.page()).status, 200);
      assert.ok(await unchanged(world.stack));
    });

    it("says so where the ACME server refuses", async () => {
      await acme.lead("refused.example.org", world.server.address);
      await useDomain("refused.example.org");
      assert.match(
        await up(world),
        /no certificate for it yet \(.*is a forbidden domain.*\); set `proxy\.domain` to one that it accepts/,
      );
    });
  });
});
