import assert from "node:assert/strict";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { MAY_BE_SECRET, SECRET_KEYS } from "../../infra/model/schema.ts";
import { archive } from "../../infra/server-files.ts";
import { run } from "../../sandbox/docker.ts";
import { serverExec } from "../../sandbox/server.ts";
import { HOME } from "./bot-driver.ts";
import type { SecretSearch } from "./secret-search.ts";
import { SentinelDriver } from "./sentinel-driver.ts";

/** All that is on a server's disks and in its memory as files. */
const DISKS = ["boot", "etc", "home", "media", "mnt", "opt", "root", "run", "srv", "tmp", "usr", "var"];
const EVERYWHERE = [...DISKS.map((name) => `/${name}`), "/dev/shm"];
/** What is left of a token in what the bot has told. */
const HIDDEN = "/bot[secret]/getMe";
const OF_BOT = ["environment.WEATHER_KEY", "postgresPassword", "secretKey", "telegramToken"];
const ADDRESSES = ["alerts.pingUrl", "alerts.webhook", "backups.pingUrl"];
/** Characters of base64 that say how something is packed, but nothing of what. */
const GZIP_HEADER = 12;
/** What has secrets on the server according to SECURITY.md, beside the bot's container. */
const DOCUMENTED = {
  [`${HOME}/backups/settings`]: ADDRESSES,
  [`${HOME}/redaction/texts`]: [...ADDRESSES, ...OF_BOT],
  [`${HOME}/repository_key`]: ["the server's key"],
  [`${HOME}/secrets/postgres_password`]: ["postgresPassword"],
};

/** Where containerd keeps what containers are started with, beside the directories of Docker's that have their ids. */
const CONTAINERD = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db";

