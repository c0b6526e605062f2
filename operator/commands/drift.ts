import { serverPaths } from "../../infra/model/paths.ts";
import { EXIT, OperatorError, define } from "../command.ts";
import { assertUnlocked, untilUnlocked } from "../lock.ts";
import { pulumi } from "../pulumi.ts";
import { Server } from "../server.ts";
import { openStack } from "../stack.ts";

/** Pulumi's exit status when `--expect-no-changes` finds some. */
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
    1: "the comparison failed",
    [DRIFTED]: "something differs",
    [EXIT.locked]: "an update has the stack",
  },
  async run({ stack: name, wait }) {
    const stack = openStack(name);
    const server = new Server(stack);
    const { deployPath } = stack.settings.server;
    const paths = serverPaths(stack.settings.server);
    await untilUnlocked(wait, () => assertUnlocked(stack));
    // SSH comes first: on a machine where the program has not run yet, it puts the deploy key where Pulumi needs it.
    const files = (await server.ask("check-files.sh", {})).split("\n").filter(Boolean);
    const refresh = ["refresh", "--preview-only", "--expect-no-changes", "--diff"];
    const { status, stdout, stderr } = await pulumi(stack, refresh);
    // A preview takes no lock: what an update changes meanwhile is no drift.
    await assertUnlocked(stack);
    if (status !== 0 && status !== FOUND_CHANGES) {
      const said = (stderr || stdout).trim().split("\n");
      const last = said.pop() ?? "";
      if (said.length > 0) console.error(said.join("\n"));
      throw new OperatorError(`Pulumi could not compare: ${last.trim()}`);
    }
    if (status === FOUND_CHANGES) {
      console.log(stdout.trim());
      console.log(
        "\nContainers, networks or images differ from the stack; repair them with: ./delivery deploy RUNNING-COMMIT, or pulumi up --refresh",
      );
    }
    for (const line of files) console.log(`${line} in ${deployPath}`);
    if (files.length > 0)
      console.log("Files differ from what the stack put there; repair them with: pulumi up");
    if (files.length > 0) await server.write(paths.drifted, new Date().toISOString());
    const drifted = status === FOUND_CHANGES || files.length > 0;
    if (!drifted) console.log("no drift: the server is as the stack left it");
    await server.write(paths.drift, JSON.stringify({ time: new Date().toISOString(), drifted }));
    return drifted ? DRIFTED : undefined;
  },
});
