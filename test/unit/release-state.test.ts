import assert from "node:assert/strict";
import { COMPONENTS, RESOURCES, TYPES } from "../../infra/model/names.ts";
import { sshOptions } from "../../infra/model/ssh.ts";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import { parseInventory } from "../../operator/release/inventory.ts";
import { sshToServer, withoutServer } from "../../operator/release/server-migration.ts";
import { type ExportedState, parseState, withReturned } from "../../operator/release/state.ts";
import { rawConfig } from "./fixtures.ts";

const COMMIT = "a1".repeat(20);
const { server } = parsePlainConfig(rawConfig());
const urn = (type: string, name: string) => `urn:pulumi:test::hockey::${type}::${name}`;
const resource = (type: string, name: string, rest: object = {}) => ({ urn: urn(type, name), type, ...rest });
const state = (...resources: ReturnType<typeof resource>[]) => parseState({ deployment: { resources } });

const provider = (sshOpts: unknown) =>
  resource(TYPES.dockerProvider, "server-docker", { inputs: { sshOpts } });

describe("Pulumi's state", () => {
  it("is empty before the first update", () => {
    assert.deepEqual(parseState({ deployment: {} }), {
      ...{ pending: [], containers: [], replaced: [], volumes: [] },
      ...{ image: undefined, id: undefined, hasClaimed: false, hostKey: undefined },
    });
  });

  it("tells what an update has begun and not finished, by the resource's name", () => {
    const { pending } = parseState({
      deployment: {
        pending_operations: [
          {
            type: "creating",
            resource: { urn: urn(`${COMPONENTS.bot}$${TYPES.container}`, "bot-container") },
          },
        ],
      },
    });
    assert.deepEqual(pending, [{ operation: "creating", resource: "bot-container" }]);
  });

  it("knows the containers that were made, by their ids", () => {
    const { containers } = state(
      resource(TYPES.container, "bot-container", { id: "1" }),
      resource(TYPES.container, "not-made"),
      resource(TYPES.command, "bot-verdict", { id: "2" }),
    );
    assert.deepEqual(containers, [{ id: "1", resource: "bot-container" }]);
  });

  it("does not count a container that a failed update has deleted and not yet replaced", () => {
    const { containers } = state(
      resource(TYPES.container, "bot-container", { id: "1" }),
      resource(TYPES.container, "database-container", { id: "2", pendingReplacement: true }),
    );
    assert.deepEqual(containers, [{ id: "1", resource: "bot-container" }]);
  });

  it("tells the containers that were replaced from those that replaced them", () => {
    const { containers, replaced } = state(
      resource(TYPES.container, "bot-container", { id: "2" }),
      resource(TYPES.container, "bot-container", { id: "1", delete: true }),
      resource(TYPES.command, "bot-verdict", { id: "3", delete: true }),
    );
    assert.deepEqual(containers, [{ id: "2", resource: "bot-container" }]);
    assert.deepEqual(replaced, [{ id: "1", resource: "bot-container" }]);
  });

  it("knows the data volumes, also of another name than usual, and whether they are protected", () => {
    const { volumes } = state(
      resource(TYPES.volume, RESOURCES.data, { inputs: { name: "v13" }, protect: true }),
      resource(TYPES.volume, `${RESOURCES.data}-v17`, { inputs: { name: "v17" } }),
      resource(TYPES.volume, "proxy-data", { inputs: { name: "certificates" }, protect: true }),
      resource(TYPES.command, RESOURCES.data, { inputs: { name: "no volume" }, protect: true }),
    );
    assert.deepEqual(volumes, [
      { urn: urn(TYPES.volume, RESOURCES.data), resource: RESOURCES.data, volume: "v13", isProtected: true },
      {
        ...{ urn: urn(TYPES.volume, `${RESOURCES.data}-v17`), resource: `${RESOURCES.data}-v17` },
        ...{ volume: "v17", isProtected: false },
      },
    ]);
  });

  it("knows the id of the stack's claim, and whether that was made", () => {
    const stash = resource(TYPES.stash, RESOURCES.id, { id: "1" });
    const claim = resource(TYPES.command, RESOURCES.claim, { id: "2" });
    const known = (...resources: Parameters<typeof state>) => {
      const { id, hasClaimed } = state(...resources);
      return [id, hasClaimed];
    };
    assert.deepEqual(known(resource(TYPES.stash, "other", { id: "3" }), stash), ["1", false]);
    assert.deepEqual(known(stash, claim), ["1", true]);
    assert.deepEqual(known(resource(TYPES.command, "server-files")), [undefined, false]);
  });

  it("knows which commit the image is of", () => {
    const build = resource(TYPES.command, RESOURCES.image);
    const others = [
      resource(TYPES.command, "server-files"),
      resource(COMPONENTS.image, RESOURCES.image, { outputs: { commit: COMMIT } }),
      resource(COMPONENTS.bot, "bot", { outputs: { commit: "another" } }),
    ];
    assert.deepEqual(state(...others, build).image, { urn: build.urn, commit: COMMIT });
    assert.equal(state(...others).image, undefined);
    assert.deepEqual(state(build).image, { urn: build.urn, commit: undefined });
    assert.equal(state(build, resource(COMPONENTS.image, "release")).image?.commit, undefined);
  });

  it("knows the server by the host key that the Docker provider pins", () => {
    for (const withKey of [true, false]) {
      const options = JSON.stringify(sshOptions(server, "test", withKey));
      const others = [
        resource(TYPES.command, "server-files"),
        resource("docker:index/network:Network", "network"),
      ];
      assert.equal(state(...others, provider(options)).hostKey, server.hostKey);
    }
  });

  it("knows no server where the provider pins none", () => {
    for (const sshOpts of [undefined, JSON.stringify(["-o", "BatchMode=yes"])]) {
      assert.equal(state(provider(sshOpts)).hostKey, undefined);
    }
    assert.equal(state(resource(TYPES.dockerProvider, "server-docker")).hostKey, undefined);
  });
});

