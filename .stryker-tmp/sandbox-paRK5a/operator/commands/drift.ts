// @ts-nocheck
import { serverPaths } from "../../infra/model/paths.ts";
import { EXIT, OperatorError, define } from "../command.ts";
import { assertUnlocked, untilUnlocked } from "../lock.ts";
import { pulumi } from "../pulumi.ts";
import { Server } from "../server.ts";
import { openStack } from "../stack.ts";

/** The exit status of Pulumi's command line for "expected no changes, but found some". */
const FOUND_CHANGES = 7;
const DRIFTED = 2;

export default define({
  details:
    "Compares containers, networks and images through Pulumi, and every file by its checksum. Changes nothing.",
  options: {
    wait: { type: "number", default: 300, describe: "Seconds to wait while an update has the stack" },
  },
  examples: { drift: "list what differs; the exit status is 2 if anything does" },
  exits: {
    1: "could not be found out",
    [DRIFTED]: "something differs",
    [EXIT.locked]: "an update has the stack",
  },
  async run({ stack: name, wait }) {
    const stack = openStack(name);
    const server = new Server(stack);
    const { deployPath } = stack.settings.server;
    const paths = serverPaths(stack.settings.server);
    await untilUnlocked(wait, () => assertUnlocked(stack));
    // Over SSH first: on a machine where the program has not run yet, this puts the deploy key where Pulumi needs it.
    const files = (await server.ask("check-files.sh", {})).split("\n").filter(Boolean);
    const refresh = ["refresh", "--preview-only", "--expect-no-changes", "--diff"];
    const { status, stdout, stderr } = await pulumi(stack, refresh);
    // A preview takes no lock: what an update changes meanwhile is no drift.
    await assertUnlocked(stack);
    if (status !== 0 && status !== FOUND_CHANGES) {
      throw new OperatorError(`Pulumi could not compare: ${(stderr || stdout).trim()}`);
    }
    if (status === FOUND_CHANGES) {
      console.log(stdout.trim());
      console.log(
        "\nContainers, networks or images differ from the stack; mend them with: ./delivery deploy RUNNING-COMMIT, or pulumi up --refresh",
      );
    }
    for (const line of files) console.log(`${line} in ${deployPath}`);
    if (files.length > 0)
      console.log("Files differ from what the stack put there; mend them with: pulumi up");
    if (files.length > 0) await server.write(paths.drifted, new Date().toISOString());
    const drifted = status === FOUND_CHANGES || files.length > 0;
    if (!drifted) console.log("no drift: the server is as the stack left it");
    await server.write(paths.drift, JSON.stringify({ time: new Date().toISOString(), drifted }));
    return drifted ? DRIFTED : undefined;
  },
});
