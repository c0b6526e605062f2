// @ts-nocheck
import { X509Certificate } from "node:crypto";
import { CronExpressionParser } from "cron-parser";
import { BUILD_FREE_MB } from "../../infra/model/limits.ts";
import { dockerNames } from "../../infra/model/names.ts";
import type { PlainSettings } from "../../infra/model/schema.ts";
import type { Server } from "../server.ts";

/** A container as scripts/report-status.sh describes it; one that is gone has its name and that word alone. */
export interface ContainerReport {
  name: string;
  status: string;
  health?: string;
  started?: string;
  created?: string;
  restarts?: number;
  outOfMemory?: boolean;
  commit?: string;
  memoryLimit?: number;
}

interface BackupReport {
  file: string;
  time: string;
  bytes: number;
  verified: boolean;
}

/** What `health` has found and told before; kept on the server, so that every machine that looks knows it. */
export interface Remembered {
  /** The checks that were not well, and since when (ISO 8601). */
  failing: Record<string, string>;
  /** Since when Telegram has had updates for the bot at every look. */
  pendingSince?: string;
}

/** All that scripts/report-status.sh finds out. */
export interface Report {
  /** The server's clock, Unix time in seconds. */
  clock: number;
  timeZone: string;
  containers: ContainerReport[];
  /** By container, as Docker words it: `35MiB / 512MiB`. */
  memory: Record<string, string> | null;
  databaseReady: boolean;
  gateClosed: boolean;
  /** Whole HTTP answers in base64, empty where there was none: the bot's own, and through the proxy. */
  health: string;
  healthMilliseconds: number;
  page: string;
  /** Bytes. */
  disk: { size: number; free: number };
  load: string;
  /** PEM in base64. */
  certificate: string;
  /** The newest backup, and the newest of those that were proven by restoring them. */
  backup: BackupReport | null;
  verifiedBackup: BackupReport | null;
  drift: { time: string; drifted: boolean } | null;
  remembered: Remembered | null;
}

export type Level = "ok" | "warning" | "critical";

/** What one check found. */
export interface Verdict {
  check: string;
  level: Level;
  text: string;
  /** Whose log tells more. */
  container?: string;
}

/** Seconds without a successful poll after which a bot is deaf; Telegram's longest poll takes 50. */
const DEAF_SECONDS = 120;
/** Share of the disk, and of a container's memory, below which it gets tight. */
const TIGHT = 0.1;
const CERTIFICATE_DAYS = 14;
/** Seconds by which the clocks may differ: certificates and Telegram are not more exacting. */
const CLOCK_SECONDS = 60;
/** Hours after which a backup that is due is called late, and then missing: a daily one must never be older than 26 hours. */
const BACKUP_LATE_HOURS = 1;
const BACKUP_LOST_HOURS = 2;
/** Seconds that updates may wait at Telegram: a bot that polls takes them at once. */
const PENDING_SECONDS = 120;

const HOUR = 3_600_000;

/** Asks the server for everything at once. */
export async function readReport(server: Server): Promise<Report> {
  return JSON.parse(await server.ask("report-status.sh", {})) as Report;
}

/**
 * Judges a report: every check, in the order of a reader's interest.
 *
 * @param now this machine's time
 * @param pending how many updates wait at Telegram for the bot, where that could be asked
 */
export function judge(report: Report, settings: PlainSettings, now: Date, pending?: number): Verdict[] {
  return [
    ...report.containers.map(container),
    health(report, settings),
    page(report, settings),
    database(report, settings),
    poller(report, settings, now, pending),
    backup(report, settings),
    disk(report),
    ...certificate(report, now),
    clock(report, now),
    ...drift(report),
  ];
}

/** The worst of all. */
export function worst(verdicts: Verdict[]): Level {
  const levels = verdicts.map(({ level }) => level);
  return levels.includes("critical") ? "critical" : levels.includes("warning") ? "warning" : "ok";
}

