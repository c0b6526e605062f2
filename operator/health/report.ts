import type { Server } from "../server.ts";

/** A container as report-status.sh describes it; a missing one has only its name and the status `gone`. */
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

export interface BackupReport {
  file: string;
  time: string;
  bytes: number;
  verified: boolean;
}

/** What `health` has reported so far; kept on the server, so that every machine that runs it knows. */
export interface AlertState {
  /** Failing checks, and since when (ISO 8601). */
  failing: Record<string, string>;
  /** Since when every run has found updates waiting at Telegram (ISO 8601). */
  pendingSince?: string;
}

/** What report-status.sh prints. */
export interface Report {
  /** The server's clock, Unix time in seconds. */
  clock: number;
  timeZone: string;
  containers: ContainerReport[];
  /** By container, as Docker prints it: `35MiB / 512MiB`. */
  memory: Record<string, string> | null;
  databaseReady: boolean;
  gateClosed: boolean;
  /** The whole HTTP response of the bot's health path in base64; empty if there was none. */
  health: string;
  healthMilliseconds: number;
  /** The same of the public page, which the proxy serves. */
  page: string;
  /** Bytes. */
  disk: { size: number; free: number };
  load: string;
  /** PEM in base64. */
  certificate: string;
  /** The newest backup, and the newest one that a trial restore has verified. */
  backup: BackupReport | null;
  verifiedBackup: BackupReport | null;
  drift: { time: string; drifted: boolean } | null;
  remembered: AlertState | null;
}

/** Asks the server for everything at once. */
export async function readReport(server: Server): Promise<Report> {
  return JSON.parse(await server.ask("report-status.sh", {})) as Report;
}

/** The same, and the token that the running bot has; it goes no further than this process. */
export async function readReportAndToken(server: Server): Promise<{ report: Report; token?: string }> {
  return splitToken(await server.ask("report-status.sh", { WITH_TOKEN: "yes" }));
}

/** @param answer a report, after a line `token=` where the script could find the token out */
export function splitToken(answer: string): { report: Report; token?: string } {
  const [, token, report = ""] = /^(?:token=(.+)\n)?(.*)$/s.exec(answer) ?? [];
  return { report: JSON.parse(report) as Report, token };
}
