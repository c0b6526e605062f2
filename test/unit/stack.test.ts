import assert from "node:assert/strict";
import { mock } from "node:test";
import { BOT_STOP_SECONDS } from "../../infra/model/limits.ts";
import { PARTS, RESOURCES, TYPES } from "../../infra/model/names.ts";
import { INSTALLED } from "../../infra/model/paths.ts";
import { rawConfig } from "./fixtures.ts";
import {
  dependenciesOf,
  inputsOf,
  onServer,
  optionsOf,
  registered,
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

  it("runs an image that the server has without a command that would build it", async () => {
    server.answer("echo image=sha256:7");
    await runProgram();
    assert.equal(inputsOf(CONTAINER, "bot-container").image, "sha256:7");
    assert.deepEqual(optionsOf("release-image").ignoreChanges, ["create", "update", "connection"]);
  });

  it("does not stop a running database for another health check or more shared memory", () => {
    assert.equal(inputsOf(CONTAINER, "database-container").shmSize, 256);
    assert.deepEqual(optionsOf("database-container").ignoreChanges, ["healthcheck", "shmSize"]);
  });

  it("has the role own its database before the bot and the backups need it, and again for other extensions", async () => {
    const owner = () => inputsOf(COMMAND, "database-owner");
    const { create, delete: remove, stdin } = owner();
    assert.equal(
      create,
      "cat >/dev/null; /home/deploy/hockey/bin/own-database.sh /home/deploy/hockey/backups/settings own",
    );
    assert.deepEqual([remove, stdin], [undefined, "database-container-id "]);
    for (const name of ["bot-container", "backups-schedule"])
      assert.ok(
        dependenciesOf(name).some((urn) => urn.endsWith("::database-owner")),
        name,
      );
    assert.ok(dependenciesOf("database-owner").some((urn) => urn.endsWith("::database-ready")));
    await runProgram({ database: { extensions: ["pg_trgm", "unaccent"] } });
    assert.equal(owner().stdin, "database-container-id pg_trgm unaccent");
    assert.match(onServer(INSTALLED.settings), /^extensions=pg_trgm unaccent$/m);
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

  describe("claims its directories on the server", () => {
    const ID = "claim-id-id";
    afterEach(() => {
      server.answer("exit 0");
    });

    it("before it declares anything else, and gives them up last", () => {
      const names = registered.map(({ name }) => name);
      assert.deepEqual(names.slice(0, 3), [PARTS.claim, RESOURCES.id, RESOURCES.claim]);
      assert.deepEqual(inputsOf(TYPES.stash, RESOURCES.id).input, "hockey/test");
      const { create, delete: remove } = inputsOf(COMMAND, RESOURCES.claim);
      const call = / STACK=hockey\/test STACK_ID=claim-id-id bash -s -- /;
      for (const [command, word] of [
        [create, "claim # "],
        [remove, "release"],
      ] as const) {
        assert.match(String(command), call);
        assert.ok(String(command).endsWith(` ${word}`), String(command));
      }
      for (const name of ["database-data", "server-files"])
        assert.ok(
          dependenciesOf(name).some((urn) => urn.endsWith(`::${RESOURCES.claim}`)),
          name,
        );
    });

    it("and has nothing else to wait for where they are its own", async () => {
      server.answer(`echo claim=${ID}`);
      await runProgram();
      assert.ok(registered.some(({ name }) => name === "bot-container"));
    });

    it("and declares nothing at all where another state has them", async () => {
      server.answer("echo claim=another");
      await assert.rejects(
        runProgram(),
        /belongs to the stack hockey\/test of another state .* Nothing was changed\.$/,
      );
      assert.deepEqual(
        registered.map(({ name }) => name),
        [PARTS.claim, RESOURCES.id],
      );
      server.answer("exit 0");
      await runProgram();
    });
  });

  it("puts no path of this machine into any input", () => {
    for (const { name, inputs } of registered) {
      assert.ok(!JSON.stringify(inputs).includes(process.cwd()), name);
    }
  });

  it("backs up at six, checks health every half hour, and takes the schedule away again", () => {
    const { create, delete: remove } = inputsOf(COMMAND, "backups-schedule");
    assert.match(
      String(create),
      / 'SCHEDULE=0 6 \* \* \*' HEALTH_MINUTES=30 \/home\/deploy\/hockey\/bin\/install-backup-cron\.sh install \/home\/deploy\/hockey$/,
    );
    assert.match(String(remove), /bin\/install-backup-cron\.sh remove \/home\/deploy\/hockey$/);
  });

  it("warns where every backup is on the database's own disk, with what to set", async () => {
    const warnings = async (backups: object) => {
      const seen = mock.method(console, "warn", () => undefined);
      try {
        await runProgram({ backups });
        return seen.mock.calls.map(({ arguments: words }) => words.join(" ")).join("\n");
      } finally {
        seen.mock.restore();
      }
    };
    assert.match(
      await warnings({}),
      /Every backup is on the database's own disk .*: pulumi config set --path backups\.remote /,
    );
    assert.doesNotMatch(await warnings({ remote: "offsite:x" }), /Every backup/);
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

  it("waits for the certificate of a domain, and again for another container and where there was none", async () => {
    const wait = async (report: string) => {
      server.answer(`echo '${report}'`);
      await runProgram({ proxy: { domain: "bot.example.org" } });
      const { create, stdin } = inputsOf(COMMAND, "proxy-certificate");
      assert.match(
        String(create),
        /^cat >\/dev\/null; env \S+ \/home\/deploy\/hockey\/bin\/await-certificate\.sh$/,
      );
      return stdin;
    };
    const [first, later] = [await wait(""), await wait("uncertified=2026-11-30T12:00:00Z")];
    assert.match(String(first), /^proxy-container\S* $/);
    assert.equal(later, `${String(first)}2026-11-30T12:00:00Z`);
    await runProgram();
    assert.ok(!registered.some(({ name }) => name === "proxy-certificate"));
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