function container({
  name,
  status,
  health,
  restarts = 0,
  started = "",
  outOfMemory,
}: ContainerReport): Verdict {
  const base = { check: name, container: name };
  if (status === "gone")
    return { ...base, level: "critical", text: "is gone; put it back with: ./delivery deploy" };
  if (status !== "running") return { ...base, level: "critical", text: `is ${status}` };
  if (health === "unhealthy") return { ...base, level: "critical", text: "runs, but is unhealthy" };
  if (outOfMemory) return { ...base, level: "warning", text: "has run out of memory" };
  const word = health === "" ? "runs" : `runs, ${health ?? ""}`;
  if (restarts > 0) {
    const when = started.slice(0, 19).replace("T", " ");
    return {
      ...base,
      level: "warning",
      text: `${word}, but Docker had to start it again ${restarts} times, last ${when}`,
    };
  }
  return { ...base, level: "ok", text: word };
}

function health({ health, healthMilliseconds }: Report, { name, app }: PlainSettings): Verdict {
  const { status, body } = answer(health);
  const base = { check: app.healthPath, container: name };
  if (status === 0) return { ...base, level: "critical", text: "no answer from the bot" };
  if (status !== 200) return { ...base, level: "critical", text: `status ${status}${reasons(body)}` };
  return { ...base, level: "ok", text: `200 in ${healthMilliseconds} ms` };
}

/** A page that tells why it is not well says it as `reasons`. */
function reasons(body: unknown): string {
  const list = (body as { reasons?: unknown } | undefined)?.reasons;
  return Array.isArray(list) && list.length > 0 ? `: ${list.join("; ")}` : "";
}

function page({ page, gateClosed }: Report, { name, proxy }: PlainSettings): Verdict {
  const { status } = answer(page);
  const base = { check: "page", container: dockerNames(name).proxy };
  // A domain is served on 443; port 80 sends there.
  const wanted = proxy.domain ? [301, 302, 308] : [200];
  if (gateClosed)
    return { ...base, level: "warning", text: "requests are held: a release or a restart is under way" };
  if (status === 0) return { ...base, level: "critical", text: "no answer through the proxy" };
  if (!wanted.includes(status))
    return { ...base, level: "critical", text: `status ${status} through the proxy` };
  return { ...base, level: "ok", text: `${status} through the proxy` };
}

function database({ databaseReady }: Report, { name }: PlainSettings): Verdict {
  const base = { check: "database", container: dockerNames(name).database };
  return databaseReady
    ? { ...base, level: "ok", text: "accepts connections" }
    : { ...base, level: "critical", text: "does not accept connections" };
}

/** A bot may be healthy and deaf: its web part answers, but nobody asks Telegram for updates any more. */
function poller(
  { health, remembered }: Report,
  { name }: PlainSettings,
  now: Date,
  pending?: number,
): Verdict {
  const base = { check: "poller", container: name };
  const told = (answer(health).body as { poller?: { seconds_since_success?: unknown } } | undefined)?.poller;
  const age = told?.seconds_since_success;
  if (typeof age === "number" && age > DEAF_SECONDS) {
    return { ...base, level: "critical", text: `has not got through to Telegram for ${Math.round(age)} s` };
  }
  const since = remembered?.pendingSince;
  const waited = since === undefined ? 0 : (now.getTime() - Date.parse(since)) / 1000;
  if (pending !== undefined && pending > 0 && waited > PENDING_SECONDS) {
    return {
      ...base,
      level: "critical",
      text: `leaves ${pending} updates at Telegram, since ${since ?? ""}`,
    };
  }
  if (typeof age === "number")
    return { ...base, level: "ok", text: `Telegram answered ${Math.round(age)} s ago` };
  if (pending !== undefined) return { ...base, level: "ok", text: `${pending} updates wait at Telegram` };
  return { ...base, level: "ok", text: "not known: /health does not tell" };
}

/** When backups are due, around the server's present time. */
function dueTimes({ clock, timeZone: tz }: Report, { backups }: PlainSettings) {
  const times = () =>
    CronExpressionParser.parse(backups.schedule, { currentDate: new Date(clock * 1000), tz });
  const past = times();
  const [last, before] = [past.prev().getTime(), past.prev().getTime()];
  return { before, last, next: times().next().toDate() };
}

