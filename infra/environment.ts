import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "./config.ts";
import type { BOT_VARIABLES } from "./model/names.ts";
import { INSTALLED } from "./model/paths.ts";
import { DATABASE_PORT } from "./model/postgres.ts";
import { secretTexts } from "./model/secret-texts.ts";
import { SECRET_MODE, type ServerFile } from "./server-files.ts";

/** The bot's environment variables: what the stack provides, then what the configuration adds. Secret as a whole. */
export function botEnvironment(
  settings: Settings,
  databaseHost: pulumi.Output<string>,
): pulumi.Output<Record<string, string>> {
  const { app, database, commit, postgresPassword, telegramToken, secretKey, environment } = settings;
  return pulumi.secret(
    pulumi
      .all([databaseHost, postgresPassword, telegramToken, secretKey, environment])
      .apply(([host, password, token, key, secrets]): Record<string, string> => {
        const own: Record<(typeof BOT_VARIABLES)[number], string> = {
          DATABASE_URL: `postgresql://${database.user}:${encodeURIComponent(password)}@${host}:${DATABASE_PORT}/${database.name}`,
          POSTGRES_HOST: host,
          POSTGRES_PORT: String(DATABASE_PORT),
          POSTGRES_DB: database.name,
          POSTGRES_USER: database.user,
          POSTGRES_PASSWORD: password,
          TELEGRAM_TOKEN: token,
          SECRET_KEY: key,
          PORT: String(app.port),
          COMMIT_SHA: commit,
        };
        return { ...own, ...app.environment, ...secrets };
      }),
  );
}

/**
 * All that is secret of it and around it, as the file by which the server's scripts keep it out of logs. The deploy key and
 * GitHub's secrets never reach the server.
 */
export function secretTextsFile(settings: Settings): ServerFile {
  const { postgresPassword, telegramToken, secretKey, environment, alerts, backups } = settings;
  const addresses = [alerts.webhook, alerts.pingUrl, backups.pingUrl].filter((url) => url !== undefined);
  const content = pulumi
    .all([postgresPassword, telegramToken, secretKey, environment])
    .apply(([password, token, key, variables]) => {
      const texts = secretTexts([password, token, key, ...Object.values(variables), ...addresses]);
      return texts.map((text) => `${text}\n`).join("");
    });
  return { path: INSTALLED.secretTexts, mode: SECRET_MODE, content };
}
