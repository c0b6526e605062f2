import { define } from "../command.ts";
import { releaseOptions, RELEASE_EXITS } from "../release/options.ts";
import { release } from "../release/release.ts";
import { Server } from "../server.ts";
import { openStack } from "../stack.ts";

export default define({
  name: "deploy",
  positional: "[commit]",
  describe:
    "Release a commit: build its image on the server, swap the bot while the proxy holds the requests, and put the last good release back if the new one is not healthy",
  options: (args) =>
    releaseOptions(args).positional("commit", {
      type: "string",
      describe: "A commit, branch or tag of the bot's repository; else the newest commit of `app.branch`",
    }),
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
