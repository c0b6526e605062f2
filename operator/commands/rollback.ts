import { OperatorError, define } from "../command.ts";
import { readHistory } from "../pulumi.ts";
import { chooseRollback, short } from "../release/history.ts";
import { RELEASE_EXITS, RELEASE_OPTIONS } from "../release/options.ts";
import { release, RELEASE_KEYS } from "../release/release.ts";
import { openStack } from "../stack.ts";

const MEANWHILE =
  "Another release was made meanwhile; look at ./delivery history, then roll back again. Nothing was changed.";

export default define({
  details:
    "The server keeps the last images, so nothing is built. Secrets, the database and all configuration that is no part of a release stay as they are.",
  positionals: {
    commit: {
      type: "string",
      describe: "A commit that has run, short or full; else the one before the running one",
    },
  },
  options: RELEASE_OPTIONS,
  examples: {
    rollback: "go back to the release before the running one",
    "rollback 4f2c91e": "go back to that commit; ./delivery history lists them",
  },
  exits: { 1: "failed, or there is no such release; what ran before runs", ...RELEASE_EXITS },
  async run({ stack: name, commit: wanted, ...options }) {
    const stack = openStack(name);
    const chosen = chooseRollback(await readHistory(stack), wanted);
    if (typeof chosen === "string") throw new OperatorError(chosen);
    console.log(
      `rolling ${stack.name} back to ${chosen.commit}, live on ${chosen.started.toISOString()} (${short(chosen.commit)}: ${chosen.message || "by hand"})\n` +
        `with its ${RELEASE_KEYS.join(", ")} of then; the secrets, the database and all other configuration stay as they are now`,
    );
    const config = { ...chosen.config, commit: chosen.commit };
    // Another release may be made before this update has the lock.
    const objection = async () => {
      const now = chooseRollback(await readHistory(stack), wanted);
      const same = typeof now !== "string" && now.started.getTime() === chosen.started.getTime();
      return same ? undefined : MEANWHILE;
    };
    await release(stack, { config, verb: "rollback", objection, ...options });
    return undefined;
  },
});
