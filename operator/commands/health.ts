import { dockerNames } from "../../infra/model/names.ts";
import { type AlertSettings, ENCRYPTED } from "../../infra/model/schema.ts";
import { hasChannel, lossOf, returnOf, sendAlert } from "../health/alerts.ts";
import { look, type Look } from "../health/look.ts";
import { lookFromOutside } from "../health/outside.ts";
import { forgetUnreachable, recallUnreachable, rememberUnreachable } from "../health/unreachable.ts";
import { type Verdict, worst } from "../health/verdict.ts";
import { define } from "../command.ts";
import { readSecret } from "../pulumi.ts";
import { Server, UnreachableError } from "../server.ts";
import { openStack, type Stack } from "../stack.ts";
import { verdictTable } from "../table.ts";

const STATUS = { ok: 0, warning: 1, critical: 2 };
const UNREACHABLE = 3;
/** Log lines that are shown of a container, and those of the proxy's among which warnings and errors are looked for. */
const LOG_LINES = 20;
const PROXY_LINES = 500;

/** The server's verdicts, or the one that it could not be asked, and why. */
type Findings = Pick<Look, "verdicts" | "faults"> & { lost?: { isUnreachable: boolean; reason: string } };

export default define({
  details:
    "For machines: the exit status says how bad it is. The server tells the channels in `alerts` once when a check breaks and once when it recovers, however many machines look; that the server itself does not answer is told from here. Needs SSH alone.",
  options: {
    json: { type: "boolean", default: false, describe: "Print JSON" },
    alert: {
      type: "boolean",
      default: true,
      describe: "Send alerts and remember them; --no-alert does neither",
    },
    logs: {
      type: "boolean",
      default: true,
      describe: "Show log lines of what is critical; --no-logs shows the checks only",
    },
  },
  examples: {
    health: "check, alert, and show the logs of what is critical",
    "health --no-alert --json": "check for a program, without side effects",
  },
  exits: { 1: "warning", 2: "critical", [UNREACHABLE]: "the server could not be asked" },
  failure: UNREACHABLE,
  async run({ stack: name, json, alert, logs }) {
    const stack = openStack(name);
    const server = new Server(stack);
    // What is seen only from outside of the server.
    const outside = lookFromOutside(stack.settings, new Date());
    const [{ verdicts, faults, lost }, known] = await Promise.all([
      examine(stack, server, alert, outside),
      alert ? recallUnreachable(stack) : undefined,
    ]);
    if (alert) faults.push(...(await tellOfServer(stack, verdicts, lost !== undefined, known)));
    if (json) {
      console.log(JSON.stringify({ level: worst(verdicts), verdicts }, null, 2));
    } else {
      if (logs) await showLogs(stack, server, verdicts);
      console.log(verdictTable(verdicts));
    }
    for (const fault of faults) console.error(`warning: ${fault}`);
    if (lost !== undefined) console.error(`error: ${lost.reason}`);
    return lost?.isUnreachable ? UNREACHABLE : STATUS[worst(verdicts)];
  },
});

async function examine(
  stack: Stack,
  server: Server,
  tells: boolean,
  outside: Promise<Verdict[]>,
): Promise<Findings> {
  const { settings } = stack;
  try {
    const seen = await look(server, settings, { tells, outside });
    if (!seen.unsent.includes("telegram")) return seen;
    // The bot's container is gone, or has a token that was replaced; the new one is in the configuration first.
    const token = await configuredToken(stack);
    return token === undefined ? seen : await look(server, settings, { tells, outside, token });
  } catch (error) {
    // Nothing is known of the other checks.
    const reason = (error as Error).message;
    const verdict = { check: "server", level: "critical", text: reason } as const;
    const lost = { isUnreachable: error instanceof UnreachableError, reason };
    return { verdicts: [verdict, ...(await outside)], faults: [], lost };
  }
}

/**
 * Tells once that the server cannot be asked, and once that it can again.
 *
 * @param known since when the former was told
 * @returns a sentence for each channel that failed: then the next run tries again
 */
async function tellOfServer(
  stack: Stack,
  [first]: Verdict[],
  isLost: boolean,
  known: string | undefined,
): Promise<string[]> {
  const { settings } = stack;
  // A machine without channels, with an older configuration for instance, leaves the news to the others.
  if (first === undefined || isLost === (known !== undefined) || !hasChannel(settings.alerts)) return [];
  const title = `${settings.name} on ${settings.server.host}`;
  const since = known ?? new Date().toISOString();
  const news = isLost ? lossOf(title, first, since) : returnOf(title, "server", since);
  const token = settings.alerts.telegramChat && (await configuredToken(stack));
  const faults = await sendAlert(await readableAlerts(stack), token, news);
  if (faults.length === 0) await (isLost ? rememberUnreachable(stack, since) : forgetUnreachable(stack));
  return faults;
}

/** The bot's token, where Pulumi's state is in reach. */
const configuredToken = (stack: Stack) => readSecret(stack, "telegramToken");

/** The channels, with the webhook's address where it is encrypted and can be read. */
async function readableAlerts(stack: Stack): Promise<AlertSettings> {
  const { alerts } = stack.settings;
  const isEncrypted = alerts.webhook === ENCRYPTED;
  return isEncrypted
    ? { ...alerts, webhook: (await readSecret(stack, "alerts.webhook")) ?? ENCRYPTED }
    : alerts;
}

async function showLogs(stack: Stack, server: Server, verdicts: Verdict[]): Promise<void> {
  const { proxy } = dockerNames(stack.settings.name);
  const failed = verdicts.flatMap(({ level, container }) =>
    level === "critical" && container ? [container] : [],
  );
  for (const container of new Set(failed)) {
    const lines = String(container === proxy ? PROXY_LINES : LOG_LINES);
    const { stdout } = await server.script("show-logs.sh", { CONTAINER: container, LOG_LINES: lines });
    const shown = telling(stdout.split("\n").filter(Boolean)).slice(-LOG_LINES);
    if (shown.length > 0) console.log(`The last log lines of ${container}:\n${shown.join("\n")}\n`);
  }
}

/** Log lines without those of Caddy's that say that all is well. */
function telling(lines: string[]): string[] {
  return lines.filter((line) => !/"level":"(info|debug)"/.test(line));
}
