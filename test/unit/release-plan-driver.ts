import assert from "node:assert/strict";
import type { ServerContainer } from "../../operator/release/inventory.ts";
import { type Plan, plan, type Step, type Wanted } from "../../operator/release/plan.ts";
import type { State } from "../../operator/release/state.ts";

export const [COMMIT, OTHER] = ["a1".repeat(20), "b2".repeat(20)] as const;
export const IMAGE = "urn:image";

const wanted: Wanted = {
  ...{ commit: COMMIT, bot: "training_bot", volume: "v13", hostKey: "key", refresh: false },
};
export const state: State = {
  pending: [],
  containers: [
    { id: "1", resource: "bot-container" },
    { id: "2", resource: "database-container" },
  ],
  replaced: [],
  volumes: [{ urn: "urn:v13", resource: "database-data", volume: "v13", isProtected: true }],
  image: { urn: IMAGE, commit: COMMIT },
  ...{ id: "id", hasClaimed: false, hostKey: "key" },
};
export const bot: ServerContainer = { name: "training_bot", id: "1", status: "running", commit: COMMIT };
export const database: ServerContainer = { name: "training_bot_db", id: "2", status: "running" };
export const interruptedAt = { operation: "creating", resource: "bot-container" };

interface Case {
  state?: Partial<State>;
  containers?: ServerContainer[];
  hasImage?: boolean;
  claim?: string;
  wanted?: Partial<Wanted>;
  repaired?: { interrupted: boolean };
}

const planned = (change: Case): Plan =>
  plan({
    state: { ...state, ...change.state },
    inventory: {
      containers: change.containers ?? [bot, database],
      hasImage: change.hasImage ?? true,
      claim: change.claim,
    },
    wanted: { ...wanted, ...change.wanted },
    repaired: change.repaired,
  });

export const update = (flags: string[] = [], ...steps: Step[]): Plan => ({
  steps,
  then: { update: { flags } },
});
export const refresh = (interrupted: boolean, ...because: string[]): Plan => ({
  steps: [{ action: "refresh", because }],
  then: { planAgain: { interrupted } },
});
export const remove = (...containers: ServerContainer[]): Step[] => [
  { action: "hold requests" },
  ...containers.map((container): Step => ({ action: "remove", container })),
];
export const differs = (what: string): Plan => ({
  refusal: `Pulumi's state and the server still differ after a refresh: ${what}. Something else is changing the server or the stack; wait for it, then try again.`,
});
export const stranger = (name: string): Plan => ({
  refusal: `The server has a container ${name} that this stack did not make; remove or rename it there, then deploy again.`,
});
export const takeBack = (interrupted = false, ...because: string[]): Plan => ({
  steps: [
    { action: "take back", container: bot },
    ...(because.length > 0 ? [{ action: "refresh", because } as const] : []),
  ],
  then: { planAgain: { interrupted } },
});
/** The bot was replaced, in an update that failed. */
export const returned: Partial<State> = {
  containers: [
    { id: "3", resource: "bot-container" },
    { id: "2", resource: "database-container" },
  ],
  replaced: [{ id: "1", resource: "bot-container" }],
};
export const forget: Plan = {
  steps: [{ action: "forget server" }],
  then: { planAgain: { interrupted: false } },
};

/** What is so, and what is planned then. */
type Behaviour = [sentence: string, given: Case, then: Plan];

/** Tests of plans, in groups. */
export function describePlans(groups: Record<string, Behaviour[]>): void {
  for (const [group, behaviours] of Object.entries(groups)) {
    describe(group, () => {
      for (const [sentence, given, then] of behaviours) {
        it(sentence, () => {
          assert.deepEqual(planned(given), then);
        });
      }
    });
  }
}
