import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { upgradedVolume } from "../../infra/model/names.ts";
import { serverPaths } from "../../infra/model/paths.ts";
import { databaseVolume } from "../../infra/model/schema.ts";
import { imageOf, MAJORS } from "../../infra/model/postgres.ts";
import { EXIT, OperatorError } from "../command.ts";
import { assertUnlocked, takeLock } from "../lock.ts";
import { whoami } from "../pulumi.ts";
import { lastLine } from "../run.ts";
import { Server, UnreachableError } from "../server.ts";
import type { Stack } from "../stack.ts";
import { apply, applyAtOnce } from "../release/apply.ts";
import { isHealthy } from "../release/await-healthy.ts";
import type { UpdateOptions } from "../release/options.ts";
import { withConfig } from "../release/update.ts";

/** How often, and with what pause in seconds, a server that does not answer is asked what it runs. */
const TRIES = 12;
const PAUSE = 10;

/** upgrade-db.sh's exit status where it may not begin, and what that means. */
const BUSY = 75;
const BUSY_TEXT = "A backup, restore or upgrade is running; try again when it is done";

/** What holds the data: a major version and a volume. */
interface Data {
  major: number;
  volume: string;
}

/**
 * Moves the database to a newer major version of PostgreSQL, in a volume of its own.
 *
 * All work on the data is done on the server by scripts/upgrade-db.sh, which goes back by itself when this process is
 * gone; here Pulumi switches the containers in between. The stack's file is not touched before the new one has taken
 * over for good: until then its configuration is a copy.
 *
 * @throws OperatorError with the cause; then the old database runs
 */
export async function upgradeDatabase(stack: Stack, major: number, options: UpdateOptions): Promise<void> {
  const began = Date.now();
  const { name, commit, database, server: at } = stack.settings;
  if (!MAJORS.includes(major)) {
    throw new OperatorError(`PostgreSQL ${major} is not known here; there are: ${MAJORS.join(", ")}.`);
  }
  if (commit === undefined) throw new OperatorError("Nothing runs yet; begin with: ./delivery deploy");
  const server = new Server(stack);
  const { bin, settings } = serverPaths(at);
  const script = (...args: string[]) => [`${bin}/upgrade-db.sh`, settings, ...args];
  const present = await dataOf(server, script("report"));
  const configured = databaseVolume(stack.settings);
  const isCutOff = present.major === major && present.volume !== configured;
  if (present.major >= major && !isCutOff) {
    throw new OperatorError(
      `The database is PostgreSQL ${present.major} already; only a newer major version can be upgraded to.`,
    );
  }
  const volume = isCutOff ? present.volume : upgradedVolume(name, major);
  const image = imageOf(database.image, major);
  const upgraded = () =>
    withConfig(readFileSync(stack.file, "utf8"), { "database.image": image, "database.volume": volume });
  const change = (file: string, of: string, what: string) => ({
    ...{ file, commit, volume: of, refresh: true },
    message: `${what} PostgreSQL ${major}, by ${whoami()}`,
  });
  // An operator's Ctrl-C reaches Pulumi and the connection, and ends both in good order; what follows must still happen.
  process.on("SIGINT", () => undefined);
  if (options.recover) await takeLock(stack);

  const settle = async (what: string) => {
    const file = readFileSync(stack.file, "utf8");
    const { succeeded } = await apply(stack, server, change(file, configured, what), options);
    return succeeded && (await isHealthy(server));
  };
  const finish = () => {
    writeFileSync(stack.file, upgraded());
    const old = `ssh -p ${at.port} ${at.user}@${at.host} docker volume rm ${configured}`;
    console.log(
      `database upgrade: PostgreSQL ${major} runs${isCutOff ? "" : ` (before: ${present.major})`}, ${((Date.now() - began) / 1000).toFixed(1)} s in all\n` +
        `${stack.file} says so; commit it. The old data is kept in the volume ${configured}; when nobody wants it any more, remove it with: ${old}`,
    );
  };

  if (isCutOff) {
    console.log(`finishing the upgrade to PostgreSQL ${major} that was cut off`);
    const finishing = change(upgraded(), volume, "finish the upgrade to");
    if (!(await apply(stack, server, finishing, options)).succeeded) {
      throw new OperatorError(
        `PostgreSQL ${major} runs, but the stack could not follow (see above); try again.`,
      );
    }
    finish();
    return;
  }

  console.log(
    `upgrading the database of ${stack.name} (${at.host}) from PostgreSQL ${present.major} to ${major}`,
  );
  if (!(await settle("before the upgrade to"))) {
    throw new OperatorError(
      "The stack is not well as it is (see above); mend that first. The database was not touched.",
    );
  }
  const talk = await server.converse(script("move", String(major), image, volume));
  let switching = false;
  let fault: Error | undefined;
  try {
    if (await talk.hears("ready")) {
      await assertUnlocked(stack);
      talk.say("go");
      if (await talk.hears("moved")) {
        switching = true;
        if (!(await applyAtOnce(stack, server, change(upgraded(), volume, "upgrade to")))) {
          throw new OperatorError("Pulumi could not switch the containers (see above)");
        }
        talk.say("switched");
        await talk.hears("done");
      }
    }
  } catch (error) {
    fault = error as Error;
  }
  const status = await talk.end();
  // Whatever this side believes: the server knows which data is served.
  const { volume: served } = switching ? await patiently(() => dataOf(server, script("report"))) : present;
  if (served === volume) {
    finish();
    if (status !== 0)
      throw new OperatorError(
        `The stack may not have followed to its end (see above); finish with: ./delivery deploy`,
      );
    return;
  }
  const cause = (fault?.message ?? (status === BUSY ? BUSY_TEXT : talk.last)).replace(/[.;]$/, "");
  const settled = !switching || (await settle("back from"));
  const end = settled
    ? " as before."
    : ", but the stack could not follow; go on with: ./delivery deploy --recover";
  throw new OperatorError(
    `The upgrade failed: ${cause}. PostgreSQL ${present.major} runs${end}`,
    fault instanceof OperatorError ? fault.status : EXIT.failed,
  );
}

/** Asks what the server's database is, once nobody is at work on it any more. */
async function dataOf(server: Server, words: string[]): Promise<Data> {
  const { status, stdout, stderr } = await server.command(words);
  if (status === BUSY) throw new OperatorError(`${BUSY_TEXT}.`);
  if (status === 127) {
    throw new OperatorError("The server has no upgrade-db.sh yet; run `pulumi up`, which puts it there.");
  }
  if (status !== 0) throw new OperatorError(lastLine(stderr));
  const [major, volume = ""] = stdout.trim().split(" ");
  return { major: Number(major), volume };
}

/** Asks again and again while the server is out of reach. */
async function patiently<T>(question: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof UnreachableError) || tries === TRIES) throw error;
      await sleep(PAUSE * 1000);
    }
  }
}
