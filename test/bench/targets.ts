import { type Change, FAULTS, type Fault, type Results } from "./results.ts";
import { median, rounded } from "./statistics.ts";

interface Verdict {
  target: string;
  is: string;
  /** Undefined where the figures are missing. */
  met: boolean | undefined;
}

/** Seconds that a change may take beyond `docker run` by hand, which is the least that a swap costs. */
const BEYOND_FLOOR = { release: 2.5, built: 1.7, held: 0.7, restart: 1 };
/** Seconds, each from the start of a command. */
const LIMITS = { rollback: 3, up: 1.5, preview: 1.8, again: 2.5 };
/** Seconds until the good commit is back after a release that does not work, and for which a request may wait. */
const BROKEN: Record<Fault, number> = { crash: 5, late: 5, sick: 12, silent: 20 };
/** How much longer an update may take with 20 bots on the server. */
const GROWTH = 1.3;
const MOST_BOTS = 20;
/** Share of a core that all health checks of a bot may use, in percent. */
const HEALTH_SHARE = 0.5;
/** Share of the time from push to live that it took before. */
const PUSH_SHARE = 0.8;

/** The targets of this project, each with its result. The figures are medians, or those of the worst round for the zeros. */
export function judge(results: Results): Verdict[] {
  const { ours, oursBuilt, floor } = results.sample;
  const least = floor?.release.answers;
  const beyond = (target: string, seconds: number | undefined, more: number) =>
    atMost(`${target}: at most ${more} s more than \`docker run\` by hand`, seconds, least && least + more);
  const longest = median((ours?.rounds ?? []).map(({ release }) => release.slowest));
  return [
    ...zeros(results),
    beyond("A new commit answers", ours?.release.answers, BEYOND_FLOOR.release),
    beyond("The same, its image built before", oursBuilt?.release.answers, BEYOND_FLOOR.built),
    beyond("The longest wait of a request in a release", ours && longest, BEYOND_FLOOR.held),
    beyond("A restart", ours?.restart?.answers, BEYOND_FLOOR.restart),
    within("A rollback answers", ours?.rollback.answers, LIMITS.rollback),
    within("`pulumi up` with nothing to do", ours?.nothing.up, LIMITS.up),
    within("`pulumi preview`", ours?.nothing.preview, LIMITS.preview),
    within("`./delivery deploy` again, nothing new", ours?.nothing.again, LIMITS.again),
    ...FAULTS.map((fault) => comesBack(results, fault)),
    grows(results),
    costs(results),
    livesSooner(results),
  ];
}

const s = (seconds: number) => `${rounded(seconds)} s`;

function atMost(target: string, is: number | undefined, limit: number | undefined): Verdict {
  return {
    target,
    is: is === undefined ? "?" : s(is) + (limit === undefined ? "" : ` of ${s(limit)}`),
    met: is === undefined || limit === undefined ? undefined : is <= limit,
  };
}

const within = (target: string, is: number | undefined, limit: number) =>
  atMost(`${target}: at most ${s(limit)}`, is, limit);

/** What never happens, with either bot. */
function zeros({ sample, heavy }: Results): Verdict[] {
  const all = [sample, heavy].flatMap(({ ours, oursBuilt }) => [ours ?? [], oursBuilt ?? []].flat());
  const changes = all.flatMap(({ release, rollback, restart }) => [release, rollback, restart ?? []].flat());
  const total = (...keys: (keyof Change)[]) =>
    changes.reduce((sum, change) => sum + keys.reduce((all, key) => all + (change[key] ?? 0), 0), 0);
  const zero = (target: string, count: number, of: number): Verdict => ({
    target,
    is: `${count} of ${of}`,
    met: changes.length === 0 ? undefined : count === 0,
  });
  return [
    zero(
      "No request fails in a release, a rollback or a restart, of either bot",
      ...([total("failed"), total("requests")] as const),
    ),
    zero("Two bots never poll Telegram at once", total("overlaps"), changes.length),
    zero("No message is lost or answered twice", total("lost", "doubled"), total("messages")),
  ];
}

/** What visitors notice of a release that does not work: for how long it is the release that answers, or none. */
function comesBack({ sampleBroken }: Results, fault: Fault): Verdict {
  const names = {
    ...{ crash: "that crashes at import", late: "that crashes after 3 s" },
    ...{ sick: "whose /health answers 500", silent: "that never listens" },
  };
  const one = sampleBroken.ours?.[fault];
  const waits = median((one?.rounds ?? []).map(({ slowest }) => slowest));
  // One that works for a while comes back that much later, and only the wait counts.
  const is = one && (fault === "late" ? waits : Math.max(waits, one.goodAgain ?? Infinity));
  return within(`A release ${names[fault]}: the longest wait, and good again`, is, BROKEN[fault]);
}

function grows({ growth }: Results): Verdict {
  const of = (count: number) => growth.find(({ bots }) => bots === count)?.nothingOne;
  const [one, many] = [of(1), of(MOST_BOTS)];
  return atMost(
    `${MOST_BOTS} bots on one server, nothing to do for one: at most ${GROWTH} times what it takes with one bot`,
    many,
    one && one * GROWTH,
  );
}

function costs({ idle }: Results): Verdict {
  const share = idle && idle.on - idle.off;
  return {
    target: `All health checks of a bot use at most ${HEALTH_SHARE} % of a core`,
    is: share === undefined ? "?" : `${share.toFixed(2)} %`,
    met: share === undefined ? undefined : share <= HEALTH_SHARE,
  };
}

function livesSooner({ push }: Results): Verdict {
  return atMost(
    `From a push to live with GitHub's workflows, a bot of real weight: at most ${PUSH_SHARE} times what it took before`,
    push?.ours,
    push && push.seed * PUSH_SHARE,
  );
}
