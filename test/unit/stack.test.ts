import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import type { GoAhead } from "../../infra/model/conversation.ts";
import { digest } from "../../infra/model/digest.ts";
import { BOT_STOP_SECONDS, MAKE_SECONDS } from "../../infra/model/limits.ts";
import { INSTALLED } from "../../infra/model/paths.ts";
import { rawConfig } from "./fixtures.ts";
import {
  inputsOf,
  letGoAhead,
  optionsOf,
  registered,
  runHook,
  runProgram,
  withoutServer,
} from "./program.ts";

const CONTAINER = "docker:index/container:Container";
const COMMAND = "command:remote:Command";
const VOLUME = "docker:index/volume:Volume";

describe("the stack", function () {
  const server = withoutServer(this);

  beforeEach(() => {
    server.answer("exit 0");
  });
  before(() => runProgram());

  /** A file as the last run would have put it on the server. */
  function onServer(path: string): string {
    const { value = "" } = inputsOf(COMMAND, "server-files").stdin as { value?: string };
    const [archive = ""] = value.trimEnd().split("\n").slice(-1);
    return execFileSync("sh", ["-c", `base64 -d | tar -xO ${path}`], { input: archive, encoding: "utf8" });
  }

  it("publishes the proxy's port and no other", () => {
    assert.deepEqual(inputsOf(CONTAINER, "proxy-container").ports, [{ internal: 80, external: 5000 }]);
    for (const name of ["bot-container", "database-container"]) {
      assert.equal(inputsOf(CONTAINER, name).ports, undefined);
    }
  });

  it("names the containers as the house says, on one network", () => {
    const names = ["bot", "database", "proxy"].map((part) => inputsOf(CONTAINER, `${part}-container`));
    assert.deepEqual(
      names.map(({ name }) => name),
      ["training_bot", "training_bot_db", "training_bot_proxy"],
    );
    assert.deepEqual(
      names.map(({ networkMode }) => networkMode),
      ["bot_network", "bot_network", "bot_network"],
    );
  });

  for (const part of ["bot", "database", "proxy"]) {
    it(`lets the ${part} come back by itself, gain nothing and fill nothing`, () => {
      const container = inputsOf(CONTAINER, `${part}-container`);
      assert.equal(container.restart, "unless-stopped");
      assert.deepEqual(container.securityOpts, ["no-new-privileges"]);
      assert.deepEqual((container.capabilities as { drops: string[] }).drops, ["ALL"]);
      assert.equal(container.memory, container.memorySwap);
      assert.ok(Number(container.memory) > 0);
      assert.deepEqual(container.logOpts, { "max-size": "10m", "max-file": "5" });
      assert.ok(Number(container.destroyGraceSeconds) >= BOT_STOP_SECONDS);
    });
  }

  it("runs the release that was built, by its id", () => {
    assert.equal(inputsOf(CONTAINER, "bot-container").image, `sha256:${"0".repeat(64)}`);
    assert.match(
      String(inputsOf(COMMAND, "release-image").create),
      / IMAGE=training_bot COMMIT=3f78\S+ \/home\/deploy\/hockey\/bin\/build-image\.sh$/,
    );
  });

  describe("swaps the bot's container", () => {
    it("for one that is made first, and leaves the old one to the server", () => {
      assert.deepEqual(optionsOf("bot-container"), {
        ...{ deleteBeforeReplace: false, retainOnDelete: true },
        ...{ beforeCreate: ["bot-swap"], onError: ["bot-abandon"], ignoreChanges: [] },
      });
      for (const name of ["database-container", "proxy-container"]) {
        const { deleteBeforeReplace, retainOnDelete, beforeCreate } = optionsOf(name);
        assert.deepEqual([deleteBeforeReplace, retainOnDelete, beforeCreate], [true, false, []]);
      }
    });

    it("after the server has begun the swap, and not where it refuses", async () => {
      assert.deepEqual(await runHook("bot-swap"), { error: "", retry: false });
      assert.match(server.calls().at(-1) ?? "", / bot\.example\.org .*\/hockey\/bin\/swap-bot\.sh begin$/);
      server.answer("echo more >&2; echo 'The database is being restored.' >&2; exit 1");
      const { error } = await runHook("bot-swap");
      assert.equal(error, "The database is being restored.");
    });

    describe("while all else is compared", () => {
      const begun = () => server.calls().filter((call) => call.endsWith("swap-bot.sh begin")).length;

      /** The digest of the manifest that the last run would have put on the server. */
      const wantedManifest = () => digest(onServer(INSTALLED.manifest));

      /** Runs the program on a server that has the files of the last run; gives how often a swap was begun meanwhile. */
      async function release(manifest: string, answer: GoAhead): Promise<number> {
        server.answer(`case "$*" in *begin) ;; *) echo manifest=${manifest};; esac`);
        letGoAhead(answer);
        const before = begun();
        await runProgram();
        return begun() - before;
      }

      afterEach(() => {
        letGoAhead({});
      });

      it("in a release that changes no file on the server, once", async () => {
        await runProgram();
        const manifest = wantedManifest();
        assert.match(manifest, /^[0-9a-f]{64}$/);
        assert.equal(await release(manifest, { isRelease: true }), 1);
        const before = begun();
        assert.deepEqual(await runHook("bot-swap"), { error: "", retry: false });
        assert.equal(begun(), before);
        assert.equal(await release(manifest, { isRelease: false }), 0);
        assert.equal(await release("another", { isRelease: true }), 0);
      });

      it("and fails where the server refuses", async () => {
        const manifest = wantedManifest();
        await release(manifest, { isRelease: true });
        server.answer(`case "$*" in *begin) echo No. >&2; exit 1;; *) echo manifest=${manifest};; esac`);
        await runProgram();
        assert.equal((await runHook("bot-swap")).error, "No.");
      });

      it("and once more where that has taken so long that the server may have given up", async () => {
        await release(wantedManifest(), { isRelease: true });
        const before = begun();
        const { now } = Date;
        Date.now = () => now() + MAKE_SECONDS * 1000;
        await runHook("bot-swap").finally(() => (Date.now = now));
        assert.equal(begun(), before + 1);
      });
    });

    it("and tells the server where it could not be made, once", async () => {
      assert.deepEqual(await runHook("bot-abandon"), { error: "", retry: false });
      assert.match(server.calls().at(-1) ?? "", /\/hockey\/bin\/swap-bot\.sh abandon$/);
    });

    it("and waits for the verdict on the very one that was made; only a removal of the stack removes it", () => {
      const { create, delete: remove, stdin } = inputsOf(COMMAND, "bot-verdict");
      const script = "/home/deploy/hockey/bin/swap-bot.sh";
      const settings = "SETTINGS=/home/deploy/hockey/backups/settings";
      assert.equal(create, `env ${settings} CONTAINER_ID=bot-container-id ${script} verdict`);
      assert.equal(remove, `env ${settings} ${script} remove`);
      assert.equal(stdin, undefined);
    });
  });

  it("runs an image that the server has without a command that would build it", async () => {
    server.answer("echo image=sha256:7");
    await runProgram();
    assert.equal(inputsOf(CONTAINER, "bot-container").image, "sha256:7");
    assert.deepEqual(optionsOf("release-image").ignoreChanges, ["create", "update", "connection"]);
  });

  it("does not stop a running database for another health check", () => {
    assert.deepEqual(optionsOf("database-container").ignoreChanges, ["healthcheck"]);
  });

  it("leaves the proxy as it is where the bot may take longer to start", async () => {
    const proxy = () => [
      inputsOf(CONTAINER, "proxy-container"),
      inputsOf(COMMAND, "proxy-configuration"),
      onServer(INSTALLED.caddyfile),
    ];
    const before = proxy();
    await runProgram({ app: { ...(rawConfig().app as object), startSeconds: 300 } });
    assert.deepEqual(proxy(), before);
  });

  it("asks /health in the bot's container, and the database over TCP", () => {
    const bot = inputsOf(CONTAINER, "bot-container").healthcheck as { tests: string[] };
    assert.equal(bot.tests.at(-1), "http://127.0.0.1:5000/health");
    const database = inputsOf(CONTAINER, "database-container").healthcheck as { tests: string[] };
    assert.deepEqual(database.tests.slice(1, 5), ["pg_isready", "-q", "-h", "127.0.0.1"]);
  });

  it("gives the database its password in a file", () => {
    const envs = inputsOf(CONTAINER, "database-container").envs as string[];
    assert.ok(envs.includes("POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password"));
    assert.ok(!envs.some((env) => env.startsWith("POSTGRES_PASSWORD=")));
  });

  it("escapes the password in the bot's DATABASE_URL", () => {
    const envs = inputsOf(CONTAINER, "bot-container").envs as { value: string[] } | string[];
    const list = Array.isArray(envs) ? envs : envs.value;
    const url = new URL(list.find((env) => env.startsWith("DATABASE_URL="))?.slice(13) ?? "");
    assert.equal(decodeURIComponent(url.password), "correct horse / battery@staple");
    assert.equal(url.hostname, "training_bot_db");
  });

  it("pins the host key of every command and updates in place", () => {
    const commands = registered.filter(({ type }) => type === COMMAND);
    assert.ok(commands.length >= 5);
    for (const { name } of commands) {
      const inputs = inputsOf(COMMAND, name);
      // The SDK makes every connection a secret, whose value stands one level down.
      const { value: connection } = inputs.connection as { value: { hostKey: string } };
      assert.match(connection.hostKey, /^ssh-ed25519 /, name);
      assert.equal(inputs.update, inputs.create, name);
      assert.equal(inputs.addPreviousOutputInEnv, false, name);
    }
  });

  it("puts no path of this machine into any input", () => {
    for (const { name, inputs } of registered) {
      assert.ok(!JSON.stringify(inputs).includes(process.cwd()), name);
    }
  });

  it("backs up at six and takes the schedule away again", () => {
    const { create, delete: remove } = inputsOf(COMMAND, "backups-schedule");
    assert.match(
      String(create),
      / 'SCHEDULE=0 6 \* \* \*' \/home\/deploy\/hockey\/bin\/install-backup-cron\.sh install \/home\/deploy\/hockey$/,
    );
    assert.match(String(remove), /bin\/install-backup-cron\.sh remove \/home\/deploy\/hockey$/);
  });

  it("serves a domain on 80 and 443", async () => {
    await runProgram({ proxy: { domain: "bot.example.org" } });
    const proxy = inputsOf(CONTAINER, "proxy-container");
    assert.deepEqual(proxy.ports, [
      { internal: 80, external: 80 },
      { internal: 443, external: 443 },
    ]);
    assert.ok((proxy.envs as string[]).includes("SITE=bot.example.org"));
  });

  it("gives a second bot on the same server a network of its own", async () => {
    await runProgram({ name: "second_bot" });
    assert.equal(inputsOf("docker:index/network:Network", "network").name, "second_bot_network");
  });

  it("keeps the data of another version in another volume, where its image wants it", async () => {
    const data = () => {
      const { mounts } = inputsOf(CONTAINER, "database-container") as { mounts: Record<string, unknown>[] };
      return [mounts[0]?.source, mounts[0]?.target];
    };
    await runProgram();
    assert.deepEqual(inputsOf(VOLUME, "database-data"), { name: "training_bot_db_data" });
    assert.deepEqual(data(), ["training_bot_db_data", "/var/lib/postgresql/data"]);
    const volume = "training_bot_db_data_18";
    await runProgram({ database: { image: "postgres:18", volume } });
    assert.deepEqual(inputsOf(VOLUME, `database-data-${volume}`), { name: volume });
    assert.ok(!registered.some(({ name }) => name === "database-data"));
    assert.deepEqual(data(), [volume, "/var/lib/postgresql"]);
  });

  it("declares the same thing twice the same way", async () => {
    await runProgram();
    const first = JSON.stringify(registered.map(({ name, inputs }) => [name, inputs as object]));
    await runProgram();
    assert.equal(JSON.stringify(registered.map(({ name, inputs }) => [name, inputs as object])), first);
  });
});
