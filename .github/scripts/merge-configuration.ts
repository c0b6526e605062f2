/**
 * Merges what a pull request changes of a stack's plain configuration into the deployed branch's file. The result is used
 * with the deploy key and the passphrase, so a pull request may bring data and nothing else: no encrypted value, which it
 * could put under a key that is printed; no salt; no key of another program, such as a provider's address; and no host to
 * which anything would be sent.
 */
import { isDeepStrictEqual } from "node:util";
import { parse, stringify } from "yaml";
import { parseValue } from "../../infra/model/config-check.ts";
import { Config, SECRET_KEYS } from "../../infra/model/schema.ts";

type Values = Record<string, unknown>;

/** One place in the three files; undefined where a file has nothing there. */
interface Place {
  base: unknown;
  ancestor: unknown;
  head: unknown;
}

const PLAIN_KEYS = Object.keys(Config.shape).filter((key) => !(SECRET_KEYS as string[]).includes(key));

/** Keys that name a host, which a preview would talk to: the server, and the server to the repository. */
const STAY = ["server", "app.repository"];

const isMap = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether a value is encrypted, or has something in it that is: Pulumi writes that as `{ secure: … }`. */
function holdsSecret(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsSecret);
  return isMap(value) && ("secure" in value || Object.values(value).some(holdsSecret));
}

const isEncrypted = (value: unknown) => isMap(value) && "secure" in value;

/** Takes over what the pull request has changed; notes in `left` what it has changed in vain. */
function take(path: string, { base, ancestor, head }: Place, left: string[]): unknown {
  if (isDeepStrictEqual(head, ancestor)) return base;
  if (STAY.includes(path)) {
    left.push(path);
    return base;
  }
  if (isMap(head) && (base === undefined || isMap(base)) && !isEncrypted(head) && !isEncrypted(base)) {
    return takeKeys(path, { base, ancestor, head }, left);
  }
  if (!holdsSecret(head) && !holdsSecret(base)) return head;
  left.push(path);
  return base;
}

function takeKeys(
  path: string,
  { base = {}, ancestor, head }: { base?: Values; ancestor: unknown; head: Values },
  left: string[],
): Values {
  const before = isMap(ancestor) ? ancestor : {};
  const keys = [...new Set([...Object.keys(base), ...Object.keys(head)])];
  const taken = keys.map((key) => {
    const place = { base: base[key], ancestor: before[key], head: head[key] };
    return [key, take(`${path}.${key}`, place, left)];
  });
  return Object.fromEntries(taken.filter(([, value]) => value !== undefined)) as Values;
}

/** The program's plain keys in a file. A key without a project is this project's; an object may be JSON. */
function plainPart(text: string, project: string): Values {
  const { config = {} } = (parse(text) ?? {}) as { config?: Values };
  const named = Object.entries(config).map(([key, value]) => {
    const name = key.startsWith(`${project}:`) ? key.slice(project.length + 1) : key;
    return [name, parseValue(name, value)] as const;
  });
  return Object.fromEntries(named.filter(([name]) => PLAIN_KEYS.includes(name)));
}

/**
 * Merges three versions of a stack's file.
 *
 * @param files as they are on the deployed branch, where the pull request left that branch, and in the pull request; empty
 *   where there is none
 * @param project the prefix of the program's keys
 * @returns the file to preview, and the keys that stay as they are on the deployed branch though the pull request changes
 *   them
 */
export function mergeConfiguration(
  files: { base: string; ancestor: string; head: string },
  project: string,
): { text: string; left: string[] } {
  const [base, ancestor, head] = [files.base, files.ancestor, files.head].map((text) =>
    plainPart(text, project),
  ) as [Values, Values, Values];
  const left: string[] = [];
  const changed = PLAIN_KEYS.map((key) => {
    const place = { base: base[key], ancestor: ancestor[key], head: head[key] };
    return [`${project}:${key}`, take(key, place, left)];
  });
  const whole = (parse(files.base) ?? {}) as Values & { config?: Values };
  const others = Object.entries(whole.config ?? {}).filter(
    ([key]) => !PLAIN_KEYS.includes(key.replace(`${project}:`, "")),
  );
  const config = Object.fromEntries([
    ...others,
    ...changed.filter(([, value]) => value !== undefined),
  ]) as Values;
  // Quoted, a key is a name and nothing else: no merge key of YAML's.
  const text = stringify({ ...whole, config }, { defaultKeyType: "QUOTE_DOUBLE" });
  return { text, left };
}
