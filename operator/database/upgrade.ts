import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT, OperatorError } from "../command.ts";
import { assertUnlocked, takeLock } from "../lock.ts";
import { whoami } from "../pulumi.ts";
import { Server, UnreachableError } from "../server.ts";
import type { Stack } from "../stack.ts";
import { apply, applyAtOnce } from "../release/apply.ts";
import { isHealthy } from "../release/await-healthy.ts";
import type { UpdateOptions } from "../release/options.ts";
import { withConfig } from "../release/update.ts";
import { runDatabaseScript, wordsOf } from "./scripts.ts";
import {
  type Data,
  failureMessage,
  judgeOutcome,
  type Plan,
  planUpgrade,
  refuseUpgrade,
  successMessage,
} from "./upgrade-plan.ts";

/** How often a server that does not answer is asked what it serves, and the seconds in between. */
const TRIES = 12;
const PAUSE = 10;

/** One upgrade under way. */
interface Upgrade {
  stack: Stack;
  server: Server;
  plan: Plan;
  options: UpdateOptions;
}

/** How the part on the server ended. */
interface MoveResult {
  /** Whether Pulumi was asked to switch the containers. */
  switching: boolean;
  status: number;
  last: string;
  fault?: Error;
}

/**
 * Moves the database to a newer major version of PostgreSQL, in a volume of its own.
 *
 * All work on the data is done on the server by scripts/server/upgrade-db.sh, which goes back by itself when this
 * process is gone; in between, Pulumi switches the containers from here. The stack's file changes only once the new
 * database has taken over for good: until then a copy of the configuration is used.
 *
 * @throws OperatorError with the cause; then the old database runs
 */
export async function upgradeDatabase(stack: Stack, major: number, options: UpdateOptions): Promise<void> {
  const began = Date.now();
  const refusal = refuseUpgrade(stack.settings, major);
  if (refusal !== undefined) throw new OperatorError(refusal);
  const server = new Server(stack);
  const decision = planUpgrade(stack.settings, major, await servedData(stack, server));
  if ("refusal" in decision) throw new OperatorError(decision.refusal);
  const upgrade = { stack, server, plan: decision.plan, options };
  // An operator's Ctrl-C reaches Pulumi and the connection, and ends both in good order; what follows must still happen.
  process.on("SIGINT", () => undefined);
  if (options.recover) await takeLock(stack);
  const complete = await (decision.plan.action === "finish" ? finish(upgrade) : move(upgrade));
  writeFileSync(stack.file, upgradedConfig(upgrade));
  const { host, port, user } = stack.settings.server;
  const remove = `ssh -p ${port} ${user}@${host} docker volume rm ${decision.plan.configured}`;
  console.log(successMessage(decision.plan, stack.file, (Date.now() - began) / 1000, remove));
  if (!complete) {
    throw new OperatorError(
      "The stack may not have followed to its end (see above); finish with: ./delivery deploy",
    );
  }
}

/** Has the stack follow to the data that an earlier upgrade, cut off since, has moved. */
async function finish({ stack, server, plan, options }: Upgrade): Promise<boolean> {
  console.log(`finishing the upgrade to PostgreSQL ${plan.major} that was cut off`);
  const file = upgradedConfig({ stack, plan });
  const change = { ...changeTo({ stack, plan }, "finish the upgrade to"), file, volume: plan.volume };
  if ((await apply(stack, server, change, { ...options, verbose: true })).succeeded) return true;
  throw new OperatorError(
    `PostgreSQL ${plan.major} runs, but the stack could not follow (see above); try again.`,
  );
}

/** Moves the data; gives whether the new database's script has come to its end. @throws OperatorError when the old one runs */
async function move(upgrade: Upgrade): Promise<boolean> {
  const { stack, server, plan } = upgrade;
  console.log(
    `upgrading the database of ${stack.name} (${stack.settings.server.host}) from PostgreSQL ${plan.present.major} to ${plan.major}`,
  );
  if (!(await settle(upgrade, "before the upgrade to"))) {
    throw new OperatorError(
      "The stack is not healthy as it is (see above); repair that first. The database was not touched.",
    );
  }
  const { switching, fault, ...end } = await moveOnServer(upgrade);
  const served = switching ? await whenReachable(() => servedData(stack, server)) : plan.present;
  const outcome = judgeOutcome(plan, { served, ...end, fault: fault?.message });
  if (outcome.upgraded) return outcome.complete;
  const hasFollowed = !switching || (await settle(upgrade, "back from"));
  throw new OperatorError(
    failureMessage(plan, outcome.cause, hasFollowed),
    fault instanceof OperatorError ? fault.status : EXIT.failed,
  );
}

/** Talks with upgrade-db.sh to its end, and has Pulumi switch the containers when it is time. */
async function moveOnServer({ stack, server, plan }: Upgrade): Promise<MoveResult> {
  const env = { MAJOR: String(plan.major), IMAGE: plan.image, VOLUME: plan.volume };
  const session = await server.converse(wordsOf(stack, { script: "upgrade-db.sh", action: "move", env }));
  let switching = false;
  let fault: Error | undefined;
  try {
    if (await session.expect("ready")) {
      await assertUnlocked(stack);
      session.send("go");
      if (await session.expect("moved")) {
        switching = true;
        const change = { ...changeTo({ stack, plan }, "upgrade to"), volume: plan.volume };
        if (!(await applyAtOnce(stack, server, { ...change, file: upgradedConfig({ stack, plan }) }))) {
          throw new OperatorError("Pulumi could not switch the containers (see above)");
        }
        session.send("switched");
        await session.expect("done");
      }
    }
  } catch (error) {
    fault = error as Error;
  }
  return { switching, status: await session.close(), last: session.last, fault };
}

/** Brings the stack to its own configuration; gives whether that succeeded and the bot is healthy. */
async function settle({ stack, server, plan, options }: Upgrade, what: string): Promise<boolean> {
  const file = readFileSync(stack.file, "utf8");
  const change = { ...changeTo({ stack, plan }, what), file, volume: plan.configured };
  return (
    (await apply(stack, server, change, { ...options, verbose: true })).succeeded && (await isHealthy(server))
  );
}

/** What every update of an upgrade has in common. */
function changeTo({ stack, plan }: Pick<Upgrade, "stack" | "plan">, what: string) {
  const { commit = "" } = stack.settings;
  return { commit, refresh: true, message: `${what} PostgreSQL ${plan.major}, by ${whoami()}` };
}

/** The stack's configuration with the new database. */
function upgradedConfig({ stack, plan }: Pick<Upgrade, "stack" | "plan">): string {
  return withConfig(readFileSync(stack.file, "utf8"), {
    "database.image": plan.image,
    "database.volume": plan.volume,
  });
}

/** Asks what data the server serves, once no script is at work on it any more. */
async function servedData(stack: Stack, server: Server): Promise<Data> {
  const answer = await runDatabaseScript(stack, { script: "upgrade-db.sh", action: "report" }, { server });
  const [major, volume = ""] = answer.split(" ");
  return { major: Number(major), volume };
}

/** Repeats a question while the server is out of reach. */
async function whenReachable<T>(question: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof UnreachableError) || tries === TRIES) throw error;
      await sleep(PAUSE * 1000);
    }
  }
}
