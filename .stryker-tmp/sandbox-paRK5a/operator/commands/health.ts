// @ts-nocheck
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { serverPaths } from "../../infra/model/paths.ts";
import { findNews, pendingUpdates, remember, sendAlert, tell } from "../health/alerts.ts";
import { judge, readReport, type Remembered, type Verdict, worst } from "../health/checks.ts";
import { define } from "../command.ts";
import { pulumi } from "../pulumi.ts";
import { Server, UnreachableError } from "../server.ts";
import { openStack, type Stack } from "../stack.ts";
import { paint, table } from "../table.ts";

const STATUS = { ok: 0, warning: 1, critical: 2 };
const UNREACHABLE = 3;
const LOG_LINES = "100";
/** Seconds that Pulumi gets to tell the bot's token before the container is asked. */
const TOKEN_SECONDS = 10;
/** Where it is remembered that the server does not answer: not on the server. */
const UNREACHABLE_FILE = ".ssh/unreachable.json";

export default define({
  details:
    "For machines: the exit status says how bad it is. The channels in `alerts` get one message when a check breaks and one when it recovers. Needs SSH alone; Pulumi's state only for the bot's token, if it can be had.",
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
  exits: {
    1: "warning",
    2: "critical",
    [UNREACHABLE]: "the server could not be asked, or how to is unclear",
  },
  failure: UNREACHABLE,
  async run({ stack: name, json, alert }) {
    const stack = openStack(name);
    const { settings } = stack;
    const server = new Server(stack);
    const now = new Date();
    const token = await botToken(stack, server);
    const pending = token === undefined ? undefined : await pendingUpdates(apiUrl(stack), token);

    let verdicts: Verdict[];
    let unreachable = false;
    let remembered = readUnreachable();
    try {
      const report = await readReport(server);
      verdicts = judge(report, settings, now, pending);
      remembered = {
        ...report.remembered,
        failing: { ...report.remembered?.failing, ...remembered?.failing },
      };
    } catch (error) {
      unreachable = error instanceof UnreachableError;
      // What was broken on the server before is neither mended nor news.
      verdicts = [{ check: "server", level: "critical", text: (error as Error).message }];
    }

    if (json) console.log(JSON.stringify({ level: worst(verdicts), verdicts }, null, 2));
    else
      console.log(
        table(
          ["", "check", ""],
          verdicts.map(({ level, check, text }) => [paint(level), check, text]),
        ),
      );
    if (!json) await showLogs(server, verdicts);

    if (alert) {
      const news = findNews(verdicts, remembered);
      const faults: string[] = [];
      if (news.broken.length + news.mended.length > 0) {
        const title = `${settings.name} on ${settings.server.host}`;
        faults.push(...(await sendAlert(settings.alerts, token, tell(title, news), news)));
      }
      for (const fault of faults) console.error(`warning: ${fault}`);
      // What nobody could be told stays news.
      if (faults.length === 0)
        await keep(stack, server, remember(verdicts, remembered, now, pending), unreachable);
    }
    return unreachable ? UNREACHABLE : STATUS[worst(verdicts)];
  },
});

/** The Bot API that the bot itself uses: it is the bot whose updates are counted. */
const apiUrl = ({ settings }: Stack) =>
  settings.app.environment.TELEGRAM_API_URL ?? settings.alerts.telegramApiUrl;

/** From the configuration; where Pulumi is out of reach, from the running container. */
async function botToken(stack: Stack, server: Server): Promise<string | undefined> {
  const told = await pulumi(stack, ["config", "get", "telegramToken"], { timeout: TOKEN_SECONDS });
  if (told.status === 0) return told.stdout.trim();
  const asked = await server
    .command(["docker", "exec", stack.settings.name, "printenv", "TELEGRAM_TOKEN"])
    .catch(() => undefined);
  return asked?.status === 0 ? asked.stdout.trim() : undefined;
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

function readUnreachable(): Remembered | null {
  try {
    return JSON.parse(readFileSync(UNREACHABLE_FILE, "utf8")) as Remembered;
  } catch {
    return null;
  }
}

async function keep(
  stack: Stack,
  server: Server,
  remembered: Remembered,
  unreachable: boolean,
): Promise<void> {
  mkdirSync(dirname(UNREACHABLE_FILE), { recursive: true, mode: 0o700 });
  writeFileSync(UNREACHABLE_FILE, unreachable ? JSON.stringify(remembered) : "null");
  if (unreachable) return;
  await server
    .write(serverPaths(stack.settings.server).health, JSON.stringify(remembered))
    .catch((error: unknown) => {
      console.error(`warning: ${(error as Error).message}`);
    });
}
