import { define } from "../command.ts";
import { short } from "../release/history.ts";
import { RELEASE_EXITS, RELEASE_OPTIONS } from "../release/options.ts";
import { release } from "../release/release.ts";
import { Server } from "../server.ts";
import { openStack, type Stack } from "../stack.ts";

export default define({
  details:
    "Builds the commit's image on the server and backs the database up while the old release runs, then swaps the bot while the proxy holds the requests. If the new release does not become healthy, the last good one comes back.",
  positionals: {
    commit: {
      type: "string",
      describe: "A commit, branch or tag of the bot's repository; else the newest commit of `app.branch`",
    },
  },
  options: {
    ...RELEASE_OPTIONS,
    "new-server": {
      type: "boolean",
      default: false,
      describe: "Make everything anew where `server.host` shows a server without this stack, and do not ask",
    },
    backup: {
      type: "boolean",
      default: true,
      describe: "Back up the database first, unless `backups.beforeRelease` is false; --no-backup does not",
    },
  },
  examples: {
    deploy: "release the newest commit of `app.branch`",
    "deploy 4f2c91e": "release that commit",
    "deploy --no-backup": "release it although the database cannot be backed up",
  },
  exits: { 1: "failed; the last good release is back, or nothing was changed", ...RELEASE_EXITS },
  async run({ stack: name, commit: wanted, "new-server": newServer, backup: isWanted, ...options }) {
    const stack = openStack(name);
    const { server, backups } = stack.settings;
    const backup = isWanted && backups.beforeRelease;
    const commit = await findCommit(stack, wanted);
    console.log(`deploying ${short(commit)} to ${stack.name} (${server.host})`);
    await release(stack, { config: { commit }, verb: "deploy", newServer, backup, ...options });
    return undefined;
  },
});

/** The full hash of the commit that is meant, as the server sees the repository. */
async function findCommit(stack: Stack, wanted: string | undefined): Promise<string> {
  // A full hash needs no search; whether the repository has it is asked before anything changes.
  if (wanted !== undefined && /^[0-9a-f]{40}$/.test(wanted)) return wanted;
  return new Server(stack).ask("find-commit.sh", { COMMIT: wanted });
}
