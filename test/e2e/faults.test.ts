import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { run } from "../../sandbox/docker.ts";
import { removeServer, startServer } from "../../sandbox/server.ts";
import { type Outcome, pulumi, pulumiOk } from "../../sandbox/stack.ts";
import { BROKEN, withValue } from "../unit/broken.ts";
import { isSecret } from "../unit/fixtures.ts";
import { createWorld, eventually, up, type World } from "./world.ts";

const NO_DOCKER = "faults-without-docker";

/** Fails unless a command was refused with this sentence, without a stack trace. */
function assertRefused({ exitCode, output }: Outcome, sentence: RegExp): void {
  assert.notEqual(exitCode, 0, output);
  assert.match(output.replaceAll(/\s+/g, " "), sentence);
  assert.doesNotMatch(output, /^\s+at .*:\d+:\d+/m, "no stack trace");
}

describe("what goes wrong is said in a sentence, and nothing is changed", () => {
  let world: World;
  let untouched: string;

  /** Everything on the server that the stack could have changed. */
  const fingerprint = () =>
    world.onServer(
      "sh",
      "-c",
      "docker ps -a --no-trunc --format '{{.ID}} {{.Image}}'; docker volume ls -q; docker network ls -q; docker image ls -aq; find /home/deploy -name .ssh -prune -o -type f -exec sha256sum {} + | sort",
    );
  const config = (key: string, value: string) =>
    pulumiOk(world.stack, ["config", "set", "--path", key, value]);
  const preview = () => pulumi(world.stack, ["preview"]);
  const upOutcome = () => pulumi(world.stack, ["up", "--yes", "--skip-preview"]);

  /** Changes the configuration for one attempt at an update, and puts it back. */
  async function attempt(change: () => Promise<unknown>): Promise<Outcome> {
    const file = join(world.stack.project, "Pulumi.test.yaml");
    const good = await readFile(file);
    try {
      await change();
      return await upOutcome();
    } finally {
      await writeFile(file, good);
    }
  }

  before(async () => {
    world = await createWorld("faults");
    untouched = await fingerprint();
  });

  after(async () => {
    await removeServer(NO_DOCKER);
    await world.close();
  });

  afterEach(async () => {
    assert.equal(await fingerprint(), untouched, "the server was changed");
  });

  it("another host key", async () => {
    const other = join(world.directory, "other-host-key");
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", other]);
    const publicKey = (await readFile(`${other}.pub`, "utf8")).trim();
    assertRefused(
      await attempt(() => config("server.hostKey", publicKey)),
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
      await attempt(() => config("server.port", "1")),
      /The server does not answer at 127\.0\.0\.1:1 \(.*refused\); correct `server\.host` or `server\.port`/,
    );
  });

  it("an unknown name", async () => {
    assertRefused(
      await attempt(() => config("server.host", "bot.invalid")),
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
        await config("server.port", String(server.port));
        await config("server.hostKey", server.hostKey);
      }),
      /The server has no Docker Engine; install docker\.io there, or correct `server\.host`/,
    );
  });

  it("a directory that cannot be made", async () => {
    assertRefused(
      await attempt(() => config("server.deployPath", "/etc/hockey")),
      /The user deploy cannot write to \/etc\/hockey on the server; make it writable, or correct `server\.deployPath`/,
    );
  });

  it("an unknown commit", async () => {
    assertRefused(
      await attempt(() => config("commit", "0123456789abcdef0123456789abcdef01234567")),
      /The commit 0123456789abcdef0123456789abcdef01234567 is not in the repository \/srv\/git\/hockey\.git; push it, or correct `commit`/,
    );
  });

  for (const repository of ["/srv/git/none.git", "ssh://git@127.0.0.1:1/hockey.git"]) {
    it(`an unreachable repository, ${repository}`, async () => {
      assertRefused(
        await attempt(() => config("app.repository", repository)),
        /The server cannot read the repository \S+none\.git|\S+hockey\.git \(.*\); correct `app\.repository`/,
      );
    });
  }

  it("every broken configuration, through the real command line", async () => {
    // One of each key; the unit tests have them all. Secrets would have to be encrypted first, and GitHub's keys
    // depend on them.
    const plain = BROKEN.filter(
      ([path], at) =>
        !isSecret(path.split(".")[0] ?? "") &&
        !path.startsWith("github") &&
        BROKEN.findIndex(([other]) => other === path) === at,
    );
    assert.ok(plain.length >= 25, `${plain.length} are not enough`);
    const stackFile = await readFile(join(world.stack.project, "Pulumi.test.yaml"), "utf8");
    const secrets = stackFile.slice(stackFile.search(/^ {2}hockey:postgresPassword/m));
    const salt = /^encryptionsalt:.*$/m.exec(stackFile)?.[0] ?? "";
    const check = async ([path, value, message]: (typeof BROKEN)[number]) => {
      const raw = Object.entries(withValue(path, value)).filter(([key]) => !isSecret(key));
      const text = stringify(Object.fromEntries(raw.map(([key, given]) => [`hockey:${key}`, given])));
      const file = join(
        world.directory,
        `broken-${plain.findIndex(([at, of]) => at === path && of === value)}.yaml`,
      );
      const indented = text.replaceAll(/^/gm, "  ").trimEnd();
      await writeFile(file, `${salt}\nconfig:\n${indented}\n${secrets}`);
      const outcome = await pulumi(world.stack, ["preview", "--config-file", file]);
      assert.notEqual(outcome.exitCode, 0, `${path} was accepted`);
      assert.match(outcome.output, new RegExp(message.source, "s"));
      assert.match(outcome.output, /nothing was changed/);
      assert.doesNotMatch(outcome.output, /^\s+at .*:\d+:\d+/m, "no stack trace");
    };
    for (let at = 0; at < plain.length; at += 2) await Promise.all(plain.slice(at, at + 2).map(check));
    console.log(`      ${plain.length} broken configurations`);
  });

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
      "name: settings.image",
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
      "server.ts",
      "hostKey: settings.hostKey,",
      "",
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
        assertRefused(await preview(), sentence);
      } finally {
        await writeFile(path, good);
      }
    });
  }
});

