import { checkGitHub } from "./check-github.ts";
import { announce } from "./conversation.ts";
import { checkServer } from "./check-server.ts";
import { Backups, settingsOnServer } from "./components/Backups.ts";
import { Bot } from "./components/Bot.ts";
import { Claim } from "./components/Claim.ts";
import { Database, passwordFile } from "./components/Database.ts";
import { Image } from "./components/Image.ts";
import { Network } from "./components/Network.ts";
import { caddyfile, Proxy } from "./components/Proxy.ts";
import { manageGitHub } from "./components/Repository.ts";
import { Server } from "./components/Server.ts";
import { loadConfig } from "./config.ts";
import { botEnvironment, secretTextsFile } from "./environment.ts";
import { guard } from "./guards.ts";
import { PARTS } from "./model/names.ts";

announce("loaded");
const settings = loadConfig();
const { name: botName, app, postgresPassword } = settings;

guard();
await checkGitHub(settings);
const report = await checkServer(settings);

const claim = new Claim(PARTS.claim, { settings, report });
await claim.granted;

const known = [secretTextsFile(settings), passwordFile(postgresPassword), settingsOnServer(settings)];
const server = new Server(PARTS.server, { settings, files: [caddyfile, ...known], report, claim });
const access = manageGitHub(PARTS.github, { settings, server });
const network = new Network(PARTS.network, { server, botName });
const on = { server, network, botName };
const database = new Database(PARTS.database, { ...on, settings: settings.database });
const image = new Image(PARTS.image, { server, settings, access, known: report.imageId });
const proxy = new Proxy(PARTS.proxy, { ...on, settings: settings.proxy, app });
const environment = botEnvironment(settings, database.containerName);
const bot = new Bot(PARTS.bot, { ...on, database, proxy, image, settings: app, environment });
new Backups(PARTS.backups, { server, database, settings: settings.backups });

/** Where the page is, and what runs. */
export const url = proxy.url;
export const { commit, imageId } = image;
export const containers = [bot.containerName, database.containerName, proxy.containerName];
