import assert from "node:assert/strict";
import { digest } from "../../infra/model/digest.ts";
import { hasRepositoryKey } from "../../infra/model/git.ts";
import { STANDSTILL_STAGES } from "../../infra/model/journal.ts";
import { dockerNames, upgradedVolume } from "../../infra/model/names.ts";
import { serverPaths } from "../../infra/model/paths.ts";
import { imageOf, majorOf } from "../../infra/model/postgres.ts";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import {
  inline,
  installedAs,
  installedCall,
  installedScripts,
  uploadedCall,
} from "../../infra/model/scripts.ts";
import { stackFacts } from "../../infra/model/server-settings.ts";
import { MANAGED, rawConfig } from "./fixtures.ts";

const settings = parsePlainConfig(rawConfig());

describe("a digest", () => {
  it("is what sha256sum writes", () => {
    assert.equal(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});

describe("facts that follow from others", () => {
  it("are the stages in which the bot must stand still: all from the hold on", () => {
    assert.deepEqual(STANDSTILL_STAGES, [
      "holding",
      "stopping",
      "swapping",
      "starting",
      "moving",
      "switching",
    ]);
  });

  it("are names of Docker's objects, by the bot's name but for the first bot's network", () => {
    assert.deepEqual(dockerNames("chess"), {
      ...{ bot: "chess", database: "chess_db", proxy: "chess_proxy", network: "chess_network" },
      ...{ data: "chess_db_data", certificates: "chess_proxy_data" },
    });
    assert.equal(dockerNames("training_bot").network, "bot_network");
    assert.equal(upgradedVolume("chess", 17), "chess_db_data_17");
  });

  it("are directories of files that containers mount", () => {
    const { proxyDirectory, secretsDirectory, passwordSource } = serverPaths({
      ...{ deployPath: "/a/b", backupPath: "/c/d" },
    });
    assert.deepEqual([proxyDirectory, secretsDirectory], ["/a/b/proxy", "/a/b/secrets"]);
    assert.ok(passwordSource.startsWith(`${secretsDirectory}/`));
  });

  it("are the port and domain under which the server is asked", () => {
    const facts = ({ domain }: { domain?: string }) => {
      const { publicPort, domain: told } = stackFacts({ ...settings, proxy: { ...settings.proxy, domain } });
      return [publicPort, told];
    };
    assert.deepEqual(facts({}), [5000, ""]);
    // Caddy names the files of its certificates so.
    assert.deepEqual(facts({ domain: "Bot.example.org" }), [80, "bot.example.org"]);
  });

  it("is a key for the repository only where the address is one of SSH as a whole", () => {
    const has = (repository: string) =>
      hasRepositoryKey({ ...settings, github: MANAGED, app: { ...settings.app, repository } });
    assert.ok(has("git@github.com:me/hockey.git"));
    assert.ok(!has("https://x.example.org/git@github.com:me/hockey.git"));
    assert.ok(!has("/srv/git/me/hockey.git"));
    assert.ok(!hasRepositoryKey({ ...settings, github: undefined }));
  });

  it("are an image's version and the same image in another", () => {
    assert.equal(majorOf("postgres"), undefined);
    assert.equal(imageOf(`host/postgres@sha256:${"0".repeat(64)}`, 17), "host/postgres:17");
    assert.equal(imageOf("host:5000/postgres", 17), "host:5000/postgres:17");
  });
});

describe("a call of a script on the server", () => {
  it("has its positional arguments behind the names, and none where there are none", () => {
    const uploaded = uploadedCall("await-healthy.sh", settings, {}, ["bot"]);
    assert.deepEqual(uploaded.slice(-4), ["bash", "-s", "--", "bot"]);
    assert.deepEqual(uploadedCall("restart-bot.sh", settings, {}).slice(-2), ["bash", "-s"]);
    const installed = installedCall("make-repository-key.sh", settings.server, {}, ["make", "file"]);
    assert.deepEqual(installed.slice(-2), ["make", "file"]);
    assert.ok(installed.includes(`${serverPaths(settings.server).bin}/make-repository-key.sh`));
  });

  it("is only installed where something calls it that outlives a connection", () => {
    const installed = installedScripts();
    assert.ok(installed.includes("backup-db.sh") && installed.includes("build-image.sh"));
    assert.ok(
      !(installed as string[]).includes("check-server.sh") &&
        !(installed as string[]).includes("show-logs.sh"),
    );
    assert.equal(installedAs("backup-db.sh"), "bin/backup-db.sh");
  });

  it("carries a library in place of the line that sources it, and of no other line", () => {
    const line = 'source "${BASH_SOURCE[0]%/*}/lib/common.sh"';
    const text = `a\n${line}\n# ${line}\n${line} || exit\nb\n${line}\n`;
    const inlined = inline(text, (lib) => `<${lib}>\n\n`);
    assert.equal(inlined, `a\n<common.sh>\n# ${line}\n${line} || exit\nb\n<common.sh>\n`);
  });
});