function backup(report: Report, settings: PlainSettings): Verdict {
  const { backup, verifiedBackup, clock, containers } = report;
  const verdict = (level: Level, text: string) => ({ check: "backup", level, text });
  const now = clock * 1000;
  const due = dueTimes(report, settings);
  const next = due.next.toISOString().slice(0, 16).replace("T", " ");
  const overdue = (hours: number) => now - due.last > hours * HOUR;
  if (verifiedBackup === null) {
    const database = dockerNames(settings.name).database;
    const created = Date.parse(containers.find(({ name }) => name === database)?.created ?? "");
    if (backup !== null)
      return verdict("critical", `${describe(backup, now)}, not verified, and none that is`);
    return overdue(BACKUP_LATE_HOURS) && created < due.last
      ? verdict("critical", "there is none; make one with: ./delivery backup")
      : verdict("ok", `none yet; the first is due ${next} UTC`);
  }
  const text = describe(verifiedBackup, now);
  if (backup !== null && !backup.verified)
    return verdict("critical", `${describe(backup, now)}, not verified; the last verified one is ${text}`);
  const made = Date.parse(verifiedBackup.time);
  const oldest = due.last - due.before + BACKUP_LOST_HOURS * HOUR;
  if (made < due.last && overdue(BACKUP_LOST_HOURS) && now - made > oldest)
    return verdict("critical", `${text}: too old; make one with: ./delivery backup`);
  if (made < due.last && overdue(BACKUP_LATE_HOURS)) return verdict("warning", `${text}: one is missing`);
  return verdict("ok", `${text}, verified; next ${next} UTC`);
}

const describe = ({ file, bytes: size, time }: BackupReport, now: number) =>
  `${file}, ${bytes(size)}, ${ago(now - Date.parse(time))}`;

function disk({ disk: { size, free } }: Report): Verdict {
  const level = free < BUILD_FREE_MB * 1024 ** 2 ? "critical" : free < size * TIGHT ? "warning" : "ok";
  return { check: "disk", level, text: `${bytes(free)} of ${bytes(size)} free` };
}

function certificate({ certificate }: Report, now: Date): Verdict[] {
  if (certificate === "") return [];
  const expires = new Date(new X509Certificate(Buffer.from(certificate, "base64")).validTo);
  const days = Math.floor((expires.getTime() - now.getTime()) / (24 * HOUR));
  const level = days < 1 ? "critical" : days < CERTIFICATE_DAYS ? "warning" : "ok";
  return [{ check: "certificate", level, text: `valid for ${days} days` }];
}

function clock({ clock }: Report, now: Date): Verdict {
  const off = Math.round(clock - now.getTime() / 1000);
  const level = Math.abs(off) > CLOCK_SECONDS ? "warning" : "ok";
  const text =
    level === "ok"
      ? "agrees with this machine's"
      : `is ${Math.abs(off)} s ${off > 0 ? "ahead of" : "behind"} this machine's`;
  return { check: "clock", level, text };
}

function drift({ drift, clock }: Report): Verdict[] {
  if (drift === null) return [];
  const when = ago(clock * 1000 - Date.parse(drift.time));
  return drift.drifted
    ? [{ check: "drift", level: "warning", text: `found ${when}; see: ./delivery drift` }]
    : [{ check: "drift", level: "ok", text: `none ${when}` }];
}

/** An HTTP answer's status and its body where that is JSON; status 0 where there was no answer. */
function answer(base64: string): { status: number; body: unknown } {
  const text = Buffer.from(base64, "base64").toString();
  const status = Number(/^HTTP\/\S+ (\d{3})/.exec(text)?.[1] ?? 0);
  try {
    return { status, body: JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)) };
  } catch {
    return { status, body: undefined };
  }
}

/** Bytes for a reader, in powers of 1024. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** power).toFixed(power > 1 ? 1 : 0)} ${units[power] ?? ""}`;
}

/** A time span for a reader. */
export function ago(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  const [count, unit] =
    seconds < 120
      ? [seconds, "s"]
      : seconds < 7200
        ? [seconds / 60, "min"]
        : seconds < 172_800
          ? [seconds / 3600, "h"]
          : [seconds / 86_400, "days"];
  return `${Math.floor(count)} ${unit} ago`;
}
