import assert from "node:assert/strict";
import { parse } from "yaml";
import { checkStored, parseValue } from "../../infra/model/config-check.ts";
import { configError, ConfigError, EXPECTED } from "../../infra/model/config-errors.ts";
import { Config, ENCRYPTED, OBJECT_KEYS, parsePlainConfig } from "../../infra/model/schema.ts";
import { parseConfig } from "../../infra/config.ts";
import { BROKEN, withValue } from "./broken.ts";
import { isSecret, rawConfig } from "./fixtures.ts";
import { BASE64, TEXTS } from "./config-texts.ts";
import { github, pem, VALUES } from "./config-values.ts";

/** The value of a key as the schema passes it on; a fault of that key instead where it refuses the value. */
function parsed(path: string, value: unknown): { value: unknown } | { fault: string } {
  const result = Config.safeParse(withValue(path, value));
  if (result.success) {
    const keys = path.split(".");
    return { value: keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], result.data) };
  }
  const [issue] = result.error.issues;
  return { fault: (issue?.path ?? []).map(String).join(".") };
}

function assertRefused(path: string, value: unknown): void {
  const found = parsed(path, value);
  assert.ok("fault" in found && `${found.fault}.`.startsWith(`${path}.`), JSON.stringify({ value, found }));
}

describe("values of the configuration", () => {
  for (const [path, { takes, refuses }] of Object.entries(TEXTS)) {
    it(`${path} takes what fits and refuses the rest`, () => {
      for (const value of takes) assert.deepEqual(parsed(path, value), { value }, path);
      for (const value of refuses) assertRefused(path, value);
      // What is around the value may end up in a shell or a file of lines.
      for (const value of takes)
        for (const more of [`\n;${value}`, `;\n${value}`, `${value}\n;`]) assertRefused(path, more);
    });
  }

  for (const [path, takes, refuses] of VALUES) {
    it(`${path} takes what fits and refuses the rest`, () => {
      for (const value of takes) assert.ok("value" in parsed(path, value), JSON.stringify(value));
      for (const value of refuses) assertRefused(path, value);
    });
  }

  it("are passed on in one form", () => {
    const one = (path: string, value: unknown) => (parsed(path, value) as { value: unknown }).value;
    assert.equal(one("server.hostKey", ` ssh-ed25519 ${BASE64} root@bot \n`), `ssh-ed25519 ${BASE64}`);
    assert.equal(one("server.port", "22"), 22);
    assert.deepEqual(one("app.environment", { A: 1, B: true, C: "x" }), { A: "1", B: "true", C: "x" });
    assert.equal(one("sshPrivateKey", `${pem("", "AAAA")} \n\n`), `${pem("", "AAAA")}\n`);
    assert.equal(one("alerts.webhook", "https://hooks.example.org/bot//"), "https://hooks.example.org/bot");
    assert.equal(one("alerts.webhook", "http://a//b"), "http://a//b");
    assert.equal(one("alerts.telegramChat", -100123), "-100123");
    assert.deepEqual(one("github", { owner: "me", repository: "b" }), {
      ...{ owner: "me", repository: "b", branch: "main", manage: false, reviewers: [], previewReviewers: [] },
    });
  });

  it("have examples that are taken, where the example is a whole value", () => {
    const whole = Object.entries(EXPECTED).filter(
      ([key, { example }]) => /^["[\w/]/.test(example) && !example.includes("…") && key !== "server.host",
    );
    assert.ok(whole.length > 20);
    for (const [key, { example }] of whole) {
      const value: unknown = parse(example);
      const [, inner] = /^github\.(\w+)$/.exec(key) ?? [];
      const found = inner === undefined ? parsed(key, value) : parsed("github", github({ [inner]: value }));
      assert.ok("value" in found, `${key}: ${example}`);
    }
  });

  it("that are objects are those that Pulumi hands over as JSON", () => {
    assert.deepEqual([...OBJECT_KEYS].sort(), [
      ...[
        "alerts",
        "app",
        "backups",
        "database",
        "environment",
        "github",
        "githubSecrets",
        "proxy",
        "server",
      ],
    ]);
  });
});

describe("the plain configuration", () => {
  const refusal = (raw: Record<string, unknown>): string => {
    try {
      parsePlainConfig(raw);
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      return error.message;
    }
    return "";
  };

  it("needs no commit before the first deploy, and no secrets, whatever they are", () => {
    const settings = parsePlainConfig({ ...withValue("commit", undefined), secretKey: "[secret]" });
    assert.equal(settings.commit, undefined);
    assert.ok(!("secretKey" in settings));
  });

  it("is refused with what is missing and what is not valid", () => {
    assert.match(refusal(withValue("server.hostKey", undefined)), /server\.hostKey: is missing; it needs/);
    assert.match(refusal(withValue("server.hostKey", "x")), /server\.hostKey: is not valid; it needs/);
  });
});

describe("a stack's file", () => {
  const SECRETS = ["postgresPassword", "telegramToken", "secretKey"] as const;
  const sealed = (raw: Record<string, unknown>, keys: readonly string[] = SECRETS) => ({
    ...raw,
    ...Object.fromEntries(keys.filter((key) => raw[key] !== undefined).map((key) => [key, ENCRYPTED])),
  });
  const said = (action: () => unknown): string => {
    try {
      action();
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      return error.message;
    }
    return "";
  };
  const refusal = (raw: Record<string, unknown>, secret = isSecret) => said(() => checkStored(raw, secret));

  it("is accepted with secrets that nothing can read, and gives its plain part", () => {
    const raw = { ...sealed(rawConfig()), sshPrivateKey: ENCRYPTED, environment: { KEY: ENCRYPTED } };
    const whole: Record<string, unknown> = { ...raw, githubSecrets: ENCRYPTED };
    const { name, server, ...more } = checkStored(whole, isSecret);
    assert.equal(refusal(raw), "");
    assert.equal(refusal(sealed(rawConfig())), "");
    assert.deepEqual([name, server.host], ["training_bot", "bot.example.org"]);
    assert.ok(!("secretKey" in more) && !("environment" in more));
  });

  it("needs no commit: each deploy brings one", () => {
    assert.equal(refusal(sealed(withValue("commit", undefined))), "");
  });

  /** Faults that are in a secret itself, which commands cannot read. */
  const unreadable = (path: string, value: unknown) =>
    (SECRETS as readonly string[]).includes(path) && value !== undefined;
  for (const [path, value] of BROKEN) {
    if (path === "commit" && value === undefined) continue;
    it(`${path} = ${JSON.stringify(value)}: is refused with the program's words, or cannot be read`, () => {
      const raw = withValue(path, value);
      const program = said(() => parseConfig(raw, isSecret));
      assert.match(program, /one fault|faults/);
      assert.equal(refusal(sealed(raw)), unreadable(path, value) ? "" : program);
    });
  }

  it("must have its secrets encrypted, in the program's words", () => {
    const inClear = (key: string) => isSecret(key) && key !== "telegramToken";
    const program = said(() => parseConfig(rawConfig(), inClear));
    assert.match(program, /telegramToken: is stored in clear/);
    assert.equal(refusal(sealed(rawConfig()), inClear), program);
    // What is in clear is no excuse for what it says.
    assert.match(refusal(withValue("telegramToken", "x"), inClear), /has 2 faults/);
  });

  /** As above, with what is encrypted in a plain key. */
  const withSealed = (path: string, key = path.split(".")[0]) => ({
    raw: sealed(withValue(path, ENCRYPTED)),
    secret: (one: string) => isSecret(one) || one === key,
  });

  for (const path of ["commit", "server", "server.host", "app.port", "alerts", "alerts.telegramChat"]) {
    it(`is no place for an encrypted ${path}, which commands read without the passphrase`, () => {
      const { raw, secret } = withSealed(path);
      const message = refusal(raw, secret);
      assert.match(message, /has one fault/);
      assert.ok(
        message.includes(
          `  ${path}: is encrypted, but has to be read without the passphrase; set it again in clear with \`pulumi config set --path ${path}\``,
        ),
        message,
      );
    });
  }

  it("sends a variable of the bot's that is secret to where it is kept as one", () => {
    const { raw, secret } = withSealed("app.environment.KEY");
    assert.match(
      refusal(raw, secret),
      /app\.environment\.KEY: is encrypted, .*; remove it with `pulumi config rm --path app\.environment\.KEY`, and use `pulumi config set --path --secret environment\.KEY`/,
    );
  });

  it("is refused by the program, too, which does not see which value of a key was encrypted", () => {
    const message = said(() => parseConfig(rawConfig(), withSealed("server.host").secret));
    assert.match(message, /^ {2}server: is encrypted, but has to be read without the passphrase/m);
  });

  for (const path of ["alerts.webhook", "alerts.pingUrl", "backups.pingUrl"]) {
    it(`may have ${path} encrypted or in clear`, () => {
      const { raw, secret } = withSealed(path);
      const [object = "", key = ""] = path.split(".");
      const stored = checkStored(raw, secret) as unknown as Record<string, Record<string, unknown>>;
      assert.equal(stored[object]?.[key], ENCRYPTED);
      const address = "https://hooks.example.org/T0/secret";
      for (const kind of [secret, isSecret]) assert.ok(parseConfig(withValue(path, address), kind));
      assert.equal(refusal(sealed(withValue(path, address))), "");
    });
  }

  it("names no text as an address that stands for an encrypted one elsewhere", () => {
    assert.match(refusal(sealed(withValue("alerts.telegramApiUrl", ENCRYPTED))), /ApiUrl: is not valid/);
  });

  it("must have what the workflows need, as far as that can be seen", () => {
    const github = { owner: "me", repository: "b", manage: true };
    const raw = { ...sealed(rawConfig()), github };
    const missing = (more: object) =>
      [...refusal({ ...raw, ...more }).matchAll(/^ {2}(\S+): is missing; with/gm)].map(([, key]) => key);
    const [url, passphrase] = ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"];
    assert.deepEqual(missing({}), ["sshPrivateKey", `githubSecrets.${url}`, `githubSecrets.${passphrase}`]);
    const key = { sshPrivateKey: ENCRYPTED };
    assert.deepEqual(missing({ ...key, githubSecrets: { [url]: ENCRYPTED } }), [
      `githubSecrets.${passphrase}`,
    ]);
    assert.equal(refusal({ ...raw, ...key, githubSecrets: ENCRYPTED }), "");
    // What is missing for one's own use comes first.
    assert.match(refusal({ ...raw, name: "My Bot" }), /has one fault;.*\n {2}name: is not valid/);
    assert.deepEqual(missing({ github: { ...github, manage: false } }), []);
  });

  it("may have objects as JSON", () => {
    assert.deepEqual(parseValue("app", '{"port":1}'), { port: 1 });
    assert.equal(parseValue("app", "text"), "text");
    assert.equal(parseValue("name", '{"port":1}'), '{"port":1}');
    assert.equal(parseValue("app", 5), 5);
  });
});

describe("the message of a fault", () => {
  it("has words and an example for every key", () => {
    for (const [key, { needs, example }] of Object.entries(EXPECTED)) assert.ok(needs && example, key);
  });

  it("counts the faults", () => {
    assert.equal(configError(["a"]).message, "The configuration has one fault; nothing was changed.\n  a");
    assert.equal(
      configError(["a", "b"]).message,
      "The configuration has 2 faults; nothing was changed.\n  a\n  b",
    );
  });

  it("lists the keys beside an unknown one, and no others", () => {
    const known = (path: string) => {
      try {
        parsePlainConfig(withValue(path, "x"));
      } catch (error) {
        return /known here: (.*)\)/.exec((error as Error).message)?.[1];
      }
      return undefined;
    };
    assert.equal(known("database.port"), "image, volume, user, name, extensions");
    assert.match(
      known("colour") ?? "",
      /^commit, name, server, app, database, proxy, backups, alerts, github, /,
    );
  });
});
