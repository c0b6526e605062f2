import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { imageRows, judge, parseImages, pinned } from "../../operator/images.ts";
import { FakeProject } from "./fake-tools.ts";
import { project, withProject } from "./project.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

const NOW = new Date("2026-06-10T12:00:00Z");
const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const [OLD, NEW] = [digest("a"), digest("b")];
const SINCE = NOW.getTime() / 1000 - 30 * 24 * 3600;

/** What check-images.sh prints. */
const LINES = [
  `database postgres:17 ${OLD} ${NEW} ${SINCE}`,
  `proxy caddy:2 ${OLD} ${OLD} -`,
  `base python:3.10-slim ${OLD} - ${SINCE}`,
  `base node:24 - ${NEW} -`,
].join("\n");

describe("the images that run", () => {
  it("are told with what their registries have", () => {
    assert.deepEqual(imageRows(parseImages(`${LINES}\n`), NOW), [
      ["database", "postgres:17", "aaaaaaaaaaaa", "bbbbbbbbbbbb", "newer one there, first seen 30 days ago"],
      ["proxy", "caddy:2", "aaaaaaaaaaaa", "aaaaaaaaaaaa", "up to date"],
      ["base", "python:3.10-slim", "aaaaaaaaaaaa", "-", "not known: its registry does not tell"],
      ["base", "node:24", "-", "bbbbbbbbbbbb", "not known until the next release of a new commit"],
    ]);
    assert.equal(
      judge({ part: "proxy", image: "caddy:2", newest: NEW }, NOW),
      "not known: what runs came from no registry",
    );
  });

  const configured = (database: string, proxy: string) => ({
    database: { image: database },
    proxy: { image: proxy },
  });
  for (const [what, config, expected] of [
    [
      "by their tags",
      configured("postgres:17", "caddy:2"),
      { "database.image": `postgres:17@${NEW}`, "proxy.image": `caddy:2@${OLD}` },
    ],
    [
      "to older digests",
      configured(`postgres:17@${OLD}`, `caddy:2@${OLD}`),
      { "database.image": `postgres:17@${NEW}` },
    ],
    ["to the newest digests", configured(`postgres:17@${NEW}`, `caddy:2@${OLD}`), {}],
    ["otherwise than the server was asked for", configured("postgres:18", "caddy:2.11"), {}],
  ] as const) {
    it(`are fixed to the newest of the same tags where they are named ${what}`, () => {
      assert.deepEqual(pinned(parseImages(LINES), config), expected);
    });
  }

  it("are not fixed to what is not known", () => {
    const unknown = parseImages(`database postgres:17 ${OLD} - -\nproxy caddy - - -`);
    assert.deepEqual(pinned(unknown, configured("postgres:17", `caddy@${OLD}`)), {});
  });
});

