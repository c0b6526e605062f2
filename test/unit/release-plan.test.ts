import assert from "node:assert/strict";
import type { ServerContainer } from "../../operator/release/inventory.ts";
import { type Plan, plan, type Step, type Wanted } from "../../operator/release/plan.ts";
import type { State } from "../../operator/release/state.ts";

const [COMMIT, OTHER] = ["a1".repeat(20), "b2".repeat(20)] as const;
const IMAGE = "urn:image";

const wanted: Wanted = {
  ...{ commit: COMMIT, bot: "training_bot", volume: "v13", hostKey: "key", refresh: false },
};
const state: State = {
  pending: [],
  containers: [
    { id: "1", resource: "bot-container" },
    { id: "2", resource: "database-container" },
  ],
  replaced: [],
  volumes: [{ urn: "urn:v13", resource: "database-data", volume: "v13", isProtected: true }],
  image: { urn: IMAGE, commit: COMMIT },
  hostKey: "key",
};
const bot: ServerContainer = { name: "training_bot", id: "1", status: "running", commit: COMMIT };
const database: ServerContainer = { name: "training_bot_db", id: "2", status: "running" };
const interruptedAt = { operation: "creating", resource: "bot-container" };

interface Case {
  state?: Partial<State>;
  containers?: ServerContainer[];
  hasImage?: boolean;
  wanted?: Partial<Wanted>;
  repaired?: { interrupted: boolean };
}

const planned = (change: Case): Plan =>
  plan({
    state: { ...state, ...change.state },
    inventory: { containers: change.containers ?? [bot, database], hasImage: change.hasImage ?? true },
    wanted: { ...wanted, ...change.wanted },
    repaired: change.repaired,
  });

const update = (flags: string[] = [], ...steps: Step[]): Plan => ({ steps, then: { update: { flags } } });
const refresh = (interrupted: boolean, ...because: string[]): Plan => ({
  steps: [{ action: "refresh", because }],
  then: { planAgain: { interrupted } },
});
const remove = (...containers: ServerContainer[]): Step[] => [
  { action: "hold requests" },
  ...containers.map((container): Step => ({ action: "remove", container })),
];
const differs = (what: string): Plan => ({
  refusal: `Pulumi's state and the server still differ after a refresh: ${what}. Something else is changing the server or the stack; wait for it, then try again.`,
});
const stranger = (name: string): Plan => ({
  refusal: `The server has a container ${name} that this stack did not make; remove or rename it there, then deploy again.`,
});
const takeBack = (interrupted = false, ...because: string[]): Plan => ({
  steps: [
    { action: "take back", container: bot },
    ...(because.length > 0 ? [{ action: "refresh", because } as const] : []),
  ],
  then: { planAgain: { interrupted } },
});
/** The bot was replaced, in an update that failed. */
const returned: Partial<State> = {
  containers: [
    { id: "3", resource: "bot-container" },
    { id: "2", resource: "database-container" },
  ],
  replaced: [{ id: "1", resource: "bot-container" }],
};
const forget: Plan = { steps: [{ action: "forget server" }], then: { planAgain: { interrupted: false } } };

/** What is so, and what is planned then. */
type Behaviour = [sentence: string, given: Case, then: Plan];