describe("a release that fails", () => {
  let world: World;

  before(async () => {
    world = await createWorld("faults");
    await up(world);
  });

  after(() => world.close());

  it("says what its log says, shows no secret, and the last good commit brings the page back", async () => {
    const good = await world.repository.head();
    const bad = await world.release("main.py", (text) => `raise SystemExit("broken on purpose")\n${text}`);
    await pulumiOk(world.stack, ["config", "set", "commit", bad]);
    const failed = await pulumi(world.stack, ["up", "--yes", "--skip-preview"]);
    assert.notEqual(failed.exitCode, 0);
    assert.match(failed.output, /broken on purpose/);
    assert.match(failed.output, /The container training_bot (is unhealthy|does not stay up)/);
    for (const [key, secret] of Object.entries(world.secrets)) {
      assert.ok(!failed.output.includes(secret), `${key} was in pulumi's output`);
    }
    await pulumiOk(world.stack, ["config", "set", "commit", good]);
    await up(world);
    assert.equal(((await (await fetch(`${world.url}/health`)).json()) as { release: string }).release, good);
  });

  it("does not touch what runs when its image cannot be built", async () => {
    const running = await world.onServer("docker", "inspect", "-f", "{{.Id}}", "training_bot");
    const bad = await world.release("requirements.txt", (text) => `${text}no-such-package-at-all==1\n`);
    await pulumiOk(world.stack, ["config", "set", "commit", bad]);
    assertRefused(
      await pulumi(world.stack, ["up", "--yes", "--skip-preview"]),
      /The image of commit \w+ could not be built \(the whole log: .*build\.log on the server\)/,
    );
    assert.equal(await world.onServer("docker", "inspect", "-f", "{{.Id}}", "training_bot"), running);
    assert.equal((await fetch(world.url)).status, 200);
  });

  describe("on a server with a small disk", () => {
    const DISK = "/var/lib/docker";
    const freeMb = async () =>
      Number((await world.onServer("df", "--output=avail", "--block-size=1M", DISK)).split("\n").pop());
    const leave = async (megabytes: number) =>
      world.onServer("fallocate", "--length", `${(await freeMb()) - megabytes}M`, `${DISK}/filler`);

    /** Moves all that the server's Docker has to a disk of its own, with this much room left. */
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

    const refused = async (sentence: RegExp) => {
      const running = await world.onServer("docker", "inspect", "-f", "{{.Id}}", "training_bot");
      await pulumiOk(world.stack, ["config", "set", "commit", await world.repository.head()]);
      assertRefused(await pulumi(world.stack, ["up", "--yes", "--skip-preview"]), sentence);
      assert.equal(await world.onServer("docker", "inspect", "-f", "{{.Id}}", "training_bot"), running);
      assert.equal((await fetch(world.url)).status, 200);
    };

    it("does not begin to build where the disk has too little room", async () => {
      await world.release("requirements.txt", (text) => text.replace("no-such-package-at-all==1\n", ""));
      await leave(900);
      await refused(/The server's disk has \d+ MB left and a build needs 1024; remove old images there with/);
    });

    it("keeps what runs when the disk runs full during the build", async () => {
      await world.release("Dockerfile", (text) =>
        text.replace("COPY . .", "RUN head --bytes=8G /dev/zero >/filler\nCOPY . ."),
      );
      await leave(1200);
      await refused(
        /The server's disk ran full while the image of commit \w+ was built; make room there with/,
      );
    });
  });
});
