import { backupFile, Backups } from "./components/Backups";
import { Bot } from "./components/Bot";
import { Database, passwordFile } from "./components/Database";
import { Network } from "./components/Network";
import { caddyfile, Proxy } from "./components/Proxy";
import { manageGitHub } from "./components/Repository";
import { Release } from "./components/Release";
import { loadConfig } from "./config";
import { botEnvironment } from "./environment";
import { checkGitHub } from "./github";
import { guard } from "./guards";
import { checkServer, Server } from "./server";

const settings = loadConfig();
const { name, app, sshPrivateKey } = settings;
const files = [caddyfile, passwordFile(settings.postgresPassword), backupFile(settings)];

guard();
checkGitHub(settings);
const damaged = checkServer(settings);

const server = new Server("server", { settings: settings.server, sshPrivateKey, files, damaged });
const access = manageGitHub("github", { settings, server });
const network = new Network("network", { server, botName: name });
const { database: databaseSettings, postgresPassword: password } = settings;
const databaseArgs = { server, network, settings: databaseSettings, password, containerName: `${name}_db` };
const database = new Database("database", databaseArgs);
const release = new Release("release", { server, settings, access });
const proxy = new Proxy("proxy", { server, network, settings: settings.proxy, app, botName: name });
const environment = botEnvironment(settings, database.containerName);
const parts = { server, network, database, proxy, release };
const bot = new Bot("bot", { ...parts, settings: app, containerName: name, environment });
new Backups("backups", { server, database, settings: settings.backups });

/** Where the page is, and what runs. */
export const url = proxy.url;
export const commit = release.commit;
export const imageId = release.imageId;
export const containers = [bot.containerName, database.containerName, proxy.containerName];
