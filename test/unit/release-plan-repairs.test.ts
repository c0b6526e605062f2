import {
  bot,
  COMMIT,
  database,
  describePlans,
  differs,
  forget,
  interruptedAt,
  refresh,
  remove,
  returned,
  stranger,
  takeBack,
  update,
} from "./release-plan-driver.ts";

describePlans({
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
      "forgets it also where it has kept its host key, and the stack's claim is gone with all else",
      { containers: [], state: { hasClaimed: true } },
      forget,
    ],
    [
      "forgets it where nothing but the data volume was left there",
      { wanted: { hostKey: "new" }, containers: [], state: { containers: [] } },
      forget,
    ],
    [
      "is no such plan where the stack has claimed the server: its containers were removed, or its host key was replaced",
      { wanted: { hostKey: "new" }, containers: [], claim: "id", state: { hasClaimed: true } },
      refresh(false, "bot-container is gone from the server", "database-container is gone from the server"),
    ],
    [
      "is no such plan before a first update, whatever the server",
      {
        wanted: { hostKey: "new" },
        containers: [],
        hasImage: false,
        state: { containers: [], volumes: [], image: undefined, hasClaimed: true },
      },
      update(),
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
});