describe("a marked secret, after all that happens to a bot", function () {
  this.timeout(600_000);
  let driver: SentinelDriver;
  let search: SecretSearch;

  before(async () => {
    driver = await SentinelDriver.create();
    await driver.live();
    search = await driver.search();
  });

  after(() => driver.close());

  const onServer = (...command: string[]) => driver.bot.world.onServer(...command);
  const inOutput = (script: string) => search.inOutput(driver.bot.world.server, script);

  it("stood in every place where the configuration takes one", () => {
    const names = Object.keys(driver.secrets);
    for (const key of [...SECRET_KEYS, ...MAY_BE_SECRET])
      assert.ok(
        names.some((name) => name === key || name.startsWith(`${key}.`)),
        `no secret is marked in ${key}: give it a shape in sentinel-driver.ts`,
      );
  });

  it("is in nothing that commands, Pulumi and workflows have said", async () => {
    const { outputs } = driver;
    assert.deepEqual(search.among(outputs), {});
    // In the packed archive for the server no search would find it. The whole state is among these outputs.
    const packed = (await archive([])).slice(0, GZIP_HEADER);
    assert.deepEqual(
      Object.keys(outputs).filter((name) => outputs[name]?.includes(packed)),
      [],
    );
    // The bot has told it where it could, and it stood there.
    for (const name of [
      "./delivery deploy",
      "pulumi up",
      "./delivery status",
      "./delivery health",
      "health-check.yml",
    ])
      assert.ok(
        Object.keys(outputs).some((key) => key.includes(name) && outputs[key]?.includes(HIDDEN)),
        name,
      );
    assert.match(Object.values(outputs).join("\n"), /'WEATHER_KEY': .?\[secret\].?, /);
  });

  it("is in no alert and no ping, and in no address but its own", () => {
    const sent = driver.bot.world.telegram.sent().map(({ text }) => text);
    const { requests } = driver.receiver;
    assert.deepEqual(search.in(JSON.stringify([sent, requests.map(({ body }) => body)])), []);
    for (const told of [sent[0], requests.find(({ path }) => path.startsWith("/hook/"))?.body])
      assert.ok(told?.includes(HIDDEN), told);
    const called = requests.map(({ path }) => search.in(path).join());
    assert.deepEqual([...new Set(called)].sort(), ADDRESSES);
  });

  it("is on GitHub only as a secret of an environment, sealed on its way there", async () => {
    const { github } = driver.bot;
    const history = await run("git", ["-C", github.git.directory, "log", "--patch", "--all"]);
    const { requests, issues, variables, environments, deployKeys } = github;
    const sent = requests.map(({ method, path, body }) => ({ method, path, body }));
    const all = { sent, issues, variables: [...variables], environments: [...environments], deployKeys };
    const texts = Object.entries({ ...all, history }).map(([name, what]) => [name, JSON.stringify(what)]);
    assert.deepEqual(search.among(Object.fromEntries(texts) as Record<string, string>), {});
    assert.ok(history.includes("name: Deploy") && deployKeys.length === 1 && variables.size === 1);
    const [health, pull] = issues;
    assert.ok(health?.body.includes(HIDDEN) && pull?.comments[0]?.body.includes("[secret]"));
    assert.deepEqual(search.in(JSON.stringify(github.secrets("production"))), [
      ...["githubSecrets.AWS_SECRET_ACCESS_KEY", "sshPrivateKey", "the passphrase"],
    ]);
    assert.deepEqual(github.violations, []);
  });

  it("is on this machine in the file of the deploy key alone, beside what it was given, and in no program's arguments", async () => {
    const { directory } = driver.bot.world;
    const given = { passphrase: ["the passphrase"], "server/id_ed25519": ["sshPrivateKey"] };
    const finds = await search.below(directory);
    assert.deepEqual(finds, { ...given, "project/.ssh/deploy_key.production": ["sshPrivateKey"] });
    for (const file of Object.keys(finds)) assert.equal(lstatSync(join(directory, file)).mode & 0o777, 0o600);
    const started = await run("grep", ["-rhoE", "/starts/(ssh|pulumi|docker)$", join(directory, "starts")]);
    assert.ok(started.split("\n").length > 20);
  });

  it("is on the server only where SECURITY.md says, and closed to other users there", async () => {
    const { server } = driver.bot.world;
    const id = await onServer("docker", "inspect", "-f", "{{.Id}}", "training_bot");
    const isOfBot = (path: string) => path.includes(id) || path === CONTAINERD;
    const finds = Object.entries(await search.onServer(server, EVERYWHERE));
    assert.deepEqual(Object.fromEntries(finds.filter(([path]) => !isOfBot(path))), DOCUMENTED);
    const ofBot = Object.fromEntries(finds.filter(([path]) => isOfBot(path)));
    assert.deepEqual([...new Set(Object.values(ofBot).flat())].sort(), OF_BOT);
    // The bot has said it all, and its own log has it: what leaves the server is something else.
    assert.deepEqual(ofBot[`/var/lib/docker/containers/${id}/local-logs/container.log`], OF_BOT);
    for (const file of Object.keys(DOCUMENTED))
      assert.equal(await onServer("stat", "-c", "%a %U", file), "600 deploy", file);
    await serverExec(server, ["tee", "/var/tmp/planted"], { input: driver.secrets.secretKey });
    const open = await search.onServer(server, EVERYWHERE, "daemon");
    await onServer("rm", "/var/tmp/planted");
    assert.deepEqual(open, { "/var/tmp/planted": ["secretKey"] });
    assert.deepEqual(await inOutput("journalctl --no-pager --all; zcat /home/deploy/backups/*.gz"), []);
  });

  it("was in the arguments of no process on the server, and in the environment of the containers alone", async () => {
    const notes = "/usr/local/bin/.starts";
    assert.deepEqual(await search.onServer(driver.bot.world.server, [notes]), {});
    const started = await onServer("sh", "-c", `grep -rh ^/usr/local/bin/ ${notes}/arguments | sort -u`);
    for (const program of ["curl", "docker", "git", "sed", "ssh-keygen"])
      assert.ok(started.split("\n").includes(`/usr/local/bin/${program}`), program);
    await onServer("grep", "-rqa", "SETTINGS=/home", `${notes}/environment`);
    const system = `for process in /proc/[0-9]*; do
      [[ $(readlink $process/ns/pid) != $(readlink /proc/1/ns/pid) ]] || cat $process/{cmdline,environ} || true
    done`;
    assert.deepEqual(await inOutput(system), []);
    const main = (name: string) =>
      inOutput(`cat /proc/$(docker inspect -f {{.State.Pid}} ${name})/{cmdline,environ}`);
    assert.deepEqual(await main("training_bot"), OF_BOT);
    assert.deepEqual(await main("training_bot_proxy"), []);
    // PostgreSQL's image reads the file, and leaves it to PostgreSQL.
    assert.deepEqual(await main("training_bot_db"), ["postgresPassword"]);
  });

  it("is in no image, and in nothing that Docker tells of other things than the bot", async () => {
    const images = "$(docker image ls --quiet --filter reference=training_bot | sort -u)";
    assert.deepEqual(await inOutput(`docker save ${images}`), []);
    assert.deepEqual(
      await inOutput(
        `for image in ${images}; do docker history --no-trunc $image; docker inspect $image; done`,
      ),
      [],
    );
    const others =
      "$(docker ps -aq --filter name=training_bot_) $(docker network ls -q) $(docker volume ls -q)";
    assert.deepEqual(await inOutput(`docker inspect ${others}`), []);
    // The same searches find what is there.
    assert.deepEqual(await inOutput("docker inspect training_bot"), OF_BOT);
    await serverExec(driver.bot.world.server, ["tee", "/tmp/planted"], { input: driver.secrets.secretKey });
    await onServer("sh", "-c", "tar -cC /tmp planted | docker import - planted");
    assert.deepEqual(await inOutput("docker save planted"), ["secretKey"]);
  });
});
