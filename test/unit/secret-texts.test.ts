import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { inspect } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { secretTextsFile } from "../../infra/environment.ts";
import { secretTexts } from "../../infra/model/secret-texts.ts";
import { rawConfig, settings } from "./fixtures.ts";
import { HARD } from "./hard-values.ts";

const TOKEN = "123456789:AAFakeTokenForTestsOnly-0123456789ab";
const PART = "AAFakeTokenForTestsOnly-0123456789ab";

/** How programs in Python print a text. */
const PYTHON = `
import json, sys, urllib.parse as url
for text in json.load(sys.stdin):
    forms = [text, repr(text)[1:-1], repr(text.encode())[2:-1], json.dumps(text)[1:-1]]
    forms += [json.dumps(text, ensure_ascii=False)[1:-1], url.quote(text), url.quote(text, safe=""), url.quote_plus(text)]
    print(json.dumps(forms))
`;

describe("the texts that no log may show", () => {
  it("are each secret as it is, and the secret part of a token", () => {
    assert.deepEqual(secretTexts(["correct-horse", TOKEN]), [
      ...["%253A", "%253a", "%3A", "%3a", ":"].map((colon) => TOKEN.replace(":", colon)),
      PART,
      "correct-horse",
    ]);
  });

  it("are each line of a value, without the blanks around it", () => {
    assert.deepEqual(secretTexts(["first-line\r\n  second-line  \n\n}\n"]), ["second-line", "first-line"]);
  });

  it("leave out what is too short to be replaced everywhere, and what comes twice", () => {
    assert.deepEqual(secretTexts(["", "on", "54321", "654321", "654321"]), ["654321"]);
  });

  it("are in the forms in which programs print them", () => {
    const python = execFileSync("python3", ["-c", PYTHON], { input: JSON.stringify(HARD), encoding: "utf8" });
    for (const [index, line] of python.trimEnd().split("\n").entries()) {
      const value = HARD[index] ?? assert.fail();
      const json = JSON.stringify(value).slice(1, -1);
      const forms = [
        ...(JSON.parse(line) as string[]),
        ...[encodeURIComponent(value), encodeURI(value)],
        ...[json, json.replaceAll("/", "\\/"), inspect(value).slice(1, -1)],
        encodeURIComponent(value).replace(/%../g, (digits) => digits.toLowerCase()),
        // As Go's encoding/json does.
        json.replace(
          /[&<>]/g,
          (character) => ({ "&": "\\u0026", "<": "\\u003c", ">": "\\u003e" })[character] ?? "",
        ),
      ];
      const texts = secretTexts([value]);
      for (const form of forms) assert.ok(texts.includes(form), `${form}, of ${value}`);
    }
  });

  it("are in the file for the server, which is secret, and leave out what never gets there", async () => {
    const raw = {
      ...{ environment: { WEATHER_KEY: "weather-key-1" }, githubSecrets: { A: "github-secret-1" } },
      ...{ alerts: { webhook: "https://h.example.org/hook-1", pingUrl: "https://h.example.org/ping-1" } },
      backups: { pingUrl: "https://h.example.org/ping-2" },
      app: { repository: "/srv/git/hockey.git", environment: { LOG_LEVEL: "plain-value-1" } },
    };
    const { path, mode, content } = secretTextsFile(settings(raw));
    assert.deepEqual([path, mode], ["redaction/texts", 0o600]);
    const output = pulumi.output(content);
    assert.ok(await pulumi.isSecret(output));
    const text = await new Promise<string>((resolve) => output.apply(resolve));
    const { postgresPassword, secretKey, telegramToken } = rawConfig() as Record<string, string>;
    for (const known of [
      ...[postgresPassword, secretKey, telegramToken, PART, "weather-key-1"],
      ...["https://h.example.org/hook-1", "https://h.example.org/ping-1", "https://h.example.org/ping-2"],
    ])
      assert.ok(text.split("\n").includes(known ?? "?"), known);
    assert.doesNotMatch(text, /github-secret-1|plain-value-1|^\n/m);
  });
});
