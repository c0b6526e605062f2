import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import {
  DEPLOY_KEYS,
  deployKeyFile,
  explain,
  findDeployKey,
  fingerprint,
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

describe("a host key", () => {
  it("has the fingerprint that ssh-keygen prints", () => {
    assert.equal(fingerprint(server.hostKey), "SHA256:kh1pVT/+UDjtZ2n3wiSNslYGr4KA7NAlAE11vTknO3g");
  });
});

describe("ssh's options", () => {
  const path = (options: string[]) => options.find((option) => option.startsWith("ControlPath=")) ?? "";

  it("name another control socket for another host key, so that no old connection is taken for the new server", () => {
    const other = path(sshOptions({ ...server, hostKey: "ssh-ed25519 AAAAother" }, "test", false));
    assert.match(path(sshOptions(server, "test", false)), /^ControlPath=\.ssh\/[0-9a-f]{8}-[0-9a-f]{8}-%C$/);
    assert.notEqual(path(sshOptions(server, "test", false)), other);
  });

  it("name another one for another stack, whose key may open less or more", () => {
    assert.notEqual(path(sshOptions(server, "test", true)), path(sshOptions(server, "demo", true)));
  });

  it("name the stack's deploy key alone where there is one, and none for ssh-agent", () => {
    const identities = (withKey: boolean) =>
      sshOptions(server, "test", withKey).filter((option) => option.startsWith("Identit"));
    assert.deepEqual(identities(true), ["IdentityFile=.ssh/deploy_key.test", "IdentitiesOnly=yes"]);
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

  const [OURS, OTHERS] = [deployKeyFile("test"), deployKeyFile("demo")];
  /** A socket as ssh makes it for a stack. */
  function openSocket(stack: string): string {
    const option = sshOptions(server, stack, true).find((one) => one.startsWith("ControlPath=")) ?? "";
    const socket = option.slice("ControlPath=".length).replace("%C", "c0ffee");
    writeFileSync(socket, "");
    return socket;
  }

  it("is for its owner alone, and stays as long as the key does", () => {
    writeDeployKey("test", "key\n");
    assert.equal(statSync(OURS).mode & 0o777, 0o600);
    assert.equal(statSync(".ssh").mode & 0o777, 0o700);
    const socket = openSocket("test");
    writeDeployKey("test", "key\n");
    assert.ok(existsSync(socket));
  });

  it("is replaced together with the connections that the old key opened, or removed with them", () => {
    writeDeployKey("test", "old\n");
    const socket = openSocket("test");
    writeDeployKey("test", "new\n");
    assert.equal(readFileSync(OURS, "utf8"), "new\n");
    assert.ok(!existsSync(socket));
    writeDeployKey("test", undefined);
    assert.ok(!existsSync(OURS));
  });

  it("is the stack's own: another stack's key, connections and notes stay", () => {
    writeDeployKey("demo", "the demo's\n", "from the demo");
    const others = [openSocket("demo"), ".ssh/.gitignore", ".ssh/updates.json"];
    for (const file of others) writeFileSync(file, "");
    writeDeployKey("test", "ours\n");
    writeDeployKey("test", "newer\n");
    writeDeployKey("test", undefined);
    assert.deepEqual(others.filter(existsSync), others);
    assert.equal(readFileSync(OTHERS, "utf8"), "the demo's\n");
    assert.ok(findDeployKey("demo", "from the demo"));
  });

  it("is known by the encrypted text that it comes from, until another key is there", () => {
    assert.ok(!findDeployKey("test", "text"));
    writeDeployKey("test", "key\n", "text");
    assert.ok(findDeployKey("test", "text"));
    assert.ok(!findDeployKey("test", "another text"));
    writeDeployKey("test", "key\n");
    assert.ok(findDeployKey("test", "text"));
    writeDeployKey("test", "new\n");
    assert.ok(!findDeployKey("test", "text"));
    rmSync(OURS);
    writeDeployKey("test", "new\n", "text");
    rmSync(OURS);
    assert.ok(!findDeployKey("test", "text"));
  });

  it("is also where states of earlier versions name it, for the stack that was used last", () => {
    const earlier = () => readFileSync(DEPLOY_KEYS, "utf8");
    mkdirSync(".ssh");
    writeFileSync(DEPLOY_KEYS, "of an earlier version\n");
    writeDeployKey("test", "ours\n", "text");
    assert.equal(earlier(), "ours\n");
    writeDeployKey("demo", "the demo's\n");
    assert.equal(earlier(), "the demo's\n");
    findDeployKey("test", "text");
    assert.equal(earlier(), "ours\n");
  });

  it("is not missed where there never was one", () => {
    writeDeployKey("test", undefined);
    assert.ok(!existsSync(".ssh"));
  });
});
