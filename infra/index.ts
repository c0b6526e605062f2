import { backupFile, Backups } from "./components/Backups.ts";
import { Bot } from "./components/Bot.ts";
import { Database, passwordFile } from "./components/Database.ts";
import { Network } from "./components/Network.ts";
import { caddyfile, Proxy } from "./components/Proxy.ts";
import { manageGitHub } from "./components/Repository.ts";
import { Image } from "./components/Image.ts";
import { loadConfig } from "./config.ts";
import { botEnvironment } from "./environment.ts";
import { checkGitHub } from "./check-github.ts";
import { checkServer } from "./check-server.ts";
import { guard } from "./guards.ts";
import { Server } from "./components/Server.ts";

const settings = loadConfig();
const { name, app, sshPrivateKey } = settings;
const files = [caddyfile, passwordFile(settings.postgresPassword), backupFile(settings)];

guard();
await checkGitHub(settings);
const damaged = await checkServer(settings);

const server = new Server("server", { settings: settings.server, sshPrivateKey, files, damaged });
const access = manageGitHub("github", { settings, server });
const network = new Network("network", { server, botName: name });
const { database: databaseSettings, postgresPassword: password } = settings;
const databaseArgs = { server, network, settings: databaseSettings, password, containerName: `${name}_db` };
const database = new Database("database", databaseArgs);
const built = new Image("release", { server, settings, access });
const proxy = new Proxy("proxy", { server, network, settings: settings.proxy, app, botName: name });
const environment = botEnvironment(settings, database.containerName);
const parts = { server, network, database, proxy, built };
const bot = new Bot("bot", { ...parts, settings: app, containerName: name, environment });
new Backups("backups", { server, database, settings: settings.backups });

/** Where the page is, and what runs. */
export const url = proxy.url;
export const commit = built.commit;
export const imageId = built.imageId;
export const containers = [bot.containerName, database.containerName, proxy.containerName];