const groups: Record<string, Behaviour[]> = {
  "a plan where state and server agree": [
    ["is the update alone", {}, update()],
    [
      "is the first update of an empty stack",
      {
        state: { containers: [], volumes: [], image: undefined, hostKey: undefined },
        containers: [],
        hasImage: false,
      },
      update(),
    ],
    ["compares everything where that is wanted", { wanted: { refresh: true } }, update(["--refresh"])],
    [
      "does so too where a container has stopped",
      { containers: [bot, { ...database, status: "exited" }] },
      update(["--refresh"]),
    ],
    [
      "does the rest after a repair as well",
      { repaired: { interrupted: true }, wanted: { refresh: true } },
      update(["--refresh"]),
    ],
    [
      "does not mind that another server is configured while the containers are there",
      { wanted: { hostKey: "new" } },
      update(),
    ],
  ],
  "a plan for the image": [
    ["builds one anew that Pulumi believes to be there", { hasImage: false }, update(["--replace", IMAGE])],
    [
      "leaves that of another commit to Pulumi",
      { hasImage: false, state: { image: { urn: IMAGE, commit: OTHER } } },
      update(),
    ],
    ["leaves the first one to Pulumi", { hasImage: false, state: { image: undefined } }, update()],
    [
      "names both reasons for a look",
      { hasImage: false, wanted: { refresh: true } },
      update(["--refresh", "--replace", IMAGE]),
    ],
  ],
  "a plan for data volumes": [
    [
      "lets go of each one but the wanted",
      {
        wanted: { volume: "v17" },
        state: {
          volumes: [
            ...state.volumes,
            { urn: "urn:v15", resource: "database-data-v15", volume: "v15", isProtected: true },
            { urn: "urn:v17", resource: "database-data-v17", volume: "v17", isProtected: true },
          ],
        },
      },
      update(
        [],
        { action: "unprotect", urn: "urn:v13", resource: "database-data" },
        { action: "unprotect", urn: "urn:v15", resource: "database-data-v15" },
      ),
    ],
    [
      "has nothing to do for one that was let go of before",
      {
        wanted: { volume: "v17" },
        state: {
          volumes: [{ urn: "urn:v13", resource: "database-data", volume: "v13", isProtected: false }],
        },
      },
      update(),
    ],
    [
      "lets go of them before requests are held",
      {
        wanted: { volume: "v17" },
        state: { containers: [{ id: "1", resource: "bot-container" }] },
        repaired: { interrupted: true },
      },
      update([], { action: "unprotect", urn: "urn:v13", resource: "database-data" }, ...remove(database)),
    ],
  ],
  "a plan after an update that was killed": [
    [
      "refreshes, and is made anew",
      { state: { pending: [interruptedAt] } },
      refresh(true, "creating bot-container was begun and not finished"),
    ],
    [
      "names everything that differs",
      { state: { pending: [interruptedAt] }, containers: [{ ...bot, id: "3" }, database] },
      refresh(
        true,
        "creating bot-container was begun and not finished",
        "bot-container is gone from the server",
        "the container training_bot is left over",
      ),
    ],
    [
      "then removes what that update was making, whatever its label, but for the bot, whose swap does that",
      { repaired: { interrupted: true }, state: { containers: [] } },
      update([], ...remove(database)),
    ],
    [
      "does not compare everything because of a stopped container that is removed",
      {
        repaired: { interrupted: true },
        state: { containers: [{ id: "1", resource: "bot-container" }] },
        containers: [bot, { ...database, status: "created" }],
      },
      update([], ...remove({ ...database, status: "created" })),
    ],
    [
      "refuses a state that shows it even after the refresh",
      { repaired: { interrupted: true }, state: { pending: [interruptedAt] } },
      differs("creating bot-container was begun and not finished"),
    ],
  ],
  "a plan after something was removed by hand": [
    [
      "refreshes, and is made anew",
      { containers: [database] },
      refresh(false, "bot-container is gone from the server"),
    ],
    [
      "refreshes also where every container is gone from the same server",
      { containers: [] },
      refresh(false, "bot-container is gone from the server", "database-container is gone from the server"),
    ],
    [
      "refuses where it is gone from a refreshed state",
      { containers: [database], repaired: { interrupted: false } },
      differs("bot-container is gone from the server"),
    ],
    [
      "refuses with all that differs",
      { state: { pending: [interruptedAt] }, containers: [database], repaired: { interrupted: false } },
      differs("creating bot-container was begun and not finished; bot-container is gone from the server"),
    ],
  ],
  "a plan with a container that the state does not know": [
    [
      "refreshes, and is made anew",
      { state: { containers: [{ id: "2", resource: "database-container" }] } },
      refresh(false, "the container training_bot is left over"),
    ],
    [
      "then leaves a bot, which its label tells, to the swap",
      {
        state: { containers: [{ id: "2", resource: "database-container" }] },
        repaired: { interrupted: false },
      },
      update(),
    ],
    [
      "leaves a bot to the swap where the stack has made no container yet",
      { state: { containers: [] }, containers: [bot] },
      update(),
    ],
    [
      "holds requests and removes what carries a commit and has another name than the bot",
      {
        state: { containers: [{ id: "1", resource: "bot-container" }] },
        containers: [bot, { ...database, commit: COMMIT }],
        repaired: { interrupted: false },
      },
      update([], ...remove({ ...database, commit: COMMIT })),
    ],
    [
      "refuses to touch what this stack did not make",
      { state: { containers: [{ id: "1", resource: "bot-container" }] }, repaired: { interrupted: false } },
      stranger("training_bot_db"),
    ],
    [
      "refuses that where the stack has made no container yet",
      { state: { containers: [] } },
      stranger("training_bot_db"),
    ],
    [
      "refuses before anything is let go of or removed",
      { state: { containers: [] }, wanted: { volume: "v17" } },
      stranger("training_bot_db"),
    ],
  ],
  "a plan after the server has put a bot back by itself": [
    ["has the state follow, and is made anew", { state: returned, containers: [bot, database] }, takeBack()],
    [
      "has the state refreshed too where the update was killed",
      { state: { ...returned, pending: [interruptedAt] }, containers: [bot, database] },
      takeBack(true, "creating bot-container was begun and not finished"),
    ],
    [
      "has the state refreshed too where something else is gone or left over",
      { state: returned, containers: [bot, { ...database, id: "9" }] },
      takeBack(
        false,
        "database-container is gone from the server",
        "the container training_bot_db is left over",
      ),
    ],
    [
      "is none of these where the successor runs",
      { state: returned, containers: [{ ...bot, id: "3" }, database] },
      update(),
    ],
    [
      "refuses where the state did not follow",
      { state: returned, containers: [bot, database], repaired: { interrupted: false } },
      differs("bot-container is gone from the server"),
    ],
  ],
  "a plan for another server": [
    ["forgets the old one, and is made anew", { wanted: { hostKey: "new" }, containers: [] }, forget],
    [
      "forgets also what was under way on the old one",
      { wanted: { hostKey: "new" }, containers: [], state: { pending: [interruptedAt] } },
      forget,
    ],
    [
      "is no such plan while a container is still there",
      { wanted: { hostKey: "new" }, containers: [database] },
      refresh(false, "bot-container is gone from the server"),
    ],
    [
      "is no such plan where the state does not tell which server it was",
      { state: { hostKey: undefined, containers: [{ id: "1", resource: "bot-container" }] }, containers: [] },
      refresh(false, "bot-container is gone from the server"),
    ],
    [
      "is no such plan for a stack without containers",
      { wanted: { hostKey: "new" }, state: { containers: [] }, containers: [] },
      update(),
    ],
    [
      "refuses where the state was changed and still describes the old one",
      {
        wanted: { hostKey: "new" },
        state: { containers: [{ id: "1", resource: "bot-container" }] },
        containers: [],
        repaired: { interrupted: false },
      },
      differs("bot-container is gone from the server"),
    ],
    [
      "refuses a container that is in the way on the new one",
      {
        state: { containers: [], volumes: [], hostKey: undefined },
        containers: [database],
        repaired: { interrupted: false },
      },
      stranger("training_bot_db"),
    ],
  ],
};

for (const [group, behaviours] of Object.entries(groups)) {
  describe(group, () => {
    for (const [sentence, given, then] of behaviours) {
      it(sentence, () => {
        assert.deepEqual(planned(given), then);
      });
    }
  });
}
