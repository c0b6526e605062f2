import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { run } from "../../sandbox/docker.ts";
import { removeServer, startServer } from "../../sandbox/server.ts";
import { type Outcome, pulumiOk } from "../../sandbox/stack.ts";
import { BROKEN, withValue } from "../unit/broken.ts";
import { isSecret } from "../unit/fixtures.ts";
import { assertRefused, BotDriver } from "./bot-driver.ts";
import { eventually } from "./eventually.ts";
import { createWorld, up, type World } from "./world.ts";

const NO_DOCKER = "faults-without-docker";

let world: World;
let bot: BotDriver;

before(async () => {
  world = await createWorld("faults");
  bot = new BotDriver(world);
});

after(() => world.close());

// On a server to which no update has come yet.
describe("what goes wrong is said in a sentence, and nothing is changed", () => {
  let untouched: string;

  /** Everything on the server that the stack could have changed. */
  const fingerprint = () =>
    world.onServer(
      "sh",
      "-c",
      "docker ps -a --no-trunc --format '{{.ID}} {{.Image}}'; docker volume ls -q; docker network ls -q; docker image ls -aq; find /home/deploy -name .ssh -prune -o -type f -exec sha256sum {} + | sort",
    );
  /** Changes the configuration for one attempt at an update, and puts it back. */
  async function attempt(change: () => Promise<unknown>): Promise<Outcome> {
    const file = join(world.stack.project, "Pulumi.test.yaml");
    const good = await readFile(file);
    try {
      await change();
      return await bot.up();
    } finally {
      await writeFile(file, good);
    }
  }

  before(async () => {
    untouched = await fingerprint();
  });

  after(() => removeServer(NO_DOCKER));

  afterEach(async () => {
    assert.equal(await fingerprint(), untouched, "the server was changed");
  });

  it("another host key", async () => {
    const other = join(world.directory, "other-host-key");
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", other]);
    const publicKey = (await readFile(`${other}.pub`, "utf8")).trim();
    assertRefused(
      await attempt(() => bot.configure("server.hostKey", publicKey)),
      /The server at 127\.0\.0\.1:\d+ shows another host key than the pinned one; compare `server\.hostKey` with .* Nothing was changed\./,
    );
  });

  it("another SSH key", async () => {
    const other = join(world.directory, "other-key");
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other]);
    const input = await readFile(other, "utf8");
    assertRefused(
      await attempt(() => pulumiOk(world.stack, ["config", "set", "--secret", "sshPrivateKey"], { input })),
      /does not accept `sshPrivateKey` for the user deploy; correct it, or add its public half to/,
    );
  });

  it("a closed port", async () => {
    assertRefused(
      await attempt(() => bot.configure("server.port", "1")),
      /The server does not answer at 127\.0\.0\.1:1 \(.*refused\); correct `server\.host` or `server\.port`/,
    );
  });

  it("an unknown name", async () => {
    assertRefused(
      await attempt(() => bot.configure("server.host", "bot.invalid")),
      /The server's name bot\.invalid is unknown; correct `server\.host`/,
    );
  });

  it("no Docker on the server", async () => {
    const server = await startServer({
      name: NO_DOCKER,
      directory: join(world.directory, "server"),
      docker: false,
    });
    assertRefused(
      await attempt(async () => {
        await bot.configure("server.port", String(server.port));
        await bot.configure("server.hostKey", server.hostKey);
      }),
      /The server has no Docker Engine; install docker\.io there, or correct `server\.host`/,
    );
  });

  it("a directory that cannot be made", async () => {
    assertRefused(
      await attempt(() => bot.configure("server.deployPath", "/etc/hockey")),
      /The user deploy cannot write to \/etc\/hockey on the server; make it writable, or correct `server\.deployPath`/,
    );
  });

  it("an unknown commit", async () => {
    assertRefused(
      await attempt(() => bot.configure("commit", "0123456789abcdef0123456789abcdef01234567")),
      /The commit 0123456789abcdef0123456789abcdef01234567 is not in the repository \/srv\/git\/hockey\.git; push it, or correct `commit`/,
    );
  });

  for (const [repository, cause] of [
    ["/srv/git/none.git", "does not appear to be a git repository"],
    ["ssh://git@127.0.0.1:1/hockey.git", "Connection refused"],
  ] as const) {
    it(`an unreachable repository, ${repository}`, async () => {
      assertRefused(
        await attempt(() => bot.configure("app.repository", repository)),
        new RegExp(
          `The server cannot read the repository ${repository} \\(.*${cause}.*\\); correct \`app\\.repository\``,
        ),
      );
    });
  }

  // One that is missing, one that is not valid, one that there is not: the unit tests have every key.
  for (const [path, value] of [
    ["server.hostKey", undefined],
    ["app.port", "5000/tcp"],
    ["server.hostkey", "x"],
  ] as const) {
    it(`a broken configuration, ${path} = ${value}`, async () => {
      const [, , message] = BROKEN.find((one) => one[0] === path && one[1] === value) ?? assert.fail();
      const stackFile = await readFile(join(world.stack.project, "Pulumi.test.yaml"), "utf8");
      const secrets = stackFile.slice(stackFile.search(/^ {2}hockey:postgresPassword/m));
      const salt = /^encryptionsalt:.*$/m.exec(stackFile)?.[0] ?? "";
      const raw = Object.entries(withValue(path, value)).filter(([key]) => !isSecret(key));
      const text = stringify(Object.fromEntries(raw.map(([key, given]) => [`hockey:${key}`, given])));
      const file = join(world.directory, "broken.yaml");
      await writeFile(file, `${salt}\nconfig:\n${text.replaceAll(/^/gm, "  ").trimEnd()}\n${secrets}`);
      const outcome = await bot.preview("--config-file", file);
      assertRefused(outcome, new RegExp(message.source, "s"));
      assert.match(outcome.output, /nothing was changed/);
    });
  }

  const GUARDS: [what: string, file: string, from: string, to: string, sentence: RegExp][] = [
    [
      "a published database port",
      "components/Database.ts",
      "destroyGraceSeconds",
      "ports: [{ internal: 5432, external: 5432 }],\n        destroyGraceSeconds",
      /The container database-container publishes the database's port 5432/,
    ],
    [
      "a floating image",
      "components/Proxy.ts",
      "name: imageName",
      'name: "caddy:latest"',
      /proxy-image uses the image caddy:latest, .*name a version/,
    ],
    [
      "an unprotected data volume",
      "components/Database.ts",
      "protect: true",
      "protect: false",
      /The data volume database-data is not protected/,
    ],
    [
      "a missing host key",
      "connection.ts",
      "user, hostKey, privateKey",
      "user, privateKey",
      /The command \S+ would trust any server; give its connection a `hostKey`/,
    ],
  ];
  for (const [what, file, from, to, sentence] of GUARDS) {
    it(`an edit of the program that brings ${what}`, async () => {
      const path = join(world.stack.project, "infra", file);
      const good = await readFile(path, "utf8");
      assert.ok(good.includes(from), `${file} has no ${from}`);
      await writeFile(path, good.replace(from, to));
      try {
        assertRefused(await bot.preview(), sentence);
      } finally {
        await writeFile(path, good);
      }
    });
  }
});

