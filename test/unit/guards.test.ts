import assert from "node:assert/strict";
import { inspect } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { checked, guard, unprotectedData } from "../../infra/guards.ts";

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

  it("let a provider pass that pins the host key, as a list and as the text that it travels as", () => {
    const options = ["-o", "StrictHostKeyChecking=yes", "-o", "KnownHostsCommand=/bin/echo %H key"];
    for (const sshOpts of [options, JSON.stringify(options)]) {
      assert.deepEqual(checked(PROVIDER, "thing", { sshOpts }), { sshOpts });
    }
  });

  for (const sshOpts of [
    undefined,
    [],
    ["-o", "StrictHostKeyChecking=yes"],
    ["-o", "KnownHostsCommand=/bin/echo %H key"],
    JSON.stringify(["-o", "StrictHostKeyChecking=yes"]),
  ]) {
    it(`refuse a provider with ${JSON.stringify(sshOpts)}`, () => {
      refuses(PROVIDER, { sshOpts }, /would trust any server/);
    });
  }

  it("refuse the database's port among others, and take any number of others", () => {
    refuses(CONTAINER, { ports: [{ internal: 80 }, { internal: "5432" }] }, /publishes the database's port/);
    for (const ports of [undefined, [], [{ internal: 80 }, { internal: 443 }]]) {
      assert.deepEqual(checked(CONTAINER, "thing", { ports, image: "a:1" }), { ports, image: "a:1" });
    }
  });

  it("refuse a command or a copy without a connection, and leave all else of it alone", () => {
    for (const type of [COMMAND, "command:remote:CopyToRemote"]) {
      refuses(type, {}, /The command thing would trust any server/);
      refuses(type, { connection: {} }, /The command thing would trust any server/);
      const props = { connection: { hostKey: "key" }, create: "x" };
      assert.deepEqual(checked(type, "thing", props), props);
    }
    assert.deepEqual(checked("other:index:Type", "thing", { image: "x:latest" }), { image: "x:latest" });
  });

  it("ask for no protection of what only bears the name of a data volume", () => {
    assert.equal(unprotectedData(CONTAINER, "database-data", {}), undefined);
  });

  it("show their sentence where the SDK inspects the error", () => {
    try {
      checked(IMAGE, "thing", { name: "caddy" });
      assert.fail("the image was accepted");
    } catch (error) {
      assert.equal(inspect(error), (error as Error).message);
    }
  });

  it("look at every resource of the stack", () => {
    const registered: pulumi.ResourceTransformation[] = [];
    const { registerStackTransformation: original } = pulumi.runtime;
    const runtime = pulumi.runtime as { registerStackTransformation: typeof original };
    runtime.registerStackTransformation = (transformation) => registered.push(transformation);
    try {
      guard();
    } finally {
      runtime.registerStackTransformation = original;
    }
    assert.equal(registered.length, 1);
    const look = (type: string, name: string, props: object, opts: object = {}) =>
      registered[0]?.({ type, name, props, opts, resource: undefined as unknown as pulumi.Resource });
    const opts = { protect: true, retainOnDelete: true };
    assert.deepEqual(look(VOLUME, "database-data", { name: "x" }, opts), { props: { name: "x" }, opts });
    assert.throws(
      () => look(VOLUME, "database-data", {}),
      /The data volume database-data is not protected.* Nothing was/,
    );
    assert.throws(() => look(IMAGE, "thing", { name: "caddy" }), /name a version/);
  });
});
