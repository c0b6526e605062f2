import { HEALTHY_SECONDS } from "../../infra/model/limits.ts";
import { dockerNames } from "../../infra/model/names.ts";
import { serverPaths } from "../../infra/model/paths.ts";
import type { Server } from "../server.ts";
import type { Stack } from "../stack.ts";

/** Waits until the bot is healthy; shows the reason where it does not get so. An update with nothing to do has not looked. */
export async function isHealthy(stack: Stack, server: Server): Promise<boolean> {
  const { name, app, server: settings } = stack.settings;
  const { bot, proxy } = dockerNames(name);
  const script = `${serverPaths(settings).bin}/await-healthy.sh`;
  const page = `${app.port}${app.healthPath}`;
  const { status, stderr } = await server.command([script, bot, String(HEALTHY_SECONDS), proxy, page]);
  if (status !== 0) console.error(stderr);
  return status === 0;
}
