import { backup, type Case, DAY, GIB, gone, HOUR, NOW } from "./health-facts.ts";

/** The backups, and the server itself. */
export const SERVER_CASES: Case[] = [
  // Backups, which are due each day: late after 25 hours, missing after 26.
  {
    change: { ...gone("newest"), ...gone("verified") },
    ...{ check: "backup", level: "critical", text: /^there is none; make one with: \.\/delivery backup$/ },
  },
  {
    change: { ...gone("newest"), ...gone("verified"), "bot_db.created": "2026-06-09T13:00:00Z" },
    ...{ check: "backup", level: "ok", text: /^none yet; the first one is not due$/ },
  },
  {
    change: { ...gone("verified"), "newest.verified": "false" },
    ...{
      check: "backup",
      level: "critical",
      text: /^newest\.sql\.gz, 2 KiB, 6 h ago, not verified, and none that is$/,
    },
  },
  {
    change: { ...backup("verified", 30 * HOUR), "newest.verified": "false" },
    ...{
      check: "backup",
      level: "critical",
      text: /not verified; the last verified one is verified\.sql\.gz.* 30 h ago$/,
    },
  },
  { change: backup("verified", 25 * HOUR), check: "backup", level: "ok", text: /25 h ago, verified$/ },
  { change: backup("verified", 25 * HOUR + 1), check: "backup", level: "warning", text: /: one is missing$/ },
  { change: backup("verified", 26 * HOUR), check: "backup", level: "warning", text: /: one is missing$/ },
  {
    change: backup("verified", 26 * HOUR + 1),
    ...{ check: "backup", level: "critical", text: /26 h ago: too old; make one with: \.\/delivery backup$/ },
  },
  {
    settings: { REMOTE: "" },
    ...{
      check: "copies",
      level: "warning",
      text: /^every backup is on the database's own disk; set backups\.remote$/,
    },
  },
  { change: gone("due"), check: "copies", level: "ok", text: /^there is nothing to copy yet$/ },
  {
    change: { "due.copied": "", "due.time": NOW - HOUR },
    ...{ check: "copies", level: "ok", text: /^the newest backup is still to be copied$/ },
  },
  {
    change: { "due.copied": "", ...backup("copied", 30 * HOUR) },
    ...{
      check: "copies",
      level: "warning",
      text: /^due\.sql\.gz was not copied to backups\.remote; see \/x\/backup\.log/,
    },
  },
  {
    change: { "due.copied": "", ...backup("copied", 51 * HOUR) },
    ...{ check: "copies", level: "critical", text: /^no backup was copied to backups\.remote for 2 days; / },
  },
  // None was ever copied: what counts is since when that is known.
  {
    change: { "due.copied": "", "copied.time": "" },
    check: "copies",
    level: "warning",
    text: /was not copied/,
  },
  {
    change: { "due.copied": "", "copied.time": "" },
    known: { "bad\tcopies": `${NOW - 51 * HOUR} ${NOW}` },
    ...{ check: "copies", level: "critical", text: /^no backup was copied/ },
  },
  {
    change: backup("shrunk", 47 * HOUR, { text: "public.games 1000 to 10" }),
    ...{
      check: "tables",
      level: "warning",
      text: /^rows were lost before shrunk\.sql\.gz: public\.games 1000 to 10$/,
    },
  },
  {
    change: backup("shrunk", 49 * HOUR, { text: "x" }),
    check: "tables",
    level: "ok",
    text: /^none has lost/,
  },
  // The server.
  { change: { "disk.free": 1000 }, check: "disk", level: "critical", text: /^1000 B of 100\.0 GiB free$/ },
  { change: { "disk.free": 5 * GIB }, check: "disk", level: "warning", text: /^5\.0 GiB of/ },
  {
    change: { "certificate.ends": "none" },
    check: "certificate",
    level: "critical",
    text: /^there is none for/,
  },
  {
    change: { "certificate.ends": NOW + DAY - 1 },
    check: "certificate",
    level: "critical",
    text: /^valid for 0 days$/,
  },
  {
    change: { "certificate.ends": NOW + 13 * DAY },
    check: "certificate",
    level: "warning",
    text: /13 days$/,
  },
  { change: { "certificate.ends": NOW + 15 * DAY }, check: "certificate", level: "ok", text: /15 days$/ },
  {
    known: { oom: "2 0 0" },
    check: "memory",
    level: "warning",
    text: /^the kernel had to kill 2 processes .* 12:00 UTC$/,
  },
  {
    known: { oom: `4 3 ${NOW - 23 * HOUR}` },
    check: "memory",
    level: "warning",
    text: /kill 3 .*2026-06-09 13:00/,
  },
  { known: { oom: `4 3 ${NOW - 25 * HOUR}` }, check: "memory", level: "ok", text: /^no process was killed/ },
  // After a boot the kernel counts from 0.
  { known: { oom: "9 0 0" }, check: "memory", level: "ok", text: /^no process/ },
  {
    change: { reboot: NOW - HOUR, "reboot.for": "linux-image-amd64" },
    ...{
      check: "reboot",
      level: "warning",
      text: /^is needed since 2026-06-10 11:00 UTC, for linux-image-amd64$/,
    },
  },
  {
    change: { synchronised: "NTP=yes\nNTPSynchronized=no" },
    ...{ check: "time", level: "warning", text: /^is not synchronised; see on the server: timedatectl$/ },
  },
  {
    settings: { CALLER_TIME: String(NOW - DAY) },
    ...{ check: "clock", level: "warning", text: /^is 86400 s ahead of this machine's$/ },
  },
  { settings: { CALLER_TIME: String(NOW + 61) }, check: "clock", level: "warning", text: /^is 61 s behind/ },
  { settings: { CALLER_TIME: String(NOW + 60) }, check: "clock", level: "ok", text: /^agrees/ },
  { change: { cron: 9 * DAY - HOUR }, check: "cron", level: "ok", text: /^runs$/ },
  {
    change: { cron: 9 * DAY - HOUR - 1 },
    ...{
      check: "cron",
      level: "critical",
      text: /^cron does not run on the server: no check since 2026-06-10 10:59/,
    },
  },
  // A server that was off is given its time.
  { change: { cron: 9 * DAY, uptime: 1000 }, check: "cron", level: "ok", text: /^runs$/ },
  { change: { cron: 9 * DAY, uptime: HOUR + 1 }, check: "cron", level: "critical", text: /10:59/ },
  {
    change: { images: `postgres:13 ${NOW - 41 * DAY}\ncaddy:2 ${NOW - 29 * DAY}\n` },
    ...{
      check: "images",
      level: "warning",
      text: /^have had updates: postgres:13 for 41 days; see: \.\/delivery images$/,
    },
  },
  {
    change: { drift: "true" },
    check: "drift",
    level: "warning",
    text: /^found 60 min ago; see: \.\/delivery drift$/,
  },
];
