/** Addresses in the configuration, taken apart: a pattern alone would not see what may be hidden in one. */

/** Where the bot's repository is. */
interface RepositoryAddress {
  transport: "https" | "ssh" | "directory";
  path: string;
}

/**
 * Whether an address says who logs in: `scheme://…@host`. The name alone is allowed where it is a user of SSH's; with https
 * a token may stand there.
 */
export function hasLogin(address: string): boolean {
  const [, scheme, login] = /^(\w+):\/\/([^/?#]*)@/.exec(address) ?? [];
  // Git takes no password in the form user@host:path, but people may try.
  if (login === undefined) return /^[^/@]*:[^/@]*@/.test(address);
  return scheme !== "ssh" || login.includes(":");
}

/** Whether the address of a repository has anything in it that opens it. */
export function hasCredentials(address: string): boolean {
  return hasLogin(address) || /[?#]/.test(address);
}

/** The parts of a repository's address in one of git's forms; undefined for any other, and for one with credentials. */
export function parseRepository(address: string): RepositoryAddress | undefined {
  if (hasCredentials(address)) return undefined;
  if (/^(\/[\w.-]+)+$/.test(address)) return { transport: "directory", path: address };
  const [, path] = /^[\w.-]+@[\w.-]+:([^\s\p{Cc}]+)$/u.exec(address) ?? [];
  if (path !== undefined) return { transport: "ssh", path };
  // The parser would take blanks, backslashes and further slashes for something else than git does.
  const [, scheme] = /^(https|ssh):\/\/[^/\\\s\p{Cc}]+\/[^\\\s\p{Cc}]+$/u.exec(address) ?? [];
  if (scheme === undefined || !URL.canParse(address)) return undefined;
  const { username, hostname, pathname } = new URL(address);
  const isPlain = /^[\w.-]*$/.test(username) && /^(\w[\w.-]*|\[[\da-f:]+\])$/i.test(hostname);
  return isPlain ? { transport: scheme as "https" | "ssh", path: pathname } : undefined;
}

/** Whether a text is the address of a page or an API. */
export function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^\s"\\]+$/.test(text) && URL.canParse(text);
}
