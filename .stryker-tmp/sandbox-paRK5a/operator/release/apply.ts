// @ts-nocheck
import { OperatorError } from "../command.ts";
import { untilUnlocked, whileUnlocked } from "../lock.ts";
import { readHistory } from "../pulumi.ts";
import type { Server } from "../server.ts";
import type { Stack } from "../stack.ts";
import { carryOut } from "./carry-out.ts";
import { type LiveRelease, liveReleases } from "./history.ts";
import { readInventory } from "./inventory.ts";
import { plan, unprotectVolumes, type Repaired, type Wanted } from "./plan.ts";
import { readState } from "./state.ts";
import { update, type UpdateTarget } from "./update.ts";

/** An update that is wanted, and what it must find on the server. */
export type Change = UpdateTarget & Omit<Wanted, "hostKey">;

/** How an update ended. */
export interface Applied {
  succeeded: boolean;
  /** The release that was live right before. */
  previous?: LiveRelease;
}

/**
 * Brings Pulumi's state and the server together, then both to the wanted configuration.
 *
 * @param wait seconds to wait while another update has the stack
 * @throws OperatorError when something has to be done by hand first; LockedError when the wait is over
 */
export function apply(
  stack: Stack,
  server: Server,
  change: Change,
  { wait }: { wait: number },
): Promise<Applied> {
  const { hostKey } = stack.settings.server;
  return untilUnlocked(wait, async () => {
    let repaired: Repaired | undefined;
    for (;;) {
      // What another update is in the middle of looks like what a killed one has left.
      const [state, inventory] = await whileUnlocked(stack, () =>
        Promise.all([readState(stack), readInventory(server, change.commit)]),
      );
      const wanted = { ...change, hostKey };
      const planned = plan({ state, inventory, wanted, repaired });
      if ("refusal" in planned) throw new OperatorError(planned.refusal);
      await carryOut(stack, server, planned.steps);
      if ("update" in planned.then) {
        // Read last: an update that this one waited for may have made a release.
        const [previous] = liveReleases(await whileUnlocked(stack, () => readHistory(stack)));
        return { succeeded: await update(stack, change, planned.then.update.flags), previous };
      }
      repaired = planned.then.planAgain;
    }
  });
}

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
  return update(stack, change, []);
}
