import { COMPONENTS, dockerNames, PARTS, RESOURCES, TYPES } from "../../infra/model/names.ts";
import { parsePlainConfig } from "../../infra/model/schema.ts";
import { sshOptions } from "../../infra/model/ssh.ts";
import type { Report } from "../../operator/health/look.ts";
import type { FakeProject } from "./fake-tools.ts";
import { rawConfig } from "./fixtures.ts";

/** What Pulumi and a server say of the stack of `rawConfig`, where a release runs and everything is healthy. */

/** The release that runs, and the one that is to come. */
export const [OLD, NEW] = ["a1".repeat(20), "b2".repeat(20)] as const;

const { name, server } = parsePlainConfig(rawConfig());
export const DOCKER = dockerNames(name);

export const urn = (type: string, resource: string) => `urn:pulumi:test::hockey::${type}::${resource}`;

/** The state; `changes` replace its pending operations or its resources. */
export function exported(
  changes: {
    pending?: [type: string, urn: string][];
    hostKey?: string;
    /** The id of a container that has taken the bot's place in an update that failed. */
    replacedBot?: string;
    /** The id of a container that the state does not have. */
    without?: string;
    unprotected?: boolean;
  } = {},
): string {
  const { pending = [], hostKey = server.hostKey, replacedBot, without, unprotected = false } = changes;
  const resource = (type: string, resource: string, rest: object = {}) => ({
    ...{ urn: urn(type, resource), type },
    ...rest,
  });
  return JSON.stringify({
    version: 3,
    deployment: {
      pending_operations: pending.map(([type, of]) => ({ type, resource: { urn: of } })),
      resources: [
        resource("pulumi:pulumi:Stack", "hockey-test"),
        resource("github:index/actionsSecret:ActionsSecret", "github-SSH_HOST"),
        resource(TYPES.dockerProvider, "server-docker", {
          inputs: {
            host: "ssh://deploy@old.example.org:2222",
            sshOpts: JSON.stringify(sshOptions({ ...server, hostKey }, "test", false)),
          },
        }),
        resource(TYPES.stash, RESOURCES.id, { id: "id-stack" }),
        resource(TYPES.command, RESOURCES.claim),
        resource(TYPES.command, RESOURCES.image),
        resource(COMPONENTS.image, PARTS.image, { outputs: { commit: OLD } }),
        resource(TYPES.volume, RESOURCES.data, { inputs: { name: DOCKER.data }, protect: !unprotected }),
        resource(TYPES.container, "bot-container", { id: replacedBot ?? "id-bot" }),
        resource(TYPES.container, "database-container", { id: "id-database" }),
        resource(TYPES.container, "proxy-container", { id: "id-proxy" }),
        ...(replacedBot === undefined
          ? []
          : [resource(TYPES.container, "bot-container", { id: "id-bot", delete: true })]),
      ].filter((resource) => !("id" in resource && resource.id === without)),
    },
  });
}

/** OLD's entry in the history. */
export const LIVE = [OLD, "succeeded", { repository: "/old" }] as const satisfies HistoryEntry;

/** What is on the server, as check-server.sh prints it. */
export function listed({ commit = OLD, without = [] as string[], more = [] as string[] } = {}): string {
  const containers = [
    `container=${DOCKER.bot} id-bot running ${commit}`,
    `container=${DOCKER.database} id-database running -`,
    `container=${DOCKER.proxy} id-proxy running -`,
  ];
  return [
    "image=sha256:1",
    "claim=id-stack",
    ...containers.filter((line) => !without.some((id) => line.includes(id))),
    ...more,
  ].join("\n");
}

type HistoryEntry = readonly [commit: string, result: string, app?: object];

/** The history, newest first, as Pulumi prints it. */
export function history(...updates: HistoryEntry[]): string {
  // An update keeps its time when others come after it.
  const day = (index: number) => 18 + updates.length - index;
  return JSON.stringify(
    updates.map(([commit, result, app], index) => ({
      ...{ kind: "update", result, message: `deploy ${commit.slice(0, 7)}, by ann` },
      startTime: new Date(Date.UTC(2026, 0, day(index))).toISOString(),
      endTime: new Date(Date.UTC(2026, 0, day(index), 0, 0, 9)).toISOString(),
      config: {
        "hockey:commit": { value: commit, secret: false },
        "hockey:secretKey": { secret: true },
        ...(app && { "hockey:app": { value: "{}", objectValue: app, secret: false } }),
      },
    })),
  );
}

/** The verdicts of a healthy server, by their checks. */
const WELL: Record<string, [container: string, text: string]> = {
  docker: ["-", "answers"],
  [DOCKER.bot]: [DOCKER.bot, "runs, healthy"],
  [DOCKER.database]: [DOCKER.database, "runs, healthy"],
  [DOCKER.proxy]: [DOCKER.proxy, "runs, healthy"],
  page: [DOCKER.proxy, "200 through the proxy"],
  database: [DOCKER.database, "accepts connections"],
};

/** What check-health.sh prints without its report. @param changes lines of other checks, and in the place of some of these */
export function verdicts(changes: Record<string, string> = {}): string {
  const well = Object.entries(WELL).map(([check, [container, text]]) => [
    check,
    `ok\t${check}\t${container}\t${text}`,
  ]);
  const lines = { ...(Object.fromEntries(well) as Record<string, string>), ...changes };
  return Object.values(lines)
    .map((line) => `${line}\n`)
    .join("");
}

/** The database's verdict while that is down. */
export const BROKEN = {
  database: `critical\tdatabase\t${DOCKER.database}\tdoes not accept connections`,
};

/** What check-health.sh prints with its report. */
export function report(changes: Partial<Report> = {}): string {
  const now = Date.now();
  const backup = { file: "hockey_db.sql.gz", time: new Date(now).toISOString(), bytes: 2048, verified: true };
  const whole: Report = {
    clock: now / 1000,
    timeZone: "UTC",
    containers: [DOCKER.bot, DOCKER.database, DOCKER.proxy].map((container) => ({
      ...{ name: container, status: "running", health: "healthy", restarts: 0 },
      ...{ started: "2026-01-01T00:00:00Z", created: "2026-01-01T00:00:00Z", commit: OLD },
    })),
    memory: { [DOCKER.bot]: "35MiB / 512MiB" },
    ...{ databaseReady: true, gateClosed: false, healthMilliseconds: 9 },
    disk: { size: 100 * 1024 ** 3, free: 50 * 1024 ** 3 },
    ...{ load: "0 0 0", backup, verifiedBackup: backup },
  };
  return verdicts() + JSON.stringify({ ...whole, ...changes });
}

/** Answers for a release that succeeds: OLD runs, NEW is what the repository has and what the history then begins with. */
export function answerRelease(project: FakeProject): FakeProject {
  return project
    .answer("ssh find-commit.sh", { stdout: `${NEW}\n` })
    .answer("ssh build-image.sh", { stdout: "sha256:1\n" })
    .answer("ssh backup-db.sh", {})
    .answer("ssh check-server.sh", { stdout: listed() })
    .answer("ssh await-healthy.sh", {})
    .answer("pulumi stack export", { stdout: exported() })
    .answer("pulumi stack history", { stdout: history([NEW, "succeeded"], LIVE) })
    .answer("pulumi up", { update: {} });
}
