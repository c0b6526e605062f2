import assert from "node:assert/strict";
import { join } from "node:path";
import { type Acme, startAcme } from "../../sandbox/acme.ts";
import { run } from "../../sandbox/docker.ts";
import { removeServer, serverExec, startServer } from "../../sandbox/server.ts";
import { HttpsDriver } from "./https-driver.ts";
import { createWorld, up, type World } from "./world.ts";

const DOMAIN = "bot.example.org";
const NEW = "https-move-new";

describe("a bot behind a domain, on its way to another server", () => {
  let acme: Acme;
  let world: World;
  let bot: HttpsDriver;

  before(async () => {
    acme = await startAcme("acme-https-move");
    world = await createWorld("https-move", { domain: DOMAIN, acme });
    bot = new HttpsDriver(world, DOMAIN, acme);
    await up(world);
  });

  after(async () => {
    await removeServer(NEW);
    await world.close();
    await acme.close();
  });

  it("takes its certificate along, and has TLS there before the domain leads there", async () => {
    const { serial } = await bot.certificate();
    await removeServer(NEW);
    const { directory, server: old, repository } = world;
    const server = await startServer({
      ...{ name: NEW, directory: join(directory, "server"), ports: [], dns: acme.address },
    });
    await acme.becomeTrustedBy(server);
    const bare = repository.pathOnServer;
    await run("docker", ["cp", `throwaway-${old.name}:${bare}`, join(directory, "moved.git")]);
    await run("docker", ["cp", join(directory, "moved.git"), `throwaway-${NEW}:${bare}`]);
    await serverExec(server, ["chown", "--recursive", "deploy:", bare]);
    await bot.configure("server.port", String(server.port));
    await bot.configure("server.hostKey", server.hostKey);

    const output = await bot.ok("deploy", "--new-server");
    assert.match(output, /^The certificates of the proxy came along from the old server/m);
    assert.doesNotMatch(output, /no certificate/);
    assert.doesNotMatch(output, /PRIVATE KEY/);
    assert.equal((await bot.certificate(server.address)).serial, serial);
    const log = await serverExec(server, ["sh", "-c", "docker logs training_bot_proxy 2>&1"]);
    assert.doesNotMatch(log, /obtaining certificate/);
    // For the time until the domain leads to the new one.
    assert.equal((await bot.certificate(old.address)).serial, serial);
    world.tls = { address: server.address, ca: await acme.root() };
    assert.equal((await bot.page()).status, 200);
    const key = "/data/caddy/certificates/*/*/*.key";
    const mode = ["docker", "exec", "training_bot_proxy", "sh", "-c", `stat -c '%a %u' ${key}`];
    assert.equal(await serverExec(server, mode), "600 0");
  });
});
