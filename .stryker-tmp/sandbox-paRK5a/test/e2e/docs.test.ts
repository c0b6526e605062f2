// @ts-nocheck
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../sandbox/docker.ts";
import { STACK_IMAGES } from "../../sandbox/images.ts";
import { createBotRepository } from "../../sandbox/repository.ts";
import { isFree, loadImages, removeServer, startServer } from "../../sandbox/server.ts";
import { randomToken } from "../../sandbox/stack.ts";
import { startTelegram } from "../../sandbox/telegram.ts";
import { blocks, PROJECT, readersTools } from "./documents.ts";
import { copyProject } from "./world.ts";

const NAME = "docs";

describe("the documents", () => {
  it("README: its commands are the demo, which comes, says the same twice, and goes, and this test run", async () => {
    assert.deepEqual(await blocks("README.md"), ["scripts/demo\n", "scripts/test\n"]);
    assert.match(await readFile(join(PROJECT, ".ci", "run"), "utf8"), /^exec scripts\/test$/m);
    if (existsSync(join(PROJECT, ".demo")))
      throw new Error("a demo is up already: scripts/demo --down ends it");
    const demo = (...args: string[]) => run(join(PROJECT, "scripts", "demo"), args);
    try {
      const first = await demo();
      const url = /The bot is up: (\S+)/.exec(first)?.[1] ?? "";
      assert.match(await (await fetch(url)).text(), /Hockey training log/);
      assert.match(await demo(), /[0-9]+ unchanged/);
      // What it says to try next, as it says it.
      const next = first.slice(first.indexOf("Three things to try next"));
      const [release = "", preview = ""] = [...next.matchAll(/^ {7}(.*(?:\n {7}.*)*)/gm)].map(
        ([, text = ""]) => text,
      );
      const page = join(PROJECT, ".demo", "hockey", "templates", "index.html");
      await writeFile(page, (await readFile(page, "utf8")).replace("<h1>", "<h1>My "));
      await run("bash", ["-euc", release.replace(/pulumi up$/m, "pulumi up --yes")], { cwd: PROJECT });
      assert.match(await (await fetch(url)).text(), /<h1>My /);
      assert.match(await run("bash", ["-euc", preview], { cwd: PROJECT }), /[0-9]+ unchanged/);
    } finally {
      assert.match(await demo("--down"), /are gone/);
    }
    assert.ok(!existsSync(join(PROJECT, ".demo")) && !existsSync(join(PROJECT, "Pulumi.demo.yaml")));
    assert.equal(await run("docker", ["ps", "--all", "--quiet", "--filter", "name=throwaway-demo"]), "");
  });

  it("QUICKSTART: every block, in order, from a bare server to a running bot and back", async () => {
    const directory = await mkdtemp(join(tmpdir(), "hockey-docs-"));
    const began = Date.now();
    let port = 5000;
    while (!(await isFree(port))) port += 1;
    await removeServer(NAME);
    const bare = await startServer({
      name: NAME,
      directory: join(directory, "server"),
      bare: true,
      ports: [port],
      fixedPorts: { [port]: port },
    });
    const token = randomToken();
    const telegram = await startTelegram({ host: bare.gateway, tokens: [token] });
    try {
      const project = join(directory, "project");
      await copyProject(project);
      const home = join(directory, "home");
      const bin = join(directory, "bin");
      await mkdir(join(home, ".ssh"), { recursive: true, mode: 0o700 });
      await readersTools(bin, [bare], bare.privateKeyFile);

      const script = ["set -euo pipefail"];
      for (const block of await blocks("docs/QUICKSTART.md")) {
        script.push(`echo '== block'; date +%T`, block);
        if (block.includes("export SERVER=")) {
          script.push(`export SERVER=${bare.host} PORT=${bare.port} REPOSITORY=/srv/git/hockey.git`);
        }
        // Where no image registry answers, the server gets the stand-ins, and its bot a repository and a Telegram.
        if (block.includes("setup-server.sh"))
          script.push("touch ../ready; while [ ! -e ../go ]; do sleep 0.2; done");
        if (block.includes("app.repository")) {
          script.push(`pulumi config set --path app.environment.TELEGRAM_API_URL ${telegram.url}`);
          script.push(`pulumi config set --path proxy.port ${port}`);
        }
      }
      await writeFile(join(directory, "blocks.sh"), script.join("\n"));
      const log = join(directory, "log");
      const running = run("bash", ["-c", `bash ../blocks.sh >${log} 2>&1`], {
        cwd: project,
        input: `${token}\n`,
        env: {
          HOME: home,
          PATH: `${bin}:${process.env.PATH ?? ""}`,
          // A new reader, but not a new machine: what was downloaded and built once is not again.
          XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"),
          npm_config_cache: join(homedir(), ".npm"),
          PULUMI_SKIP_UPDATE_CHECK: "true",
        },
      });
      const failed = running.then(
        () => false,
        () => true,
      );
      while (!existsSync(join(directory, "ready"))) {
        if (await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 500, undefined))]))
          break;
      }
      const server = {
        ...bare,
        user: "deploy" as const,
        privateKeyFile: join(home, ".ssh", "hockey_deploy"),
      };
      if (existsSync(join(directory, "ready"))) {
        await loadImages(server, STACK_IMAGES);
        await run("docker", ["exec", `throwaway-${NAME}`, "install", "-d", "-o", "deploy", "/srv/git"]);
        await createBotRepository(server, join(directory, "hockey"));
        await writeFile(join(directory, "go"), "");
      }
      await running.catch(async () => assert.fail(await readFile(log, "utf8")));
      const output = await readFile(log, "utf8");
      assert.match(output, /"status":"ok"/);
      assert.equal(telegram.overlaps(), 0);
      console.log(`      quickstart: ${((Date.now() - began) / 1000).toFixed(0)} s`);
    } finally {
      await telegram.close();
      await removeServer(NAME);
      await rm(directory, { recursive: true, force: true });
    }
  });
});
