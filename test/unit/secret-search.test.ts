import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { SecretSearch } from "../e2e/secret-search.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

const MARK = "Sentinel0123456789abcdef";
const SECRETS = { token: `1000001:${MARK}-x_y`, password: "p\"ä /'Other0123456789abcdef" };

describe("the search for secrets of the sentinel test", () => {
  const search = new SecretSearch(SECRETS);
  const base64 = (before: string) => Buffer.from(`${before}${SECRETS.token} and more`).toString("base64");
  let place: TemporaryDirectory;

  beforeEach(() => {
    place = new TemporaryDirectory("secret-search-");
  });

  afterEach(() => {
    place.close();
  });

  for (const [form, text] of Object.entries({
    raw: SECRETS.token,
    "percent-encoded": encodeURIComponent(SECRETS.token),
    "percent-encoded twice": encodeURIComponent(encodeURIComponent(SECRETS.token)),
    JSON: JSON.stringify({ env: [`TELEGRAM_TOKEN=${SECRETS.token}`] }),
    "JSON in JSON": JSON.stringify(JSON.stringify([SECRETS.token])),
    "base64 from a first byte": base64(""),
    "base64 from a second byte": base64("a"),
    "base64 from a third byte": base64("ab"),
    "hexadecimal digits": Buffer.from(SECRETS.token).toString("hex"),
    "a part alone": `bot${MARK}`,
  }))
    it(`finds a secret in this form: ${form}`, () => {
      assert.deepEqual(search.in(`before\n${text}\nafter`), ["token"]);
    });

  it("finds nothing where there is nothing, and each of two", () => {
    assert.deepEqual(search.in("1000001:[secret]"), []);
    assert.deepEqual(search.in(JSON.stringify(SECRETS)), ["password", "token"]);
  });

  it("names the texts and the secrets in them, and no value", () => {
    const finds = search.among({ clean: "nothing", log: SECRETS.token, state: JSON.stringify(SECRETS) });
    assert.deepEqual(finds, { log: ["token"], state: ["password", "token"] });
  });

  it("reads every file below a directory, hidden and binary ones too", async () => {
    place.write("clean", "nothing");
    place.write("a/.hidden/log", `x\n${SECRETS.password}\n`);
    place.write("a b/binary", `\0\xff\0${SECRETS.token}\0${JSON.stringify(SECRETS)}`);
    assert.deepEqual(await search.below(place.directory), {
      "a/.hidden/log": ["password"],
      "a b/binary": ["password", "token"],
    });
  });

  it("finds each line of a private key, and takes neither its public half nor another key for it", async () => {
    const [one = "", other = ""] = ["one", "other"].map((name) => {
      execFileSync("ssh-keygen", ["-qt", "ed25519", "-N", "", "-f", join(place.directory, name)]);
      return place.read(name);
    });
    const keys = new SecretSearch({ one, other });
    for (const [number, line] of one.split("\n").slice(2, -2).entries()) place.write(`line ${number}`, line);
    assert.deepEqual(await keys.below(place.directory), {
      ...{ "line 0": ["one"], "line 1": ["one"], "line 2": ["one"], "line 3": ["one"] },
      ...{ one: ["one"], other: ["other"] },
    });
  });

  it("refuses a secret that it could not find", () => {
    assert.throws(
      () => new SecretSearch({ weak: "correct horse battery staple" }),
      /weak cannot be searched/,
    );
  });
});
