import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";

/** Where Pulumi keeps its log of each run; below its home. */
const LOGS = "logs";
/** What Pulumi makes there when it needs it. */
const DIRECTORIES = ["plugins", "workspaces"];

/** The user's directory as Pulumi finds it: in the system's list of users, and by HOME where that does not know the user. */
export function userDirectory(): string {
  try {
    return userInfo().homedir;
  } catch {
    // A container that runs as a user of a number only.
    return homedir();
  }
}

/**
 * The environment variable that gives Pulumi's command line its own home without the log. Pulumi 3.260 writes down each
 * message of its engine, 1 MB a run for seven days, and no option turns that off. It costs a tenth of an update's time;
 * where the directory cannot be made, as here, Pulumi goes on without a log.
 *
 * The home is `$PULUMI_HOME/hockey-delivery`; all else in it links to what Pulumi has in its own one.
 */
export function homeWithoutLog(): Record<string, string> {
  const { PULUMI_HOME: real = join(userDirectory(), ".pulumi") } = process.env;
  const home = join(real, "hockey-delivery");
  try {
    for (const directory of [home, ...DIRECTORIES.map((name) => join(real, name))]) {
      mkdirSync(directory, { recursive: true });
    }
    const present = new Set(readdirSync(home));
    if (!present.has(LOGS)) writeFileSync(join(home, LOGS), "");
    for (const name of readdirSync(real)) {
      if (![LOGS, "hockey-delivery"].includes(name) && !present.has(name)) link(real, home, name);
    }
  } catch {
    // A home that cannot be written is left as it is: a log does no harm.
    return {};
  }
  return { PULUMI_HOME: home };
}

function link(real: string, home: string, name: string): void {
  try {
    symlinkSync(join(real, name), join(home, name));
  } catch (error) {
    // Another command has made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
