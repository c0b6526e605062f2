import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { serverPaths } from "../../infra/model/paths.ts";
import { describeNews, findNews, nextState, pendingUpdates, sendAlert } from "../health/alerts.ts";
import { judge, type Verdict, worst } from "../health/checks.ts";
import { type AlertState, readReportAndToken } from "../health/report.ts";
import { define } from "../command.ts";
import { pulumi } from "../pulumi.ts";
import { Server, UnreachableError } from "../server.ts";
import { openStack, type Stack } from "../stack.ts";
import { verdictTable } from "../table.ts";

const STATUS = { ok: 0, warning: 1, critical: 2 };
const UNREACHABLE = 3;
const LOG_LINES = "100";
/** Seconds that Pulumi gets to read the bot's token from the configuration. */
const TOKEN_SECONDS = 10;
/** Keeps on this machine that the server did not answer: the server itself cannot. */
const UNREACHABLE_FILE = ".ssh/unreachable.json";

/** What one run has found. */
interface Findings {
  verdicts: Verdict[];
  isUnreachable: boolean;
  /** Why there is no report. */
  fault?: string;
  /** The state of the last run, on the server and on this machine. */
  last: AlertState | null;
  /** Updates that wait at Telegram, if it could be asked. */
  pending?: number;
  /** The token of the bot that runs. */
  token?: string;
}

export default define({
  details:
    "For machines: the exit status says how bad it is. The channels in `alerts` get one message when a check breaks and one when it recovers. Needs SSH alone; an alert by Telegram takes the bot's token from Pulumi's configuration, if that can be read.",
  options: {
    json: { type: "boolean", default: false, describe: "Print JSON" },
    alert: {
      type: "boolean",
      default: true,
      describe: "Send alerts and keep their state; --no-alert does neither",
    },
  },
  examples: {
    health: "check, alert, and show the logs of what is critical",
    "health --no-alert --json": "check for a program, without side effects",
  },
  exits: { 1: "warning", 2: "critical", [UNREACHABLE]: "the server could not be asked" },
  failure: UNREACHABLE,
  async run({ stack: name, json, alert }) {
    const stack = openStack(name);
    const server = new Server(stack);
    const findings = await examine(stack, server);
    const { verdicts, isUnreachable } = findings;
    if (json) {
      console.log(JSON.stringify({ level: worst(verdicts), verdicts }, null, 2));
    } else {
      console.log(verdictTable(verdicts));
      await showLogs(server, verdicts);
    }
    if (alert) await sendNews(stack, server, findings);
    if (findings.fault !== undefined) console.error(`error: ${findings.fault}`);
    return isUnreachable ? UNREACHABLE : STATUS[worst(verdicts)];
  },
});

async function examine(stack: Stack, server: Server): Promise<Findings> {
  const local = readUnreachable();
  try {
    const { report, token } = await readReportAndToken(server);
    const pending = await pendingUpdates(apiUrl(stack), token ?? (await configuredToken(stack)));
    const verdicts = judge(report, stack.settings, new Date(), pending);
    const failing = { ...report.remembered?.failing, ...local?.failing };
    return { verdicts, isUnreachable: false, last: { ...report.remembered, failing }, pending, token };
  } catch (error) {
    // Nothing is known of the other checks, so none of them has broken or recovered.
    const fault = (error as Error).message;
    const verdict = { check: "server", level: "critical", text: fault } as const;
    const isUnreachable = error instanceof UnreachableError;
    return { verdicts: [verdict], isUnreachable, fault, last: local };
  }
}

/** Sends what has changed, and keeps the new state unless a channel failed: then the next run tries again. */
async function sendNews(
  stack: Stack,
  server: Server,
  { verdicts, isUnreachable, last, pending, token }: Findings,
): Promise<void> {
  const { settings } = stack;
  const news = findNews(verdicts, last);
  if (news.broken.length + news.recovered.length > 0) {
    const text = describeNews(`${settings.name} on ${settings.server.host}`, news);
    // A token that was replaced at Telegram is new in the configuration first.
    const sender = settings.alerts.telegramChat && ((await configuredToken(stack)) ?? token);
    const faults = await sendAlert(settings.alerts, sender, text, news);
    for (const fault of faults) console.error(`warning: ${fault}`);
    if (faults.length > 0) return;
  }
  await keep(stack, server, nextState(verdicts, last, new Date(), pending), isUnreachable);
}

/** The Bot API that the bot itself uses, since its own updates are counted. */
const apiUrl = ({ settings }: Stack) =>
  settings.app.environment.TELEGRAM_API_URL ?? settings.alerts.telegramApiUrl;

/** The bot's token, where Pulumi's state is in reach. It takes Pulumi longer to decrypt than the server to report. */
async function configuredToken(stack: Stack): Promise<string | undefined> {
  const question = ["config", "get", "telegramToken"];
  const answer = await pulumi(stack, question, { timeout: TOKEN_SECONDS }).catch(() => undefined);
  return answer?.status === 0 ? answer.stdout.trim() : undefined;
}

async function showLogs(server: Server, verdicts: Verdict[]): Promise<void> {
  const failed = verdicts.flatMap(({ level, container }) =>
    level === "critical" && container ? [container] : [],
  );
  for (const container of new Set(failed)) {
    console.log(`\nThe last ${LOG_LINES} log lines of ${container}:`);
    await server.script("show-logs.sh", { CONTAINER: container, LOG_LINES }, { show: ["stdout"] });
  }
}

function readUnreachable(): AlertState | null {
  try {
    return JSON.parse(readFileSync(UNREACHABLE_FILE, "utf8")) as AlertState;
  } catch {
    return null;
  }
}

async function keep(stack: Stack, server: Server, state: AlertState, isUnreachable: boolean): Promise<void> {
  mkdirSync(dirname(UNREACHABLE_FILE), { recursive: true, mode: 0o700 });
  writeFileSync(UNREACHABLE_FILE, isUnreachable ? JSON.stringify(state) : "null");
  if (isUnreachable) return;
  await server
    .write(serverPaths(stack.settings.server).health, JSON.stringify(state))
    .catch((error: unknown) => {
      console.error(`warning: ${(error as Error).message}`);
    });
}
