import type { Inventory, ServerContainer } from "./inventory.ts";
import type { State } from "./state.ts";

/** What an update is to lead to. */
export interface Wanted {
  /** The bot's commit. */
  commit: string;
  /** Docker's name of the bot's container. */
  bot: string;
  /** Docker's name of the database's volume. */
  volume: string;
  /** The host key of the server in the configuration. */
  hostKey: string;
  /** Whether Pulumi compares everything on the server first; else only missing, extra and stopped containers count. */
  refresh: boolean;
}

/** What an earlier plan of the same update has done to the state. */
export interface Repaired {
  /** Whether the state showed an update that did not finish: it may have made containers that the state does not know. */
  interrupted: boolean;
}

/** One thing to do before the update. */
export type Step =
  /** Pulumi forgets everything on the server, and touches no server. */
  | { action: "forget server" }
  /** The server has put a container back by itself, and Pulumi's state follows. */
  | { action: "take back"; container: ServerContainer }
  /** Pulumi brings its state in line with the server. */
  | { action: "refresh"; because: string[] }
  /** A data volume may leave the stack; it stays on the server. */
  | { action: "unprotect"; urn: string; resource: string }
  /** The proxy holds requests. */
  | { action: "hold requests" }
  | { action: "remove"; container: ServerContainer };

/** A plan: why there can be no update, or steps and what follows them. */
export type Plan =
  { refusal: string } | { steps: Step[]; then: { update: { flags: string[] } } | { planAgain: Repaired } };

/**
 * Decides how to get from what the state says and what the server has to what is wanted. Pulumi alone fails where an
 * update was killed or a container was removed by hand.
 *
 * A plan that changes the state ends there, and the next one starts from the new state. That happens once at most:
 * with `repaired`, a state that still differs is refused.
 */
export function plan({
  state,
  inventory,
  wanted,
  repaired,
}: {
  state: State;
  inventory: Inventory;
  wanted: Wanted;
  repaired?: Repaired;
}): Plan {
  const { pending, containers, volumes } = state;
  const gone = containers.filter(({ id }) => !inventory.containers.some((present) => present.id === id));
  const isKnown = ({ id }: ServerContainer) => containers.some((known) => known.id === id);
  const leftOver = inventory.containers.filter((container) => !isKnown(container));
  const returned = repaired === undefined ? findReturned(leftOver, state) : undefined;
  const stale = [
    ...pending.map(({ operation, resource }) => `${operation} ${resource} was begun and not finished`),
    ...gone
      .filter(({ resource }) => resource !== returned?.resource)
      .map(({ resource }) => `${resource} is gone from the server`),
  ];

  if (repaired !== undefined && stale.length > 0) {
    return {
      refusal: `Pulumi's state and the server still differ after a refresh: ${stale.join("; ")}. Something else is changing the server or the stack; wait for it, then try again.`,
    };
  }
  const isThere = gone.length < containers.length || inventory.claim !== undefined;
  if (containers.length + volumes.length > 0 && !isThere && isElsewhere(state, wanted)) {
    return { steps: [{ action: "forget server" }], then: { planAgain: { interrupted: false } } };
  }
  // A stack that has no container yet cannot have lost track of one.
  const untracked = containers.length > 0 ? leftOver.filter(({ id }) => id !== returned?.container.id) : [];
  const because = [...stale, ...untracked.map(({ name }) => `the container ${name} is left over`)];
  const repairs: Step[] = [
    ...(returned === undefined ? [] : [{ action: "take back" as const, container: returned.container }]),
    ...(because.length === 0 ? [] : [{ action: "refresh" as const, because }]),
  ];
  if (repaired === undefined && repairs.length > 0) {
    return { steps: repairs, then: { planAgain: { interrupted: pending.length > 0 } } };
  }

  // The bot carries its commit. Another container is the stack's own only if an unfinished update was making it.
  const stranger = leftOver.find(({ commit }) => commit === undefined && !repaired?.interrupted);
  if (stranger !== undefined) {
    return {
      refusal: `The server has a container ${stranger.name} that this stack did not make; remove or rename it there, then deploy again.`,
    };
  }
  // The bot's own swap takes the place of a bot that is left over. What else is left over may be serving: requests wait
  // for the container that the update makes in its place.
  const inTheWay = leftOver.filter(({ name }) => name !== wanted.bot);
  const hold: Step[] = inTheWay.length > 0 ? [{ action: "hold requests" }] : [];
  const removals = inTheWay.map((container): Step => ({ action: "remove", container }));
  // Only Pulumi's own comparison notices that a container has stopped.
  const isStopped = inventory.containers.some(
    (container) => isKnown(container) && container.status !== "running",
  );
  // Pulumi believes an image to be there that was removed on the server.
  const { image } = state;
  const lost = image?.commit === wanted.commit && !inventory.hasImage ? image : undefined;
  const flags = [
    ...(wanted.refresh || isStopped ? ["--refresh"] : []),
    ...(lost === undefined ? [] : ["--replace", lost.urn]),
  ];
  return {
    steps: [...unprotectVolumes(state, wanted), ...hold, ...removals],
    then: { update: { flags } },
  };
}

/** A container that an update has replaced, and that the server has put back in place of its successor. */
function findReturned(leftOver: ServerContainer[], { replaced }: State) {
  for (const { id, resource } of replaced) {
    const container = leftOver.find((present) => present.id === id);
    if (container !== undefined) return { container, resource };
  }
  return undefined;
}

/** Data volumes other than the wanted one leave the stack, whose protection would refuse any change of them. */
export function unprotectVolumes({ volumes }: State, wanted: Pick<Wanted, "volume">): Step[] {
  return volumes
    .filter(({ volume, isProtected }) => isProtected && volume !== wanted.volume)
    .map(({ urn, resource }) => ({ action: "unprotect", urn, resource }));
}

/**
 * Whether the state describes another server than one that has nothing of the stack: by its host key, or since the
 * stack's claim is gone too. A server that was set up anew may have kept its host key.
 */
const isElsewhere = ({ hostKey, hasClaimed }: State, wanted: Wanted) =>
  hasClaimed || (hostKey !== undefined && hostKey !== wanted.hostKey);
