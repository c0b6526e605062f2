import { isDeepStrictEqual } from "node:util";
import { dockerNames } from "../../infra/model/names.ts";
import { OperatorError } from "../command.ts";
import { untilUnlocked } from "../lock.ts";
import type { Server } from "../server.ts";
import type { Stack } from "../stack.ts";
import { carryOut } from "./carry-out.ts";
import { parseInventory } from "./inventory.ts";
import { type Plan, plan, type Repaired, type Step, unprotectVolumes, type Wanted } from "./plan.ts";
import { readState, type State } from "./state.ts";
import { type Ended, type Talk, update, type UpdateTarget } from "./update.ts";

/** An update that is wanted, and what it must find on the server. */
export type Change = UpdateTarget & Omit<Wanted, "hostKey" | "bot">;

/** How to go about an update. */
export interface ApplyOptions extends Pick<Talk, "onLocked" | "onStage"> {
  /** Seconds to wait while another update has the stack. */
  wait: number;
  /** Whether the operator sees what Pulumi says. */
  verbose: boolean;
  /** Asked while the update has the lock: why it is not what is wanted any more, if so. */
  objection?: () => Promise<string | undefined>;
  /** Docker's id of the commit's image, where it is built beside the start of the update. */
  image?: Promise<string | undefined>;
}

/**
 * Brings Pulumi's state and the server together, then both to the wanted configuration.
 *
 * The update is begun first: while it has the stack's lock, its state and the server's report are compared, and only a
 * plan without steps lets it go on. Otherwise it ends, the steps are carried out, and another one begins.
 *
 * @throws OperatorError when something has to be done by hand first; LockedError when the wait is over
 */
export function apply(stack: Stack, server: Server, change: Change, options: ApplyOptions): Promise<Ended> {
  const { name, server: settings } = stack.settings;
  const wanted = { ...change, hostKey: settings.hostKey, bot: dockerNames(name).bot };
  return untilUnlocked(options.wait, async () => {
    let flags = change.refresh ? ["--refresh"] : [];
    let repaired: Repaired | undefined;
    let done: Step[] = [];
    for (;;) {
      const { planned, ended } = await attempt(stack, change, { wanted, flags, repaired, ...options });
      if (planned === undefined || planned.goesAhead) return ended;
      if ("refusal" in planned) throw new OperatorError(planned.refusal);
      if (planned.steps.length > 0 && isDeepStrictEqual(planned.steps, done)) {
        throw new OperatorError(ineffective(done));
      }
      await carryOut(stack, server, planned.steps);
      done = planned.steps;
      if ("update" in planned.then) flags = planned.then.update.flags;
      else repaired = planned.then.planAgain;
    }
  });
}

/** Begins an update that goes ahead only where nothing has to be done before it. */
async function attempt(
  stack: Stack,
  change: Change,
  {
    wanted,
    flags,
    repaired,
    image,
    objection,
    verbose,
    ...heard
  }: ApplyOptions & { wanted: Wanted; flags: string[]; repaired?: Repaired },
): Promise<{ planned?: Plan & { goesAhead: boolean }; ended: Ended }> {
  let planned: (Plan & { goesAhead: boolean }) | undefined;
  let read: Promise<[State, string | undefined]> | undefined;
  const readUnderLock = () => Promise.all([readState(stack), objection?.()]);
  const talk: Talk = {
    ...heard,
    onLocked() {
      read = readUnderLock();
      // A failure is reported where it is awaited.
      read.catch(() => undefined);
      heard.onLocked?.();
    },
    async onReport(report) {
      try {
        heard.onStage?.("looked");
        const inventory = parseInventory(report);
        const imageId = await image;
        const known = { ...inventory, hasImage: inventory.hasImage || imageId !== undefined };
        const [state, refusal] = await (read ?? readUnderLock());
        const decided =
          refusal === undefined ? plan({ state, inventory: known, wanted, repaired }) : { refusal };
        heard.onStage?.("planned");
        planned = { ...decided, goesAhead: goesAhead(decided, flags) };
        return planned.goesAhead ? { imageId } : { stop: STOPPED };
      } catch (error) {
        planned = { refusal: (error as Error).message, goesAhead: false };
        return { stop: STOPPED };
      }
    },
  };
  const ended = await update(stack, change, { flags, talk, verbose });
  return { planned, ended };
}

/** Why an update ends that would have needed something to be done before it. */
const STOPPED =
  "Something has to be put right first; ./delivery does that and begins anew. Nothing was changed.";

/** Why an update is not begun again and again. */
const ineffective = (steps: Step[]) =>
  `What had to be put right first (${steps.map(({ action }) => action).join(", ")}) was done and is still not right. Something else is changing the server or the stack; wait for it, then try again.`;

const goesAhead = (decided: Plan, flags: string[]) =>
  "then" in decided &&
  decided.steps.length === 0 &&
  "update" in decided.then &&
  decided.then.update.flags.every((flag) => flags.includes(flag));

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