describe("a state that follows a container's return", () => {
  const network = resource("docker:index/network:Network", "network");
  const others = { dependencies: [network.urn], propertyDependencies: { networkMode: [network.urn] } };
  const gone = { dependencies: [urn(TYPES.command, "bot-hold")], propertyDependencies: { image: [] } };
  const bot = (id: string, rest: object) => resource(TYPES.container, "bot-container", { id, ...rest });
  const successor = bot("2", { ...others, inputs: { image: "new" } });
  const verdict = resource(TYPES.command, "bot-verdict", { dependencies: [successor.urn] });
  const exported = (...resources: object[]) =>
    ({ version: 3, deployment: { manifest: {}, resources } }) as unknown as ExportedState;

  /** As Pulumi reads it. */
  const followed = (before: ExportedState, id: string) =>
    JSON.parse(JSON.stringify(withReturned(before, id))) as ExportedState;

  it("has it in its successor's place, with that one's dependencies, and all else as it was", () => {
    const returned = bot("1", { ...gone, inputs: { image: "old" }, delete: true });
    assert.deepEqual(
      followed(exported(network, successor, verdict, returned), "1"),
      exported(network, bot("1", { ...others, inputs: { image: "old" } }), verdict),
    );
  });

  it("has only that one, where more were replaced", () => {
    const older = bot("0", { delete: true });
    assert.deepEqual(
      followed(exported(older, bot("1", { delete: true }), successor), "1"),
      exported(older, bot("1", others)),
    );
  });

  it("is the same where that was never replaced, or has no successor", () => {
    for (const same of [
      exported(successor, bot("1", {})),
      exported(bot("1", { delete: true }), network),
      { deployment: {} },
    ]) {
      assert.deepEqual(followed(same, "1"), same);
    }
  });
});

describe("a state that forgets the server", () => {
  const kept = {
    ...resource("pulumi:pulumi:Stack", "hockey-test", { outputs: { commit: COMMIT } }),
    ...{ dependencies: [], propertyDependencies: {} },
  };
  const secret = "github:index/actionsSecret:ActionsSecret";
  const exported: ExportedState & { version: number } = {
    version: 3,
    deployment: {
      pending_operations: [{ type: "creating", resource: { urn: "bot" } }],
      resources: [
        kept,
        resource(TYPES.dockerProvider, "server-docker"),
        resource("pulumi:providers:command", "default"),
        resource("pulumi:providers:github", "github"),
        resource(TYPES.stash, RESOURCES.id),
        resource(TYPES.command, RESOURCES.claim),
        resource(TYPES.command, "server-files"),
        resource(TYPES.container, "bot-container"),
        resource(secret, "host", {
          dependencies: [urn(TYPES.command, "server-files"), kept.urn],
          propertyDependencies: { value: [urn(TYPES.command, "server-files"), kept.urn] },
        }),
      ],
    },
  };

  it("keeps everything that is not on the server, and no reference to what was", () => {
    assert.deepEqual(withoutServer(exported), {
      version: 3,
      deployment: {
        pending_operations: [],
        resources: [
          kept,
          {
            ...resource("pulumi:providers:github", "github"),
            ...{ dependencies: [], propertyDependencies: {} },
          },
          {
            // On the next server the stack is the same one.
            ...resource(TYPES.stash, RESOURCES.id),
            ...{ dependencies: [], propertyDependencies: {} },
          },
          {
            ...resource(secret, "host"),
            ...{ dependencies: [kept.urn], propertyDependencies: { value: [kept.urn] } },
          },
        ],
      },
    });
  });

  it("stays empty where it is", () => {
    assert.deepEqual(withoutServer({ deployment: {} }).deployment.resources, []);
  });
});

describe("the server that a state describes", () => {
  it("is reached as the Docker provider reaches it", () => {
    const options = sshOptions(server, "test", true);
    const inputs = { host: "ssh://deploy@old.example.org:2222", sshOpts: JSON.stringify(options) };
    const resources = [resource(TYPES.dockerProvider, "server-docker", { inputs })];
    assert.deepEqual(sshToServer({ deployment: { resources } }), [
      ...options,
      ...["-p", "2222", "-l", "deploy", "old.example.org"],
    ]);
  });

  it("is unknown before the first update", () => {
    assert.equal(sshToServer({ deployment: {} }), undefined);
    assert.equal(sshToServer({ deployment: { resources: [provider(undefined)] } }), undefined);
  });
});

describe("what is on the server", () => {
  it("is read from the script's lines", () => {
    const listed = `image=sha256:1\nclaim=id0\ncontainer=bot id1 running ${COMMIT}\ncontainer=bot_db id2 exited -\ndrifted=x`;
    assert.deepEqual(parseInventory(listed), {
      ...{ claim: "id0", hasImage: true },
      containers: [
        { name: "bot", id: "id1", status: "running", commit: COMMIT },
        { name: "bot_db", id: "id2", status: "exited", commit: undefined },
      ],
    });
  });

  it("is nothing where the script prints nothing", () => {
    assert.deepEqual(parseInventory(""), { claim: undefined, hasImage: false, containers: [] });
  });
});
