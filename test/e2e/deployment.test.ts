import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Acme, startAcme } from "../../sandbox/acme.ts";
import { run } from "../../sandbox/docker.ts";
import { type FakeGitHub, startFakeGitHub } from "../../sandbox/github.ts";
import { loadImages, removeServer, serverExec, startServer } from "../../sandbox/server.ts";
import { pulumiOk, randomToken } from "../../sandbox/stack.ts";
import { blocks, readersTools } from "./documents.ts";
import { eventually } from "./eventually.ts";
import { createWorld, up, type World } from "./world.ts";

const NEW = "deployment-new";
const ADMINISTRATOR = "ghp_administrator";
const CHAT = 77;

describe("docs/DEPLOYMENT.md @slow", function () {
  this.timeout(1_200_000);
  let world: World;
  let github: FakeGitHub;
  let acme: Acme;

  before(async () => {
    await removeServer(NEW);
    github = await startFakeGitHub({ owner: "you", repository: "hockey" });
    github.addToken(ADMINISTRATOR, { scopes: ["repo", "workflow"] });
    acme = await startAcme("acme-deployment");
    world = await createWorld("deployment", { acme });
    await acme.lead("bot.example.org", world.server.address);
    // The document knows the stack by this name; the sample of it makes room.
    await rm(join(world.stack.project, "Pulumi.production.yaml"));
    await pulumiOk(world.stack, ["stack", "rename", "production"]);
    world.stack.name = "production";
    await loadImages(world.server, ["postgres:15"]);
    await up(world);
    // Into this user's cache, as the block that asks for it would take minutes.
    await run("scripts/bootstrap", ["--sbom"], { cwd: world.stack.project });
    await world.release("templates/index.html", (text) => text.replace("<h1>", "<h1>Ice "));
  });

  after(async () => {
    await github.close();
    await acme.close();
    await removeServer(NEW);
    await world.close();
  });

  const answered = (text: RegExp) =>
    eventually(() => world.telegram.sent().some((message) => text.test(message.text)), String(text));

  it("every block, in order: the days after the first, another server, GitHub", async () => {
    const { directory, server: old, stack } = world;
    const bare = await startServer({ name: NEW, directory: join(directory, NEW), bare: true });
    const token = randomToken();
    world.telegram.sendAsUser({ text: "/train slapshots 30", chat_id: CHAT });
    await answered(/slapshots/);
    world.telegram.addBot(token);
    const home = join(directory, "home");
    await mkdir(join(home, ".hockey"), { recursive: true });
    await mkdir(join(home, ".ssh"), { mode: 0o700 });
    await mkdir(join(directory, "new-state"));
    const key = join(home, ".ssh", "hockey_deploy");
    for (const end of ["", ".pub"]) await cp(old.privateKeyFile + end, key + end);
    const bin = join(directory, "bin");
    await readersTools(bin, [old, bare], bare.privateKeyFile);

    /** What is added to a block that has this text: whatever is true here alone. */
    const here: [text: string, addition: string][] = [
      ["export SERVER=", `export SERVER=${bare.host} PORT=${bare.port}`],
      // The server gets what it would pull, and the bot's repository, which it has a copy of.
      ["setup-server.sh", "touch ../ready; while [ ! -e ../go ]; do sleep 0.2; done"],
    ];
    const script = ["set -euo pipefail"];
    const all = await blocks("docs/DEPLOYMENT.md");
    for (const block of all) {
      // The images at hand are of 13 and 15. Backups are copied nowhere here, which is a warning.
      const lines = block
        .replaceAll("database upgrade 17", "database upgrade 15")
        .replaceAll(/^\.\/delivery health$/gm, "./delivery health || (($? == 1))")
        .split("\n")
        .flatMap((line) => {
          const additions = here.filter(([text]) => line.includes(text)).map(([, addition]) => addition);
          return [line, ...additions];
        });
      script.push(`echo "== $(date +%s)"`, ...lines);
    }
    await writeFile(join(directory, "blocks.sh"), script.join("\n"));
    const log = join(directory, "log");
    const running = run("bash", ["-c", `bash ../blocks.sh >${log} 2>&1`], {
      cwd: stack.project,
      input: `${token}\n${ADMINISTRATOR}\n`,
      env: {
        ...stack.env,
        HOME: home,
        XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"),
        PATH: `${bin}:${stack.env.PATH ?? ""}`,
        PULUMI_STACK: stack.name,
        SERVER: old.host,
        PORT: String(old.port),
        NEW_STATE: `file://${directory}/new-state`,
        WEBHOOK: "http://127.0.0.1:1/hook",
        ...{ GIT_AUTHOR_NAME: "Test", GIT_COMMITTER_NAME: "Test", EMAIL: "test@example.org" },
        ...{ GITHUB_BASE_URL: github.url, GH_PATH: "/bin/false" },
      },
    });
    const ended = running.then(
      () => true,
      () => true,
    );
    while (!existsSync(join(directory, "ready"))) {
      if (await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 500, false))])) break;
    }
    if (existsSync(join(directory, "ready"))) {
      await loadImages({ ...bare, user: "deploy", privateKeyFile: key }, [
        "python:3.10-slim",
        "postgres:15",
        "caddy:2",
      ]);
      await run("docker", ["cp", `throwaway-${old.name}:/srv/git`, join(directory, "git")]);
      await run("docker", ["cp", join(directory, "git"), `throwaway-${NEW}:/srv/git`]);
      await serverExec(bare, ["chown", "--recursive", "deploy:", "/srv/git"]);
      await writeFile(join(directory, "go"), "");
    }
    await running.catch(async () => assert.fail(await readFile(log, "utf8")));

    const output = await readFile(log, "utf8");
    assert.match(output, /Everything is made anew on this server/);
    assert.match(output, /The certificates of the proxy came along from the old server/);
    assert.doesNotMatch(output, /has issued no certificate/);
    world.telegram.sendAsUser({ text: "/stats", chat_id: CHAT, token });
    await answered(/So far: 1 trainings, 30 minutes/);
    const names = await serverExec({ name: NEW }, ["docker", "ps", "--format", "{{.Names}}"]);
    assert.deepEqual(names.split("\n").sort(), ["training_bot", "training_bot_db", "training_bot_proxy"]);
    assert.equal(world.telegram.overlaps(), 0);
    assert.equal(github.secrets("production").SSH_PRIVATE_KEY, await readFile(key, "utf8"));
    assert.equal(github.secrets("production").PULUMI_BACKEND_URL?.trim(), `file://${directory}/new-state`);
    assert.deepEqual(github.violations, []);
    const { spdxVersion, packages } = JSON.parse(
      await readFile(join(stack.project, "sbom.spdx.json"), "utf8"),
    ) as { spdxVersion: string; packages: { name: string }[] };
    assert.match(spdxVersion, /^SPDX-2/);
    // What the sample bot requires, what that requires, and what the system of its base image has.
    for (const wanted of ["Flask", "psycopg-binary", "Werkzeug", "libc6"])
      assert.ok(
        packages.some(({ name }) => name.toLowerCase() === wanted.toLowerCase()),
        wanted,
      );
    const times = [...output.matchAll(/^== (\d+)$/gm)].map(([, seconds]) => Number(seconds));
    const from = all.findIndex((block) => block.includes("export SERVER="));
    const to = all.findIndex(
      (block) => block.includes("./delivery restore latest") && block.includes("server.host"),
    );
    console.log(
      `      bare new server to yesterday's data: ${(times[to + 1] ?? NaN) - (times[from] ?? NaN)} s`,
    );
    console.log(`      ${times.length} blocks: ${(times.at(-1) ?? NaN) - (times[0] ?? NaN)} s`);
  });
});
