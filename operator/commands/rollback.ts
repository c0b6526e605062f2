import { OperatorError, define } from "../command.ts";
import { readHistory } from "../pulumi.ts";
import { chooseRollback, short } from "../release/history.ts";
import { releaseOptions, RELEASE_EXITS } from "../release/options.ts";
import { release, RELEASE_KEYS } from "../release/release.ts";
import { openStack } from "../stack.ts";

export default define({
  name: "rollback",
  positional: "[commit]",
  describe:
    "Put an earlier release back, with the configuration it had; its image was kept, so nothing is built",
  options: (args) =>
    releaseOptions(args).positional("commit", {
      type: "string",
      describe: "A commit that has run, short or full; else the one before the running one",
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
    const config = { ...chosen.config, commit: chosen.commit };
    // In a hurry: what else differs on the server is for `./delivery drift` to say.
    await release(stack, { config, verb: "rollback", refresh: false, wait, recover });
    return undefined;
  },
});
