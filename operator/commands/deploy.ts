import { define } from "../command.ts";
import { short } from "../release/history.ts";
import { RELEASE_EXITS, RELEASE_OPTIONS } from "../release/options.ts";
import { release } from "../release/release.ts";
import { Server } from "../server.ts";
import { openStack, type Stack } from "../stack.ts";

export default define({
  details:
    "Builds the commit's image on the server while the old release runs, then swaps the bot while the proxy holds the requests. If the new release does not become healthy, the last good one comes back.",
  positionals: {
    commit: {
      type: "string",
      describe: "A commit, branch or tag of the bot's repository; else the newest commit of `app.branch`",
    },
  },
  options: RELEASE_OPTIONS,
  examples: {
    deploy: "release the newest commit of `app.branch`",
    "deploy 4f2c91e": "release that commit",
    "deploy --stack staging": "release to the stack that Pulumi.staging.yaml describes",
  },
  exits: { 1: "failed; the last good release is back, or nothing was changed", ...RELEASE_EXITS },
  async run({ stack: name, commit: wanted, ...options }) {
    const stack = openStack(name);
    const { server } = stack.settings;
    const commit = await findCommit(stack, wanted);
    console.log(`deploying ${short(commit)} to ${stack.name} (${server.host})`);
    await release(stack, { config: { commit }, verb: "deploy", ...options });
    return undefined;
  },
});

/** The full hash of the commit that is meant, as the server sees the repository. */
async function findCommit(stack: Stack, wanted: string | undefined): Promise<string> {
  // A full hash needs no search; whether the repository has it is asked before anything changes.
  if (wanted !== undefined && /^[0-9a-f]{40}$/.test(wanted)) return wanted;
  return new Server(stack).ask("find-commit.sh", { COMMIT: wanted });
}
