import { ENCRYPTED, type PlainSettings } from "../../infra/model/schema.ts";
import type { Server } from "../server.ts";
import type { Level, Verdict } from "./verdict.ts";

/** A container as the server reports it; a missing one has only its name and the status `gone`. */
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

/** The facts that the status shows. */
export interface Report {
  /** The server's clock, Unix time in seconds. */
  clock: number;
  timeZone: string;
  containers: ContainerReport[];
  /** By container, as Docker prints it: `35MiB / 512MiB`. */
  memory: Record<string, string> | null;
  databaseReady: boolean;
  gateClosed: boolean;
  healthMilliseconds: number;
  /** Bytes. */
  disk: { size: number; free: number };
  load: string;
  /** The newest backup, and the newest one that a trial restore has verified. */
  backup: BackupReport | null;
  verifiedBackup: BackupReport | null;
}

/** What one look has found. */
export interface Look {
  verdicts: Verdict[];
  /** Channels that could not be told. */
  unsent: string[];
  /** What went wrong beside that, a sentence each. */
  faults: string[];
  report?: Report;
}

interface LookOptions {
  /** Whether the server tells what is news, and remembers it. */
  tells?: boolean;
  /** Whether the facts are wanted, too. */
  reports?: boolean;
  /** What is seen only from here. */
  outside?: Promise<Verdict[]>;
  /** The bot's token, where the server could not find it out. */
  token?: string;
}

/**
 * Has the server look at itself and judge what it finds, by the rules of this version.
 *
 * @throws UnreachableError where it does not answer, OperatorError where it cannot look
 */
export async function look(
  server: Server,
  settings: PlainSettings,
  options: LookOptions = {},
): Promise<Look> {
  const { tells = false, reports = false, outside = Promise.resolve([]), token } = options;
  const names = { CALLER_TIME: String(Math.round(Date.now() / 1000)), REPORT: reports ? "yes" : undefined };
  const more = outside.then((verdicts) => [...verdicts.map(lineOf), ...channels(settings, token)].join(""));
  const answer = await server.askAll("check-health.sh", names, { words: [tells ? "tell" : "look"], more });
  return { ...parseLook(answer.stdout), faults: answer.stderr.split("\n").filter(Boolean) };
}

const field = (text: string) => text.replace(/\p{Cc}+/gu, " ");
const lineOf = ({ level, check, container = "-", text }: Verdict) =>
  `${[level, check, container, text].map(field).join("\t")}\n`;

/** What the server's settings of an earlier version lack; a secret is known there only. */
function channels({ alerts }: PlainSettings, token?: string): string[] {
  const { telegramChat, telegramApiUrl, webhook } = alerts;
  return Object.entries({ telegramChat, telegramApiUrl, webhook, telegramToken: token })
    .filter(([, value]) => value !== undefined && value !== ENCRYPTED)
    .map(([key, value]) => `setting\t${key}\t${value ?? ""}\n`);
}

/** @param stdout what check-health.sh prints */
export function parseLook(stdout: string): Omit<Look, "faults"> {
  const look: Omit<Look, "faults"> = { verdicts: [], unsent: [] };
  for (const line of stdout.split("\n").filter(Boolean)) {
    const [word = "", check = "", container, text = ""] = line.split("\t");
    if (line.startsWith("{")) look.report = JSON.parse(line) as Report;
    else if (word === "unsent") look.unsent.push(check);
    else
      look.verdicts.push({
        ...{ check, level: word as Level, text },
        ...(container !== "-" && { container }),
      });
  }
  return look;
}
