import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secretTexts } from "../../infra/model/secret-texts.ts";
import { SERVER_SCRIPTS } from "../../infra/model/scripts.ts";
import { HARD } from "./hard-values.ts";

const TOKEN = "123456789:AAFakeTokenForTestsOnly-0123456789ab";
const PART = "AAFakeTokenForTestsOnly-0123456789ab";

describe("the filter for what leaves the server", function () {
  this.timeout(20_000);
  let directory: string;
  let file: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "redaction-"));
    file = join(directory, "texts");
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  const SCRIPT = `set -euo pipefail; source ${SERVER_SCRIPTS}/lib/redact.sh; redact`;
  // Without SHLVL bash would take itself for a login over a network.
  const options = (env: Record<string, string> = {}) => ({
    env: {
      SHLVL: "1",
      PATH: `${directory}/bin:${process.env.PATH ?? ""}`,
      SECRET_TEXTS: file,
      BOT: "bot",
      ...env,
    },
  });
  const put = (values: string[]) => {
    writeFileSync(
      file,
      secretTexts(values)
        .map((text) => `${text}\n`)
        .join(""),
    );
  };
  const redact = (input: string | Buffer, env = {}) =>
    execFileSync("bash", ["-c", SCRIPT], { input, ...options(env) });
  const redacted = (input: string, env = {}) => redact(input, env).toString();

  it("replaces each secret, wherever it stands, and nothing else", () => {
    put([TOKEN, "correct-horse"]);
    assert.equal(
      redacted(`GET /bot${TOKEN}/getMe with correct-horse,correct-horse\nbattery ${PART}\ncorrect-hors`),
      "GET /bot[secret]/getMe with [secret],[secret]\nbattery [secret]\ncorrect-hors",
    );
  });

  it("takes the longest text that fits, and never what it has put there itself", () => {
    put(["password", "password-and-more", "secret"]);
    assert.equal(redacted("password-and-more password secret"), "[secret] [secret] [secret]");
  });

  for (const value of HARD) {
    it(`finds ${JSON.stringify(value)}, which means nothing to it`, () => {
      put([value]);
      const lines = [value, JSON.stringify(value), encodeURIComponent(value), `${value} ${value}`];
      assert.equal(redacted(lines.join("\n")), '[secret]\n"[secret]"\n[secret]\n[secret] [secret]');
    });
  }

  it("passes on bytes of any encoding, and an unfinished last line", () => {
    put(["correct-horse"]);
    const noise = Buffer.from([0xff, 0x00, 0xc3, 0x28, 0x0d, 0x0a, 0xfe]);
    const found = redact(Buffer.concat([noise, Buffer.from("correct-horse"), noise]));
    assert.deepEqual(found, Buffer.concat([noise, Buffer.from("[secret]"), noise]));
  });

  it("stands behind everything that reads a log", () => {
    const files = readdirSync(SERVER_SCRIPTS, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".sh"),
    );
    const lines = files.flatMap((name) => readFileSync(join(SERVER_SCRIPTS, name), "utf8").split("\n"));
    // Messages recommend the same command, between backquotes.
    const readers = lines.filter((line) => /(?<!`)docker logs |^ *tail .*LOG/.test(line));
    assert.ok(readers.length >= 5, readers.join("\n"));
    for (const line of readers) assert.match(line, /\| redact\b/);
  });

  it("passes everything on where there is nothing to hide", () => {
    writeFileSync(file, "");
    assert.equal(redacted("a\nb"), "a\nb");
  });

  it("passes each line on as it comes where a log is followed", async () => {
    put(["correct-horse"]);
    const child = spawn("bash", ["-c", SCRIPT], options({ FOLLOW: "yes" }));
    for (const word of ["first", "second"]) {
      child.stdin.write(`${word} correct-horse\n`);
      const [chunk] = (await once(child.stdout, "data")) as [Buffer];
      assert.equal(chunk.toString(), `${word} [secret]\n`);
    }
    child.stdin.end();
    await once(child, "close");
  });

  it("has no secret in the arguments of a program", () => {
    put(["correct-horse"]);
    const found = execFileSync("bash", ["-c", `${SCRIPT} < <(sleep 0.2; ps -o args= --ppid $$)`], {
      ...options(),
      encoding: "utf8",
    });
    assert.match(found, /sed/);
    assert.doesNotMatch(found, /\[secret\]/);
  });

  describe("on a server to which an earlier version has put no such file", () => {
    before(() => {
      mkdirSync(join(directory, "bin"));
      const variables = [
        ...["PATH=/bin", "PORT=5000", `TELEGRAM_TOKEN=${TOKEN}`, "SECRET_KEY=key/of=sixteen.."],
        ...[
          "DATABASE_URL=postgresql://hockey:pass%2Fword@bot_db:5432/hockey_db",
          "POSTGRES_PASSWORD=pass/word",
        ],
      ];
      const docker = `#!/bin/sh\n[ "$5" = bot ] && cat <<'EOF'\n${variables.join("\n")}\nEOF\n`;
      writeFileSync(join(directory, "bin/docker"), docker, { mode: 0o755 });
    });

    const old = (bot: string) =>
      redacted(
        `GET /bot${TOKEN} key/of=sixteen.. postgresql://hockey:pass%2Fword@bot_db pass/word 5000 /bin`,
        { SECRET_TEXTS: join(directory, "none"), BOT: bot },
      );

    it("goes by the environment of the bot that runs", () => {
      assert.equal(
        old("bot"),
        "GET /bot123456789:[secret] [secret] postgresql://hockey:[secret]@bot_db [secret] 5000 /bin",
      );
    });

    it("passes everything on where there is no bot either", () => {
      assert.match(old("none"), /pass\/word/);
    });
  });
});
