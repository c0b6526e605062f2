import { parseArgs } from "node:util";
import { callServer } from "./call-server.ts";
import { checkGiven } from "./model/config-check.ts";
import { skipsGitHub } from "./model/names.ts";
import { checkCall } from "./model/server-check.ts";
import type { StackSettings } from "./model/server-settings.ts";
import { type Answer, writeDeployKey } from "./model/ssh.ts";

/** What must be known to ask the server. */
type Asked = StackSettings & { commit: string; sshPrivateKey?: string };

let early: Promise<Answer> | undefined;

/**
 * Asks the server while the SDK is loaded, which takes as long as the server's answer: infra/start.cjs calls this. Whatever
 * is wrong with the configuration, the program itself says it.
 */
export function askEarly(): void {
  try {
    // As Pulumi's language host starts the SDK, which reads the same.
    const { values } = parseArgs({
      strict: false,
      options: { project: { type: "string" }, "dry-run": { type: "boolean" } },
    });
    const { PULUMI_CONFIG: given = "{}", PULUMI_CONFIG_SECRET_KEYS: secret = "[]" } = process.env;
    const secretKeys = JSON.parse(secret) as string[];
    const settings = checkGiven(JSON.parse(given) as Record<string, string>, String(values.project), (key) =>
      secretKeys.includes(key),
    );
    writeDeployKey(settings.sshPrivateKey);
    early = ask(settings, values["dry-run"] === true);
    early.catch(() => undefined);
  } catch {
    // The program finds the same fault.
  }
}

/** The server's answer to check-server.sh. */
export function askServer(settings: Asked, isPreview: boolean): Promise<Answer> {
  return early ?? ask(settings, isPreview);
}

function ask(settings: Asked, isPreview: boolean): Promise<Answer> {
  const { words, input } = checkCall(settings, { withGitHub: !skipsGitHub(isPreview) });
  return callServer(settings, words, input);
}
