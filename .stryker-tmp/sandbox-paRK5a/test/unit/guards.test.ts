// @ts-nocheck
import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { checked, unprotectedData } from "../../infra/guards.ts";

const CONTAINER = "docker:index/container:Container";
const IMAGE = "docker:index/remoteImage:RemoteImage";
const VOLUME = "docker:index/volume:Volume";
const COMMAND = "command:remote:Command";
const PROVIDER = "pulumi:providers:docker";

function refuses(type: string, props: Record<string, unknown>, sentence: RegExp): void {
  assert.throws(() => checked(type, "thing", props), sentence);
}

describe("the guards", () => {
  it("refuse a published database port", () => {
    const ports = [{ internal: 5432, external: 15432 }];
    refuses(CONTAINER, { ports }, /thing publishes the database's port 5432.* Nothing was changed\./);
  });

  it("refuse it too where it is only known later", async () => {
    const ports = pulumi.output(Promise.resolve([{ internal: 5432 }]));
    const later = checked(CONTAINER, "thing", { ports }).ports as { promise(): Promise<unknown> };
    await assert.rejects(later.promise(), /thing publishes the database's port 5432/);
  });

  it("let the proxy publish its own", () => {
    const props = { ports: [{ internal: 80, external: 5000 }], image: `sha256:${"0".repeat(64)}` };
    assert.deepEqual(checked(CONTAINER, "thing", props), props);
  });

  for (const name of ["caddy", "caddy:latest", "registry.example.org:5000/caddy"]) {
    it(`refuse the floating image ${name}`, () => {
      refuses(IMAGE, { name }, /is another program every time it is pulled; name a version/);
    });
  }

  for (const name of ["caddy:2", "registry.example.org:5000/caddy:2.10", `caddy@sha256:${"0".repeat(64)}`]) {
    it(`let ${name} pass`, () => {
      assert.deepEqual(checked(IMAGE, "thing", { name }), { name });
    });
  }

  for (const opts of [{}, { protect: true }, { retainOnDelete: true }]) {
    it(`refuse a data volume with ${JSON.stringify(opts)}, of whatever version`, () => {
      for (const name of ["database-data", "database-data-training_bot_db_data_17"]) {
        assert.match(unprotectedData(VOLUME, name, opts) ?? "", new RegExp(`${name} is not protected`));
      }
    });
  }

  it("let a protected and retained data volume pass, and volumes without data", () => {
    assert.equal(
      unprotectedData(VOLUME, "database-data", { protect: true, retainOnDelete: true }),
      undefined,
    );
    for (const other of ["proxy-data", "database-database", "database"]) {
      assert.equal(unprotectedData(VOLUME, other, {}), undefined);
    }
  });

  it("refuse a command that checks no host key", () => {
    refuses(
      COMMAND,
      { connection: { host: "bot.example.org" } },
      /would trust any server; give its connection/,
    );
  });

  it("refuse a Docker provider that checks no host key", () => {
    const props = { host: "ssh://deploy@bot.example.org", sshOpts: ["-o", "StrictHostKeyChecking=no"] };
    refuses(PROVIDER, props, /would trust any server; give it the options of infra\/model\/ssh\.ts/);
  });
});
