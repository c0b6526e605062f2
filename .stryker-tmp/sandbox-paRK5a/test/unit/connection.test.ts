// @ts-nocheck
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import {
  DEPLOY_KEY,
  explain,
  NO_CONNECTION,
  shellCommand,
  sshOptions,
  writeDeployKey,
} from "../../infra/model/ssh.ts";
import { rawConfig } from "./fixtures.ts";

const { server } = parsePlainConfig(rawConfig());

describe("an answer of the server", () => {
  const said = (stderr: string, status: number = NO_CONNECTION, sshPrivateKey?: string) =>
    explain({ status, stdout: "", stderr }, { server, sshPrivateKey });

  it("is not explained by ssh where there was a connection", () => {
    assert.equal(said("Permission denied.", 1), "Permission denied.");
  });

  const agent =
    "The server at bot.example.org:22 does not accept the key in your ssh-agent (`ssh-add -l`) for the";
  for (const [stderr, sentence] of [
    [
      "Host key verification failed.\r\n",
      "The server at bot.example.org:22 shows another host key than the pinned",
    ],
    ["deploy@bot.example.org: Permission denied (publickey).", agent],
    ["Received disconnect: Too many authentication failures", agent],
    ["Load key: error in libcrypto", agent],
    ["Load key: invalid format", agent],
    [
      "ssh: Could not resolve hostname bot.example.org",
      "The server's name bot.example.org is unknown; correct",
    ],
    ["bot.example.org: Name or service not known", "The server's name bot.example.org is unknown; correct"],
    [
      "debug\nssh: connect to host: Connection refused",
      "The server does not answer at bot.example.org:22 (ssh: connect to host: Connection refused); correct",
    ],
    ["", "The server does not answer at bot.example.org:22 (no answer in time); correct `server.host` or"],
  ] as const) {
    it(`explains "${stderr.trim()}" of ssh`, () => {
      assert.equal(said(stderr)?.slice(0, sentence.length), sentence);
    });
  }

  it("blames the key of the configuration where there is one", () => {
    assert.match(
      said("Permission denied (publickey).", NO_CONNECTION, "") ?? "",
      /does not accept `sshPrivateKey` for/,
    );
  });
});

describe("a command for the login shell", () => {
  it("quotes each word that the shell would not take as it is", () => {
    assert.equal(
      shellCommand(["install", "-m", "600", "/dev/stdin", "a@b%c+d=e:f,g"]),
      "install -m 600 /dev/stdin a@b%c+d=e:f,g",
    );
    assert.equal(
      shellCommand(["a b", "$(reboot)", "it's", "", "x;y", "~"]),
      `'a b' '$(reboot)' 'it'\\''s' '' 'x;y' '~'`,
    );
  });
});

describe("ssh's options", () => {
  it("name another control socket for another host key, so that no old connection is taken for the new server", () => {
    const path = (options: string[]) => options.find((option) => option.startsWith("ControlPath="));
    const other = path(sshOptions({ ...server, hostKey: "ssh-ed25519 AAAAother" }, false));
    assert.match(path(sshOptions(server, false)) ?? "", /^ControlPath=\.ssh\/[0-9a-f]{8}-%C$/);
    assert.notEqual(path(sshOptions(server, false)), other);
  });

  it("name the deploy key alone where there is one, and none for ssh-agent", () => {
    const identities = (withKey: boolean) =>
      sshOptions(server, withKey).filter((option) => option.startsWith("Identit"));
    assert.deepEqual(identities(true), [`IdentityFile=${DEPLOY_KEY}`, "IdentitiesOnly=yes"]);
    assert.deepEqual(identities(false), []);
  });
});

describe("the deploy key's file", () => {
  const project = process.cwd();
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "key-"));
    process.chdir(directory);
  });
  afterEach(() => {
    process.chdir(project);
    rmSync(directory, { recursive: true });
  });

  it("is for its owner alone, and stays as long as the key does", () => {
    writeDeployKey("key\n");
    assert.equal(statSync(DEPLOY_KEY).mode & 0o777, 0o600);
    assert.equal(statSync(".ssh").mode & 0o777, 0o700);
    writeFileSync(".ssh/socket", "");
    writeDeployKey("key\n");
    assert.ok(existsSync(".ssh/socket"));
  });

  it("is replaced together with the connections that the old key opened, or removed with them", () => {
    writeDeployKey("old\n");
    for (const file of ["socket", ".gitignore"]) writeFileSync(`.ssh/${file}`, "");
    writeDeployKey("new\n");
    assert.equal(readFileSync(DEPLOY_KEY, "utf8"), "new\n");
    assert.deepEqual([existsSync(".ssh/socket"), existsSync(".ssh/.gitignore")], [false, true]);
    writeDeployKey(undefined);
    assert.ok(!existsSync(DEPLOY_KEY));
  });

  it("is not missed where there never was one", () => {
    writeDeployKey(undefined);
    assert.ok(!existsSync(".ssh"));
  });
});
