import { isDeepStrictEqual } from "node:util";
import { fingerprint } from "../../infra/model/ssh.ts";
import { OperatorError } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { untilUnlocked } from "../lock.ts";
import type { Server } from "../server.ts";
import type { Stack } from "../stack.ts";
import { type ApplyOptions, attempt, type Change } from "./attempt.ts";
import { carryOut } from "./carry-out.ts";
import { type Repaired, type Step, unprotectVolumes } from "./plan.ts";
import { readState } from "./state.ts";
import { type Ended, update } from "./update.ts";

/**
 * Brings Pulumi's state and the server together, then both to the wanted configuration.
 *
 * The update is begun first: while it has the stack's lock, its state and the server's report are compared, and only a
 * plan without steps lets it go on. Otherwise it ends, the steps are carried out, and another one begins.
 *
 * @throws OperatorError when something has to be done by hand first; LockedError when the wait is over
 */
export function apply(stack: Stack, server: Server, change: Change, options: ApplyOptions): Promise<Ended> {
  return untilUnlocked(options.wait, async () => {
    let flags = change.refresh ? ["--refresh"] : [];
    let repaired: Repaired | undefined;
    let done: Step[] = [];
    for (;;) {
      const { planned, ended } = await attempt(stack, server, change, { flags, repaired, ...options });
      if (planned === undefined || planned.goesAhead) return ended;
      if ("refusal" in planned) throw new OperatorError(planned.refusal);
      if (planned.steps.length > 0 && isDeepStrictEqual(planned.steps, done)) {
        throw new OperatorError(ineffective(done));
      }
      if (planned.steps.some(({ action }) => action === "forget server")) await confirmServer(stack, options);
      await carryOut(stack, server, planned.steps);
      done = planned.steps;
      if ("update" in planned.then) flags = planned.then.update.flags;
      else repaired = planned.then.planAgain;
    }
  });
}

/** Before everything is made anew on a server. @throws OperatorError where that is not wanted */
async function confirmServer({ settings }: Stack, { newServer = false }: ApplyOptions): Promise<void> {
  if (newServer) return;
  const { host, port, hostKey } = settings.server;
  const what = `${host}:${port} shows a server without this stack (host key ${fingerprint(hostKey)}); its bot, database and backups would be made anew there, and the old ones stay where they are.`;
  if (process.stdin.isTTY) {
    console.log(what);
    if (await confirmed("Deploy there?")) return;
    throw new OperatorError("Nothing was changed; answer yes, or correct `server.host`.");
  }
  throw new OperatorError(
    `${what} Deploy there with \`./delivery deploy --new-server\`, or correct \`server.host\`.`,
  );
}

/** Why an update is not begun again and again. */
const ineffective = (steps: Step[]) =>
  `What had to be put right first (${steps.map(({ action }) => action).join(", ")}) was done and is still not right. Something else is changing the server or the stack; wait for it, then try again.`;

/**
 * Updates without a look at the server, which was brought together a moment ago and waits for this update. Gives
 * whether that succeeded.
 *
 * @throws LockedError when another update has the stack
 */
export async function applyAtOnce(
  stack: Stack,
  server: Server,
  change: Omit<Change, "refresh" | "commit">,
): Promise<boolean> {
  await carryOut(stack, server, unprotectVolumes(await readState(stack), change));
  const { succeeded, errors } = await update(stack, change, { flags: [], verbose: true });
  for (const error of errors) console.error(error);
  return succeeded;
}
