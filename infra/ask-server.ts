import { parseArgs } from "node:util";
import { callServer } from "./call-server.ts";
import { checkGiven } from "./model/config-check.ts";
import { fullName, skipsGitHub } from "./model/names.ts";
import { checkCall } from "./model/server-check.ts";
import type { StackSettings } from "./model/server-settings.ts";
import { type Answer, writeDeployKey } from "./model/ssh.ts";

/** What must be known to ask the server. */
type Asked = StackSettings & { commit: string; sshPrivateKey?: string };

/** Names of the project and of the stack. */
interface Of {
  project: string;
  stack: string;
}

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
      options: { project: { type: "string" }, stack: { type: "string" }, "dry-run": { type: "boolean" } },
    });
    const [project, stack] = [String(values.project), String(values.stack)];
    const { PULUMI_CONFIG: given = "{}", PULUMI_CONFIG_SECRET_KEYS: secret = "[]" } = process.env;
    const secretKeys = JSON.parse(secret) as string[];
    const settings = checkGiven(JSON.parse(given) as Record<string, string>, project, (key) =>
      secretKeys.includes(key),
    );
    writeDeployKey(stack, settings.sshPrivateKey);
    early = ask(settings, { project, stack }, values["dry-run"] === true);
    early.catch(() => undefined);
  } catch {
    // The program finds the same fault.
  }
}

/** The server's answer to check-server.sh. */
export function askServer(settings: Asked, of: Of, isPreview: boolean): Promise<Answer> {
  return early ?? ask(settings, of, isPreview);
}

function ask(settings: Asked, { project, stack }: Of, isPreview: boolean): Promise<Answer> {
  const name = fullName(project, stack);
  const { words, input } = checkCall(name, settings, { withGitHub: !skipsGitHub(isPreview) });
  return callServer(settings, stack, words, input);
}
