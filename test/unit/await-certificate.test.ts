import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

const DOMAIN = "bot.example.org";

/** The line with which Caddy's log ends an attempt. */
const refused = (error: string) =>
  `${JSON.stringify({ level: "error", ts: 1, msg: "could not get certificate from issuer", identifier: DOMAIN, error })}\n`;
const unanswered = (error: string) =>
  `${JSON.stringify({ level: "warn", msg: "HTTP request failed; retrying", error })}\n`;
const NOWHERE =
  "HTTP 400 urn:ietf:params:acme:error:dns - DNS problem: NXDOMAIN looking up A for bot.example.org";

describe("the wait for a certificate", () => {
  let server: TemporaryDirectory;

  beforeEach(() => {
    server = new TemporaryDirectory("certificate-");
    mkdirSync(join(server.directory, "bin"));
    for (const [tool, script] of Object.entries(TOOLS))
      writeFileSync(join(server.directory, "bin", tool), script, { mode: 0o755 });
    for (const file of ["log", "since-reload", "calls"]) server.write(file, "");
  });
  afterEach(() => {
    server.close();
  });

  /** Runs the script; gives what it says, and whether it asks to be called again. */
  function run(seconds = 1): { said: string; isNoted: boolean; reloads: number } {
    const ended = spawnSync(join(SERVER_SCRIPTS, "await-certificate.sh"), {
      encoding: "utf8",
      env: {
        PATH: `${server.directory}/bin:${process.env.PATH ?? ""}`,
        WORLD: server.directory,
        ...{ PROXY: "proxy", CADDYFILE: "/caddyfile", CERTIFICATES: "/data", DOMAIN },
        ...{ CERTIFICATE_SECONDS: String(seconds), UNCERTIFIED: join(server.directory, "uncertified") },
        ...{ BOT: "training_bot", SECRET_TEXTS: join(server.directory, "texts") },
      },
    });
    assert.deepEqual([ended.status, ended.stdout], [0, ""], ended.stderr);
    const reloads = server
      .read("calls")
      .split("\n")
      .filter((line) => line.includes("caddy reload")).length;
    return {
      said: ended.stderr.trim(),
      isNoted: existsSync(join(server.directory, "uncertified")),
      reloads,
    };
  }

  const SILENT = { said: "", isNoted: false, reloads: 0 };

  it("is one question where there is one", () => {
    server.write("certificate", "");
    assert.deepEqual(run(), SILENT);
    assert.equal(server.read("calls").trimEnd().split("\n").length, 1);
  });

  it("ends as soon as there is one", () => {
    server.write("comes-after", "2");
    assert.deepEqual(run(30), SILENT);
  });

  for (const [what, error, cause, remedy] of [
    [
      "no name",
      NOWHERE,
      "DNS problem: NXDOMAIN looking up A for bot.example.org",
      "have the domain's A record",
    ],
    [
      "another machine",
      'HTTP 403 urn:ietf:params:acme:error:unauthorized - 192.0.2.1: Invalid response from "http://x/": 404',
      '192.0.2.1: Invalid response from "http://x/": 404',
      "have the domain's A record",
    ],
    [
      "a name that it does not want",
      "HTTP 400 urn:ietf:params:acme:error:rejectedIdentifier - forbidden by policy.",
      "forbidden by policy",
      "set `proxy.domain` to one that it accepts",
    ],
    [
      "too many attempts",
      "HTTP 429 urn:ietf:params:acme:error:rateLimited - too many failed authorizations",
      "too many failed authorizations",
      "wait until it accepts more",
    ],
  ] as const) {
    it(`says at once that Let's Encrypt has found ${what}, and asks for another look`, () => {
      server.write("log-later", refused(error));
      const { said, isNoted, reloads } = run(30);
      assert.equal(
        said.split("; ")[0],
        `https://${DOMAIN} does not work, since Let's Encrypt has issued no certificate for it yet (${cause})`,
      );
      assert.ok(said.includes(`; ${remedy}`), said);
      assert.equal(said.split("\n").length, 1);
      assert.deepEqual([isNoted, reloads], [true, 0]);
    });
  }

  it("gives up after its time, with what Caddy has met on its way to Let's Encrypt", () => {
    assert.match(run(0).said, /\(no answer from it: none within 0 s\); let this server reach /);
    server.write("log", unanswered("dial tcp: lookup acme-v02.api.letsencrypt.org: no such host"));
    assert.match(
      run(0).said,
      /\(no answer from it: dial tcp: lookup \S+: no such host\); let this server reach /,
    );
  });

  it("has Caddy try again at once where it was refused before, and goes by what comes of that", () => {
    server.write("log", refused(NOWHERE));
    server.write("since-reload", refused("HTTP 400 urn:ietf:params:acme:error:connection - refused"));
    const { said, reloads } = run(30);
    assert.match(said, /\(refused\)/);
    assert.equal(reloads, 1);
    server.write("comes-after", "4");
    server.write("since-reload", "");
    assert.deepEqual(run(30).said, "");
  });

  it("leaves Let's Encrypt alone while the domain leads nowhere", () => {
    server.write("log", refused(NOWHERE));
    server.write("leads-nowhere", "");
    const { said, reloads } = run(30);
    assert.match(said, /NXDOMAIN/);
    assert.equal(reloads, 0);
  });
});

const TOOLS = {
  // Knows the time of the reload: what is asked for since then is another log.
  docker: `#!/usr/bin/env bash
cd "$WORLD"
echo "$*" >>calls
case $* in
  *'caddy reload'*) ;;
  *.crt*)
    if [[ -e comes-after ]]; then
      left=$(<comes-after)
      if ((left > 0)); then echo $((left - 1)) >comes-after; else touch certificate; fi
    fi
    [[ -e certificate ]]
    ;;
  'logs --since 0 proxy')
    cat log
    if [[ -e log-later ]]; then mv log-later log; fi
    ;;
  'logs --since '*) cat since-reload ;;
esac
`,
  getent: `#!/usr/bin/env bash
[[ ! -e $WORLD/leads-nowhere ]]
`,
};
