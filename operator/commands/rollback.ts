import { OperatorError, define } from "../command.ts";
import { readHistory } from "../pulumi.ts";
import { chooseRollback, release, RELEASE_KEYS, short } from "../release/release.ts";
import { releaseOptions, RELEASE_EXITS } from "../release/options.ts";
import { openStack } from "../stack.ts";

export default define({
  name: "rollback",
  positional: "[commit]",
  describe:
    "Put an earlier release back, with the configuration it had; its image was kept, so nothing is built",
  options: (args) =>
    releaseOptions(args).positional("commit", {
      type: "string",
      describe: "A commit that has run, short or full; else the one before that which runs",
    }),
  exits: { 1: "failed, or there is no such release; what ran before runs", ...RELEASE_EXITS },
  async run({ stack: name, commit: wanted, wait, recover }) {
    const stack = openStack(name);
    const chosen = chooseRollback(await readHistory(stack), wanted);
    if (typeof chosen === "string") throw new OperatorError(chosen);
    console.log(
      `rolling ${stack.name} back to ${chosen.commit}, live on ${chosen.started.toISOString()} (${short(chosen.commit)}: ${chosen.message || "by hand"})\n` +
        `with its ${RELEASE_KEYS.join(", ")} of then; the secrets, the database and all other configuration stay as they are now`,
    );
    // Somebody waits for it: what differs on the server beside the containers is for `./delivery drift` to say.
    const options = { wait, recover, refresh: false };
    await release(stack, { ...chosen.config, commit: chosen.commit }, "rollback", options);
    return undefined;
  },
});
