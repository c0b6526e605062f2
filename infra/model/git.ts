import { parseRepository } from "./addresses.ts";
import { serverPaths } from "./paths.ts";
import type { PlainSettings } from "./schema.ts";
import { shellCommand } from "./ssh.ts";

/** How the server's git reaches the bot's repository over SSH. */

type GitSettings = Pick<PlainSettings, "app" | "github" | "server">;

/**
 * The key by which GitHub proves that it is GitHub, as it publishes it; OpenSSH prefers a kind of key that it knows:
 * https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
 */
const GITHUB_HOST_KEY =
  "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

/** Whether the server reads the repository with a key of its own that the stack publishes on GitHub. */
export function hasRepositoryKey({ app, github }: GitSettings): boolean {
  const { transport, path = "" } = parseRepository(app.repository) ?? {};
  if (!github?.manage || transport !== "ssh") return false;
  const [, name = ""] = /^\/?(.+?)(?:\.git)?\/?$/.exec(path) ?? [];
  return `/${name}`.toLowerCase().endsWith(`/${github.owner}/${github.repository}`.toLowerCase());
}

/** GIT_SSH_COMMAND for the scripts on the server: asks nothing, and trusts GitHub and the hosts that its user knows. */
export function gitSsh(settings: GitSettings): string {
  const options = {
    BatchMode: "yes",
    ConnectTimeout: "10",
    StrictHostKeyChecking: "yes",
    KnownHostsCommand: `/bin/echo ${GITHUB_HOST_KEY}`,
    ...(hasRepositoryKey(settings) && {
      IdentityFile: serverPaths(settings.server).repositoryKey,
      IdentitiesOnly: "yes",
    }),
  };
  const words = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return shellCommand(["ssh", ...words]);
}
