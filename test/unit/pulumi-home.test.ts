import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import { join } from "node:path";
import { mock } from "node:test";
import { homeWithoutLog, userDirectory } from "../../operator/pulumi-home.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

describe("the directory in which Pulumi looks for its home", () => {
  const { HOME: before } = process.env;
  beforeEach(() => {
    process.env.HOME = "/elsewhere";
  });
  afterEach(() => {
    mock.restoreAll();
    syncBuiltinESMExports();
    if (before === undefined) delete process.env.HOME;
    else process.env.HOME = before;
  });

  it("is the system's for this user, whatever HOME says", () => {
    assert.equal(userDirectory(), os.userInfo().homedir);
    assert.notEqual(userDirectory(), "/elsewhere");
  });

  it("is what HOME says for a user whom the system does not know", () => {
    mock.method(os, "userInfo", () => {
      throw new Error("uv_os_get_passwd returned ENOENT");
    });
    syncBuiltinESMExports();
    assert.equal(userDirectory(), "/elsewhere");
  });
});

describe("Pulumi's home without its log", () => {
  const { PULUMI_HOME: before } = process.env;
  let real: TemporaryDirectory;

  beforeEach(() => {
    real = new TemporaryDirectory("home-");
    process.env.PULUMI_HOME = real.directory;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.PULUMI_HOME;
    else process.env.PULUMI_HOME = before;
    real.close();
  });

  it("has all that Pulumi has in its own one, and no place for a log", () => {
    real.write("credentials.json", "{}");
    real.write("logs/old.log", "");
    const { PULUMI_HOME: home = "" } = homeWithoutLog();
    assert.equal(home, join(real.directory, "hockey-delivery"));
    assert.deepEqual(readdirSync(home).sort(), ["credentials.json", "logs", "plugins", "workspaces"]);
    real.write("plugins/resource-docker/PulumiPlugin.yaml", "");
    assert.ok(existsSync(join(home, "plugins/resource-docker/PulumiPlugin.yaml")));
    assert.equal(real.read("hockey-delivery/logs"), "");
  });

  it("gets what Pulumi has made since", () => {
    const { PULUMI_HOME: home = "" } = homeWithoutLog();
    real.write("config.json", "{}");
    assert.deepEqual(homeWithoutLog(), { PULUMI_HOME: home });
    assert.ok(readdirSync(home).includes("config.json"));
  });

  it("is Pulumi's own where nothing can be made there", () => {
    real.write("hockey-delivery", "a file");
    assert.deepEqual(homeWithoutLog(), {});
  });
});
