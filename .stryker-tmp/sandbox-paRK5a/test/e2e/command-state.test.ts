// @ts-nocheck
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localStack, pulumiOk, type Stack } from "../../sandbox/stack.ts";

// A secret in clear, as `pulumi stack import` takes and encrypts it.
const secret = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  plaintext: JSON.stringify(value),
});

// @pulumi/command keeps these passwords and keys as secrets of their own inside the connection, which is secret as a whole.
const login = {
  dialErrorLimit: 10,
  host: "192.0.2.1",
  password: secret("a password"),
  perDialTimeout: 15,
  port: 22,
  privateKey: secret("a key"),
  privateKeyPassword: secret("a password of a key"),
};
const connection = secret({ ...login, proxy: { ...login, user: "root" }, user: "deploy" });

const PROGRAM = `
import { asset } from "@pulumi/pulumi";
import { remote } from "@pulumi/command";

const login = {
  host: "192.0.2.1",
  password: "a password",
  privateKey: "a key",
  privateKeyPassword: "a password of a key",
};
const connection = { ...login, proxy: login, user: "deploy" };
new remote.Command("command", { connection, create: "true", triggers: ["1"] });
new remote.CopyToRemote("copy", { connection, remotePath: "/file", source: new asset.StringAsset("text") });
`;

const urn = (type: string, name: string) => `urn:pulumi:test::command-state::${type}::${name}`;
const STACK = urn("pulumi:pulumi:Stack", "command-state-test");
const PROVIDER = urn("pulumi:providers:command", "default_1_2_1");
const PROVIDER_ID = "5d0b3f0e-3b5c-4f0e-9d5b-0d9c1a5d7f10";

/** A resource as the real plugin leaves it in the state: its outputs repeat its inputs. */
const resource = (type: string, name: string, inputs: object, outputs = {}) => ({
  urn: urn(type, name),
  custom: true,
  id: `${name}1234567`,
  type,
  inputs,
  outputs: { ...inputs, ...outputs },
  parent: STACK,
  provider: `${PROVIDER}::${PROVIDER_ID}`,
  additionalSecretOutputs: ["connection"],
  replaceOnChanges: ["triggers[*]"],
});

const RESOURCES = [
  { urn: STACK, custom: false, type: "pulumi:pulumi:Stack" },
  {
    urn: PROVIDER,
    custom: true,
    id: PROVIDER_ID,
    type: "pulumi:providers:command",
    inputs: { __internal: {}, "__pulumi-go-provider-version": "1.2.0", version: "1.2.1" },
    outputs: { "__pulumi-go-provider-version": "1.2.0", version: "1.2.1" },
  },
  resource(
    "command:remote:Command",
    "command",
    { connection, create: "true", triggers: ["1"] },
    { stdout: "", stderr: "" },
  ),
  resource("command:remote:CopyToRemote", "copy", {
    connection,
    remotePath: "/file",
    source: {
      "4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17",
      hash: "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1",
      text: "text",
    },
  }),
];

interface State {
  deployment: { resources: { urn: string; inputs?: object }[] };
}

describe("a state that the real plugin of @pulumi/command wrote", function () {
  this.timeout(60_000);
  let directory: string;
  let stack: Stack;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "command-state-"));
    const project = join(directory, "project");
    const backend = join(directory, "state");
    const passphraseFile = join(directory, "passphrase");
    await mkdir(project);
    await mkdir(backend);
    await writeFile(passphraseFile, "passphrase", { mode: 0o600 });
    await symlink(join(import.meta.dirname, "..", "..", "node_modules"), join(project, "node_modules"));
    await writeFile(join(project, "index.ts"), PROGRAM);
    await writeFile(join(project, "package.json"), JSON.stringify({ type: "module", main: "index.ts" }));
    await writeFile(
      join(project, "Pulumi.yaml"),
      "{name: command-state, runtime: {name: nodejs, options: {typescript: false}}}",
    );
    stack = localStack({ name: "test", project, backend, passphraseFile });
    await pulumiOk(stack, ["stack", "init"]);
    const state = JSON.parse(await pulumiOk(stack, ["stack", "export"])) as State;
    state.deployment.resources = RESOURCES;
    await pulumiOk(stack, ["stack", "import"], { input: JSON.stringify(state) });
  });
  after(() => rm(directory, { recursive: true }));

  it("is left as it is by the plugin that is installed here", async () => {
    await pulumiOk(stack, ["up", "--yes", "--skip-preview", "--diff", "--expect-no-changes"]);
    const state = JSON.parse(await pulumiOk(stack, ["stack", "export", "--show-secrets"])) as State;
    const inputs = (resources: State["deployment"]["resources"]) =>
      Object.fromEntries(
        resources.filter(({ urn }) => urn !== PROVIDER).map((each) => [each.urn, each.inputs]),
      );
    assert.deepEqual(inputs(state.deployment.resources), inputs(RESOURCES));
  });
});
