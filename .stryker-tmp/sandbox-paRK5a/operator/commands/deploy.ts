// @ts-nocheck
import { define } from "../command.ts";
import { RELEASE_EXITS, RELEASE_OPTIONS } from "../release/options.ts";
import { release } from "../release/release.ts";
import { Server } from "../server.ts";
import { openStack } from "../stack.ts";

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
  async run({ stack: name, commit: wanted, wait, recover }) {
    const stack = openStack(name);
    const { server } = stack.settings;
    const commit = await new Server(stack).ask("find-commit.sh", { COMMIT: wanted });
    console.log(`deploying ${commit} to ${stack.name} (${server.host})`);
    await release(stack, { config: { commit }, verb: "deploy", refresh: true, wait, recover });
    return undefined;
  },
});
