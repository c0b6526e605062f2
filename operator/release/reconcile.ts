import { forgetServer, hasAnotherKey, type State } from "./server-migration.ts";
import { RESOURCES, TYPES } from "../../infra/model/names.ts";
import { OperatorError } from "../command.ts";
import { refuseLock } from "../lock.ts";
import { pulumi } from "../pulumi.ts";
import { lastLine } from "../run.ts";
import type { Server } from "../server.ts";
import type { Stack } from "../stack.ts";

/** What is looked at of an update before it begins. */
export interface Wanted {
  /** The bot's commit, and the database's volume. */
  commit: string;
  volume: string;
  /** Whether to look at everything on the server first; else only at which containers are there and run. */
  refresh: boolean;
}

/**
 * Brings Pulumi's state and the server together where an update was killed, or somebody has removed something by hand;
 * Pulumi alone would trip over it. Gives further arguments for the update.
 */
export async function reconcile(
  stack: Stack,
  server: Server,
  { commit, volume, refresh }: Wanted,
): Promise<string[]> {
  const listing = server.ask("list-containers.sh", { COMMIT: commit });
  const [exported, listed] = await Promise.all([readState(stack), listing]);
  let state = exported;
  const lines = listed.split("\n").map((line) => line.split(" "));
  const present = lines
    .filter(([what]) => what === "container")
    .map(([, name, id, status, revision]) => ({ name, id, status, revision }));
  const known = () => containersOf(state).map(({ id }) => id);
  const unknown = () => present.filter(({ id }) => !known().includes(id));
  const pending = state.deployment.pending_operations ?? [];
  const gone = containersOf(state).filter(({ id }) => !present.some((container) => container.id === id));

  if (
    gone.length > 0 &&
    gone.length === known().length &&
    hasAnotherKey(state, stack.settings.server.hostKey)
  ) {
    console.log(
      "This is another server than that of the last update, and nothing of the stack is on it: everything is made anew here. What is on the old one stays there.",
    );
    await forgetServer(stack, state);
    return [];
  }
  if (pending.length > 0 || gone.length > 0 || (unknown().length > 0 && known().length > 0)) {
    const what = [
      ...pending.map(({ type, resource }) => `an earlier update ended while ${type} ${nameOf(resource.urn)}`),
      ...gone.map(({ urn }) => `${nameOf(urn)} is gone from the server`),
      ...unknown().map(({ name = "" }) => `the container ${name} is left over`),
    ];
    console.log(`Pulumi's state and the server differ: ${what.join("; ")}. Bringing them together.`);
    // Takes the lock: whatever looks left over is no other update's work in progress.
    const command = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates"];
    const { status, stdout, stderr } = await pulumi(stack, command);
    refuseLock(stderr);
    if (status !== 0)
      throw new OperatorError(`The state could not be refreshed: ${lastLine(stderr || stdout)}`);
    state = await readState(stack);
  }
  await giveUpVolumes(stack, state, volume);
  // Only what this stack made: the bot carries its label, others were being created when an update was killed.
  const stranger = unknown().find(({ revision }) => revision === "-" && pending.length === 0);
  if (stranger !== undefined) {
    throw new OperatorError(
      `The server has a container ${stranger.name ?? ""} that this stack did not make; remove or rename it there, then deploy again.`,
    );
  }
  if (unknown().length > 0) {
    // They may be at work: requests wait for those that the update makes in their place.
    await server.script("hold-requests.sh", {});
  }
  for (const { id = "" } of unknown()) {
    await server.command(["docker", "stop", id]);
    await server.command(["docker", "rm", "--force", id]);
  }
  // An image that Pulumi believes to be there and that somebody has removed must be built again.
  const built = state.deployment.resources?.find(
    ({ urn, inputs }) => nameOf(urn) === RESOURCES.image && String(inputs?.create).includes(commit),
  );
  const image = lines.some(([what]) => what === "image");
  // What was stopped by hand is mended too, which takes Pulumi's own look at the server.
  const stopped = present.some(({ status }) => status !== "running");
  return [
    ...(refresh || stopped ? ["--refresh"] : []),
    ...(built !== undefined && !image ? ["--replace", built.urn] : []),
  ];
}

/**
 * Lets go of data volumes other than the one that is wanted: they leave the stack, whose protection would keep it from
 * any change, and stay on the server (`retainOnDelete`).
 */
export async function giveUpVolumes(stack: Stack, { deployment }: State, wanted: string): Promise<void> {
  for (const { urn, type, protect, inputs } of deployment.resources ?? []) {
    const isOther =
      type === TYPES.volume && nameOf(urn).startsWith(RESOURCES.data) && inputs?.name !== wanted;
    if (!isOther || !protect) continue;
    const { status, stderr } = await pulumi(stack, ["state", "unprotect", urn, "--yes"]);
    refuseLock(stderr);
    if (status !== 0)
      throw new OperatorError(`The volume ${nameOf(urn)} cannot leave the stack: ${lastLine(stderr)}`);
  }
}

/** The stack's state as Pulumi has it. */
export async function readState(stack: Stack): Promise<State> {
  const { status, stdout, stderr } = await pulumi(stack, ["stack", "export"]);
  if (status !== 0) throw new OperatorError(`The stack's state cannot be read: ${lastLine(stderr)}`);
  return JSON.parse(stdout) as State;
}

const containersOf = ({ deployment }: State) =>
  (deployment.resources ?? []).filter(({ type, id }) => type === TYPES.container && id);
const nameOf = (urn: string) => urn.slice(urn.lastIndexOf("::") + 2);
