import { type Case, HOUR, NOW, release } from "./health-facts.ts";

/** The containers, the bot, its page, its database and its poller. */
export const BOT_CASES: Case[] = [
  {
    change: { docker: "" },
    ...{
      check: "docker",
      level: "critical",
      text: /^does not answer; start it on .*systemctl start docker$/,
    },
  },
  // Containers.
  {
    change: { "bot.status": "gone" },
    ...{ check: "bot", level: "critical", text: /^is gone; put it back with: \.\/delivery deploy$/ },
  },
  {
    change: { "bot.status": "exited" },
    ...{ check: "bot", level: "critical", text: /^has stopped; start it with: \.\/delivery restart$/ },
  },
  {
    change: { "bot_db.status": "exited" },
    ...{
      check: "bot_db",
      level: "critical",
      text: /^has stopped; start it with: docker start bot_db \(on the/,
    },
  },
  {
    change: { "bot.status": "restarting" },
    ...{ check: "bot", level: "critical", text: /^is restarting$/ },
  },
  {
    change: { "bot.status": "gone", ...release },
    ...{ check: "bot", level: "warning", text: /^is gone; .*; a release is under way$/ },
  },
  {
    change: { "bot.health": "unhealthy" },
    ...{ check: "bot", level: "critical", text: /^runs, but is unhealthy$/ },
  },
  { change: { "bot.killed": "true" }, check: "bot", level: "warning", text: /^has run out of memory$/ },
  { change: { "bot.health": "-" }, check: "bot", level: "ok", text: /^runs$/ },
  {
    change: { "bot.restarts": 900, "bot.started": "2026-06-10T11:59:00Z" },
    ...{
      check: "bot",
      level: "critical",
      text: /^does not stay up: .* again 900 times since 2026-06-01 00:00/,
    },
  },
  {
    change: { "bot.restarts": 7 },
    ...{ check: "bot", level: "warning", text: /^runs, but Docker had to start it again 7 times/ },
  },
  {
    change: { "bot.restarts": 7 },
    known: { "restarts\tbot": `id-bot 7 ${NOW - 2 * HOUR} 7 ${NOW - HOUR}` },
    ...{ check: "bot", level: "ok", text: /^runs, healthy$/ },
  },
  {
    change: { "bot.restarts": 12, "bot.started": "2026-06-10T11:59:00Z" },
    known: { "restarts\tbot": `id-bot 7 ${NOW - 2 * HOUR} 9 ${NOW - HOUR}` },
    ...{ check: "bot", level: "critical", text: /^does not stay up: .* 5 times since 2026-06-10 10:00 UTC$/ },
  },
  {
    change: { "bot.restarts": 3 },
    known: { "restarts\tbot": `id-other 3 ${NOW - 2 * HOUR} 3 ${NOW - HOUR}` },
    ...{ check: "bot", level: "warning", text: /3 times since 2026-06-01/ },
  },
  // The bot, its page, its database and its poller.
  {
    change: { "health.status": 503, "health.reasons": "no database; no poller" },
    ...{ check: "/health", level: "critical", text: /^status 503: no database; no poller$/ },
  },
  { change: { "health.status": 0 }, check: "/health", level: "critical", text: /^no answer from the bot$/ },
  {
    change: { "health.status": 0, ...release },
    ...{ check: "/health", level: "warning", text: /^no answer from the bot; a release is under way$/ },
  },
  { change: { "page.status": 0 }, check: "page", level: "critical", text: /^no answer through the proxy$/ },
  {
    change: { "page.status": 502 },
    check: "page",
    level: "critical",
    text: /^status 502 through the proxy$/,
  },
  {
    change: { "page.status": 308 },
    settings: { DOMAIN: "bot.example.org" },
    ...{ check: "page", level: "ok", text: /^308 through the proxy$/ },
  },
  { change: { "page.status": 308 }, check: "page", level: "critical", text: /^status 308/ },
  {
    change: release,
    check: "page",
    level: "warning",
    text: /^requests are held, for 5 s: a release is under way$/,
  },
  {
    change: { gate: NOW - 800, work: "an upgrade" },
    ...{ check: "page", level: "warning", text: /for 13 min: an upgrade is under way$/ },
  },
  {
    change: { gate: NOW - 72, work: "a restore" },
    ...{ check: "page", level: "critical", text: /^requests are held, for 72 s: a restore takes too long; / },
  },
  {
    change: { gate: NOW - 5, work: "" },
    ...{
      check: "page",
      level: "critical",
      text: /^requests are held, for 5 s, and nothing is under way that /,
    },
  },
  { change: { database: "" }, check: "database", level: "critical", text: /^does not accept connections$/ },
  {
    change: { "poller.seconds": 500 },
    ...{ check: "poller", level: "critical", text: /^has not got through to Telegram for 500 s$/ },
  },
  {
    change: { "poller.seconds": "", pending: "7" },
    known: { pending: NOW - HOUR },
    ...{
      check: "poller",
      level: "critical",
      text: /^leaves 7 updates at Telegram, since 2026-06-10 11:00 UTC$/,
    },
  },
  {
    change: { "poller.seconds": "", pending: "7" },
    known: { pending: NOW - 30 },
    ...{ check: "poller", level: "ok", text: /^7 updates wait at Telegram$/ },
  },
  {
    change: { "poller.seconds": "", pending: "" },
    ...{ check: "poller", level: "ok", text: /^unknown: \/health does not tell$/ },
  },
];
