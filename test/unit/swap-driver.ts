import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { factsByName } from "../../infra/model/server-settings.ts";
import { FakeServer } from "./fake-docker.ts";
import { settingsIn } from "./fixtures.ts";

export const BOT = "training_bot";

/** The server of the test that runs, in a suite with `withServer`. */
export let server: FakeServer;

/** Gives each test of a suite a server where the bot's container `old` runs. */
export function withServer(suite: Mocha.Suite): void {
  suite.timeout(30_000);
  suite.beforeEach(async () => {
    server = new FakeServer();
    await server.put("old", { name: BOT, answers: 200 });
    server.write("hockey/secrets/postgres_password", "secret");
    server.write("hockey/swap/password", createHash("sha256").update("secret").digest("hex"));
  });
  suite.afterEach(() => {
    server.close();
  });
}

/** Calls swap-bot.sh with the facts of a stack on this server, and short times. */
export function swap(action: string, facts: Record<string, string> = {}, script = "swap-bot.sh") {
  return server.sh(`bash "$WORLD/scripts/${script}" ${action}`, {
    ...factsByName(settingsIn(server.directory)),
    ...{ PAGE: `${server.port}/health`, START_SECONDS: "2", MAKE_SECONDS: "2", PROBATION_SECONDS: "1" },
    ...{ SETTINGS: "", CONTAINER_ID: "new", ...facts },
  });
}

/** Whether no swap is under way. */
export const isOver = () => !existsSync(join(server.directory, "hockey/swap/journal"));