describe("a release that fails", () => {
  before(() => up(world));

  const id = () => world.onServer("docker", "inspect", "-f", "{{.Id}}", "training_bot");

  /** Releases the bot with an edit, and takes the edit back. */
  async function release(file: string, edit: (text: string) => string): Promise<Outcome> {
    let sound = "";
    const commit = await world.release(file, (text) => edit((sound = text)));
    await bot.configure("commit", commit);
    const outcome = await bot.up();
    await world.release(file, () => sound);
    return outcome;
  }

  /** The same, which must end with this sentence and touch nothing that runs. */
  async function refused(sentence: RegExp, ...change: Parameters<typeof release>): Promise<void> {
    const running = await id();
    assertRefused(await release(...change), sentence);
    assert.equal(await id(), running);
    assert.equal((await fetch(world.url)).status, 200);
  }

  it("says what its log says, shows no secret, and the last good commit brings the page back", async () => {
    const good = await bot.running();
    const failed = await release("main.py", (text) => `raise SystemExit("broken on purpose")\n${text}`);
    assert.notEqual(failed.exitCode, 0);
    assert.match(failed.output, /broken on purpose/);
    assert.match(failed.output, /training_bot (ended with status 1|does not stay up): broken on purpose\.$/m);
    assert.equal(await bot.running(), good, "the server has put the old one back by itself");
    for (const [key, secret] of Object.entries(world.secrets)) {
      assert.ok(!failed.output.includes(secret), `${key} was in pulumi's output`);
    }
    await bot.configure("commit", good);
    await up(world);
    assert.equal(await bot.running(), good);
  });

  it("does not touch what runs when its image cannot be built", () =>
    refused(
      /The image of commit \w+ could not be built \(the whole log: .*build\.log on the server\)/,
      "requirements.txt",
      (text) => `${text}no-such-package-at-all==1\n`,
    ));

  describe("on a server with a small disk", () => {
    const DISK = "/var/lib/docker";
    const freeMb = async () =>
      Number((await world.onServer("df", "--output=avail", "--block-size=1M", DISK)).split("\n").pop());

    /** Fills the disk until this much is left; what Docker is still taking away counts. */
    async function leave(megabytes: number): Promise<void> {
      await eventually(async () => {
        await world.onServer("rm", "--force", `${DISK}/filler`);
        await world.onServer("fallocate", "--length", `${(await freeMb()) - megabytes}M`, `${DISK}/filler`);
        return Math.abs((await freeMb()) - megabytes) < 20;
      }, `${megabytes} MB left on the disk`);
    }

    /** Moves all that the server's Docker has to a disk of its own, with some room left. */
    before(async () => {
      const used = Number(
        (await world.onServer("du", "--summarize", "--block-size=1M", DISK)).split("\t")[0],
      );
      await world.onServer("systemctl", "stop", "docker.socket", "docker.service");
      const disk = "/mnt/small";
      await world.onServer("mkdir", disk);
      await world.onServer("mount", "-t", "tmpfs", "-o", `size=${used + 2000}m`, "small", disk);
      await world.onServer("cp", "--archive", `${DISK}/.`, disk);
      await world.onServer("mount", "--bind", disk, DISK);
      await world.onServer("systemctl", "start", "docker.service");
      await eventually(async () => (await fetch(world.url)).ok, "the page", 60);
    });

    afterEach(() => world.onServer("rm", "--force", `${DISK}/filler`));

    it("does not begin to build where the disk has too little room", async () => {
      await leave(900);
      await refused(
        /The server's disk has \d+ MB left and a build needs 1024; remove old images there with/,
        "README.md",
        (text) => `${text}\n`,
      );
    });

    it("keeps what runs when the disk runs full during the build", async () => {
      await leave(1200);
      await refused(
        /The server's disk ran full while the image of commit \w+ was built; make room there with/,
        "Dockerfile",
        (text) => text.replace("COPY . .", "RUN head --bytes=8G /dev/zero >/filler\nCOPY . ."),
      );
    });
  });
});
