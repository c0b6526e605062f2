import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { parseConfig } from "../../infra/config.ts";
import { ConfigError, EXPECTED } from "../../infra/model/config-errors.ts";
import { Config, databaseVolume } from "../../infra/model/schema.ts";
import { BROKEN, withValue } from "./broken.ts";
import { isSecret, rawConfig, settings } from "./fixtures.ts";

function refusal(raw: Record<string, unknown>, secret = isSecret): string {
  try {
    parseConfig(raw, secret);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: "the configuration was accepted" });
}

/** The keys of a schema at every depth, dotted. */
function keysOf(type: unknown): string[] {
  if (type instanceof z.ZodOptional || type instanceof z.ZodDefault || type instanceof z.ZodPrefault) {
    return keysOf(type.def.innerType);
  }
  if (!(type instanceof z.ZodObject)) return [];
  return Object.entries(type.shape).flatMap(([key, inner]) => [
    key,
    ...keysOf(inner).map((below) => `${key}.${below}`),
  ]);
}

describe("a configuration", () => {
  it("gets the defaults of the house", () => {
    const { name, server, app, database, proxy } = settings();
    assert.equal(name, "training_bot");
    assert.equal(server.port, 22);
    assert.equal(server.user, "deploy");
    assert.equal(server.deployPath, "/home/deploy/hockey");
    assert.deepEqual([app.branch, app.port, app.healthPath], ["main", 5000, "/health"]);
    assert.equal(app.startSeconds, 13);
    assert.deepEqual(database, { image: "postgres:13", user: "hockey", name: "hockey_db", extensions: [] });
    assert.deepEqual(proxy, { port: 5000, image: "caddy:2" });
    assert.deepEqual(settings().backups, {
      ...{ schedule: "0 6 * * *", retentionDays: 30, keepAtLeast: 7, beforeRelease: true },
    });
  });

  it("keeps the data in a volume that is named after the bot, unless another is named", () => {
    assert.equal(databaseVolume(settings()), "training_bot_db_data");
    assert.equal(databaseVolume(settings({ name: "chess" })), "chess_db_data");
    assert.equal(databaseVolume(settings({ database: { volume: "chess_db_data_17" } })), "chess_db_data_17");
  });

  it("loses the comment of a host key, which is no part of it", () => {
    assert.match(settings().server.hostKey, /^ssh-ed25519 \S+$/);
  });

  it("takes numbers as text, as the command line stores them", () => {
    const raw = withValue("server.port", "2222");
    assert.equal(parseConfig(raw, isSecret).server.port, 2222);
  });

  it("keeps every secret secret", async () => {
    const { postgresPassword, telegramToken, secretKey, environment } = settings();
    for (const secret of [postgresPassword, telegramToken, secretKey]) {
      assert.equal(await pulumi.isSecret(secret), true);
    }
    assert.equal(await pulumi.isSecret(environment), true);
  });

  it("reports all its faults at once", () => {
    const message = refusal({ server: { host: "", hostKey: "none" }, app: {} });
    assert.match(message, /^The configuration has 7 faults; nothing was changed\./);
    for (const key of ["commit", "server.host", "server.hostKey", "app.repository", "postgresPassword"]) {
      assert.match(message, new RegExp(`^  ${key.replace(".", "\\.")}: `, "m"));
    }
  });

  it("has a message for every key of the schema, and for no other", () => {
    assert.deepEqual(Object.keys(EXPECTED).sort(), keysOf(Config).sort());
  });

  it("describes every key of the schema in Pulumi.yaml, and no other", () => {
    const text = readFileSync("Pulumi.yaml", "utf8");
    const described = [...text.matchAll(/^# {5}([a-z]\w*(?:\.\w+)*) /gm)].map(([, key]) => key);
    const keys = keysOf(Config);
    const leaves = keys.filter((key) => !keys.some((other) => other.startsWith(`${key}.`)));
    assert.deepEqual(described.sort(), leaves.sort());
  });
});

describe("a broken configuration is refused with its key, what it needs and an example", () => {
  for (const [path, value, message] of BROKEN) {
    it(`${path} = ${JSON.stringify(value)}`, () => {
      assert.match(refusal(withValue(path, value)), message);
    });
  }

  it("a secret stored in clear", () => {
    const message = refusal(rawConfig(), (key) => isSecret(key) && key !== "telegramToken");
    assert.match(
      message,
      /telegramToken: is stored in clear; set it again with `pulumi config set --secret tel/,
    );
  });

  it("and never shows the value of a secret", () => {
    const message = refusal({
      ...withValue("telegramToken", "hunter2-is-not-a-token"),
      secretKey: "hunter2",
    });
    assert.doesNotMatch(message, /hunter2/);
  });
});
