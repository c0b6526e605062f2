import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gitSsh, hasRepositoryKey } from "../../infra/model/git.ts";
import { bundle, uploadedCall } from "../../infra/model/scripts.ts";
import { MANAGED, settings } from "./fixtures.ts";

const SCRIPTS = join(import.meta.dirname, "..", "..", "scripts", "server");

/** The settings of a stack that manages GitHub's me/hockey, or does not, and whose bot is at an address. */
const at = (repository: string, manage = true) => ({
  ...settings({ app: { repository } }),
  github: { ...MANAGED, manage },
});

describe("the server's way to the repository", () => {
  const OWN = [
    "git@github.com:me/hockey.git",
    "git@github.com:Me/Hockey",
    "ssh://git@github.com/me/hockey.git",
  ];
  const OTHERS = [
    "https://github.com/me/hockey.git",
    "/srv/git/me/hockey.git",
    "git@gitlab.com:me/other.git",
    "git@github.com:notme/hockey.git",
    "git@github.com:me/hockey-web.git",
  ];
  for (const address of OWN) {
    it(`is a key of its own to ${address}, where GitHub is managed`, () => {
      assert.ok(hasRepositoryKey(at(address)));
      assert.ok(!hasRepositoryKey(at(address, false)));
      assert.match(
        gitSsh(at(address)),
        /IdentityFile=\/home\/deploy\/hockey\/repository_key -o IdentitiesOnly=yes/,
      );
    });
  }
  for (const address of OTHERS) {
    it(`is what its user has to ${address}`, () => {
      assert.ok(!hasRepositoryKey(at(address)));
      assert.doesNotMatch(gitSsh(at(address)), /Identit/);
    });
  }

  it("trusts GitHub by the key that GitHub publishes, and no host at first sight", () => {
    const command = gitSsh(at("git@github.com:me/hockey.git"));
    assert.match(command, /-o BatchMode=yes .*-o StrictHostKeyChecking=yes/);
    const [, key = ""] = /KnownHostsCommand=\/bin\/echo github\.com ([^']*)'/.exec(command) ?? [];
    const fingerprint = execFileSync("ssh-keygen", ["-l", "-f", "-"], {
      input: key,
      encoding: "utf8",
    });
    assert.match(fingerprint, /^256 SHA256:\+DiY3wvvV6TuJJhbpZisF\/zLDA0zPMSvHdkr4UvCOqU /);
  });
});

describe("scripts on the server", () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "server-"));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it("make-repository-key.sh makes one key, keeps it, says its public half, and takes it away", () => {
    const file = join(directory, "repository_key");
    const call = (...args: string[]) =>
      execFileSync(join(SCRIPTS, "make-repository-key.sh"), args, { encoding: "utf8" });
    // What an interrupted call may have left.
    writeFileSync(`${file}.new`, "half a key");
    const made = call("make", file);
    assert.match(made, /^ssh-ed25519 [A-Za-z0-9+/=]+\n$/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const privateHalf = readFileSync(file, "utf8");
    assert.equal(call("make", file), made);
    assert.equal(readFileSync(file, "utf8"), privateHalf);
    assert.ok(!existsSync(`${file}.new`) && !existsSync(`${file}.new.pub`));
    call("remove", file);
    call("remove", file);
    assert.ok(!existsSync(file));
  });

  const DENIED = "git@github.com: Permission denied (publickey).\\r\\n";
  const UNKNOWN = "No ED25519 host key is known for git.example.org\\nHost key verification failed.\\r\\n";
  const SSH_FAILED =
    "fatal: Could not read from remote repository.\\n\\nPlease make sure you have the correct access rights\\nand the repository exists.\\n";
  const ANSWERS: [key: string, answer: string, status: number, said: RegExp][] = [
    [
      "none",
      DENIED,
      1,
      /\(git@github\.com: Permission denied \(publickey\)\); correct `app\.repository`, or give /,
    ],
    [
      "published",
      DENIED,
      1,
      /; have its key published again with: pulumi up --refresh, and an administrator's G/,
    ],
    ["publishing", DENIED, 0, /^$/],
    [
      "publishing",
      UNKNOWN,
      1,
      /\(Host key verification failed\); put the host's key into ~\/\.ssh\/known_hosts of /,
    ],
    [
      "publishing",
      "ERROR: Repository not found.\\n",
      1,
      /\(ERROR: Repository not found\); correct `app\.rep/,
    ],
  ];
  for (const [key, answer, status, said] of ANSWERS) {
    it(`check-server.sh takes "${answer.slice(0, 40)}" with a key ${key} as it should`, () => {
      const stub = (name: string, text: string) => {
        writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      };
      stub("docker", '[ "$1" = version ]');
      stub("git", `printf '${answer}${SSH_FAILED}' >&2; exit 128`);
      const stack = settings({ app: { repository: "git@github.com:me/hockey.git" } });
      stack.server = { ...stack.server, deployPath: directory, backupPath: directory };
      const call = uploadedCall("check-server.sh", stack, {
        ...{ STACK: "hockey/test", COMMIT: "0".repeat(40), KEY: key, MAJOR: "13" },
      });
      const [command = "", ...args] = call;
      const ended = spawnSync(command, args, {
        env: { PATH: `${directory}:${process.env.PATH ?? ""}` },
        input: bundle("check-server.sh"),
        encoding: "utf8",
      });
      assert.match(ended.stderr.trim(), said);
      assert.equal(ended.status, status);
      assert.ok(!ended.stderr.includes("\r"));
    });
  }
});