describe("./delivery images", function () {
  withProject(this, () =>
    new FakeProject({ database: { image: "postgres:17" } }).answer("ssh check-images.sh", {
      stdout: `${LINES}\n`,
      stderr: "a registry is silent\n",
    }),
  );

  it("lists them and changes nothing", async () => {
    const before = project.read("Pulumi.test.yaml");
    const { status, stdout, stderr } = await project.run(["images"]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^database +postgres:17 +a{12} +b{12} +newer one there, first seen \d+ days ago$/m);
    assert.equal(stderr, "a registry is silent");
    assert.equal(project.read("Pulumi.test.yaml"), before);
  });

  it("writes the newest digests into the stack's file with --pin, and says what follows", async () => {
    const { status, stdout } = await project.run(["images", "--pin"]);
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^database\\.image: postgres:17@${NEW}$`, "m"));
    assert.match(
      stdout,
      /^Pulumi\.test\.yaml has them now\. .*pulumi preview; then apply it with: pulumi up$/m,
    );
    assert.match(project.read("Pulumi.test.yaml"), new RegExp(`image: caddy:2@${OLD}`));
    assert.match((await project.run(["images", "--pin"])).stdout, /^Nothing to pin: /m);
  });
});

describe("./delivery sbom", function () {
  withProject(this, () => new FakeProject());

  it("says how to get the tool that it needs", async () => {
    const { status, stderr } = await project.run(["sbom"]);
    assert.equal(status, 1);
    assert.equal(
      stderr,
      "error: There is no syft on this machine; install it with: scripts/bootstrap --sbom",
    );
  });

  it("takes a commit, and nothing that could be an option", async () => {
    for (const commit of ["main", "3f7", "--help=x"])
      assert.notEqual((await project.run(["sbom", commit])).status, 0);
    assert.match((await project.run(["sbom", "main"])).stderr, /^error: main is not a commit; /);
    assert.deepEqual(project.calls(), []);
  });
});

/** scripts/server/lib/bases.sh with a `docker` that has the images of a file and pulls what `registry` says. */
class Builder extends TemporaryDirectory {
  constructor() {
    super("bases-");
    writeFileSync(join(this.directory, "docker"), DOCKER, { mode: 0o755 });
    this.write("calls", "");
  }

  /** Runs shell after the library. */
  sh(script: string): string {
    const head = `set -euo pipefail
      cd ${this.directory}; PATH=${this.directory}:$PATH; BASE_PULLS=$PWD/pulls BASE_PULL_HOURS=24 BASE_PULL_SECONDS=9
      source ${SERVER_SCRIPTS}/lib/common.sh; source ${SERVER_SCRIPTS}/lib/bases.sh\n`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", head + script], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    return (stdout + stderr).trim();
  }
}

/** Files: `has` has the id of the image that is here, `registry` the one that is pulled and its digest. */
const DOCKER = `#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >>calls
case "$1 $2" in
  "image inspect") cat has ;;
  "pull "*)
    if [ ! -s registry ]; then echo "dial tcp: connection refused" >&2; exit 1; fi
    read -r id digest <registry
    echo "$id" >has
    echo "Digest: $digest"
    ;;
esac
`;

describe("the base images of a build", () => {
  let builder: Builder;

  beforeEach(() => {
    builder = new Builder();
    builder.write("has", "sha256:1\n");
    builder.write("registry", `sha256:1 ${OLD}\n`);
  });
  afterEach(() => {
    builder.close();
  });

  const pulls = () => builder.read("calls").match(/^pull .*$/gm) ?? [];
  const age = (hours: number) => {
    builder.write(
      "pulls",
      `python:3.10 ${Math.floor(Date.now() / 1000) - hours * 3600} ${OLD}\nother:1 5 ${NEW}\n`,
    );
  };

  for (const [what, dockerfile, bases] of [
    ["a name", "FROM python:3.10-slim\n", ["python:3.10-slim"]],
    ["a name from another system", "from python:3.10-slim\r\nRUN x\r\n", ["python:3.10-slim"]],
    [
      "stages",
      "FROM node:24 AS Page\nFROM --platform=linux/amd64 python:3.10 as bot\nFROM bot\nFROM page\nFROM node:24\nFROM scratch\n",
      ["node:24", "python:3.10"],
    ],
    [
      "arguments with defaults",
      'ARG BASE=python TAG="3.10"\nFROM ${BASE}:$TAG-slim\nARG TAG=later\nFROM host:5000/${BASE}@sha256:0\n',
      ["python:3.10-slim", "host:5000/python@sha256:0"],
    ],
    [
      "arguments without, or with more than a name",
      "ARG A\nARG B=$B\nFROM $A\nFROM x:${A:-3}\nFROM $B\n",
      [],
    ],
  ] as const) {
    it(`are found in a Dockerfile with ${what}`, () => {
      builder.write("Dockerfile", dockerfile);
      assert.deepEqual(builder.sh("bases_in Dockerfile").split("\n").filter(Boolean), bases);
    });
  }

  it("are pulled once a day, and named with the digest that they had then", () => {
    assert.equal(builder.sh("pull_base python:3.10; with_digest python:3.10"), `python:3.10@${OLD}`);
    builder.write("registry", `sha256:2 ${NEW}\n`);
    assert.equal(builder.sh("pull_base python:3.10; with_digest python:3.10"), `python:3.10@${OLD}`);
    assert.deepEqual(pulls(), ["pull python:3.10"]);
    age(23);
    builder.sh("pull_base python:3.10");
    assert.equal(pulls().length, 1);
    age(24);
    assert.equal(builder.sh("pull_base python:3.10; with_digest python:3.10"), `python:3.10@${NEW}`);
    assert.match(builder.read("calls"), /^image rm sha256:1$/m);
    assert.match(builder.read("pulls"), /^other:1 5 /m);
  });

  it("that are not here are pulled whenever that was", () => {
    age(1);
    builder.write("has", "");
    builder.sh("pull_base python:3.10");
    assert.equal(pulls().length, 1);
  });

  it("are those that are here while their registry does not answer, which is said once a day", () => {
    age(25);
    builder.write("registry", "");
    const said =
      "the registry of python:3.10 does not tell what is newest (dial tcp: connection refused); building on the one that is here";
    assert.equal(builder.sh("pull_base python:3.10"), said);
    assert.equal(builder.sh("pull_base python:3.10; with_digest python:3.10"), `python:3.10@${OLD}`);
    assert.equal(pulls().length, 1);
    assert.doesNotMatch(builder.read("calls"), /^image rm/m);
  });

  it("are left to Docker's own words where there is none here and none to be had", () => {
    builder.write("has", "");
    builder.write("registry", "");
    assert.equal(builder.sh("pull_base python:3.10; with_digest python:3.10"), "python:3.10");
    execFileSync("test", ["!", "-e", join(builder.directory, "pulls")]);
  });
});
