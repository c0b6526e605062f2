import { bot, database, describePlans, IMAGE, OTHER, remove, state, update } from "./release-plan-driver.ts";

describePlans({
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
});
