import { refuseClaim } from "../../infra/model/claim.ts";
import { dockerNames, excludesGitHub, fullName } from "../../infra/model/names.ts";
import { checkCall } from "../../infra/model/server-check.ts";
import type { Server } from "../server.ts";
import { parseStack, projectName, type Stack } from "../stack.ts";
import { type Inventory, parseInventory } from "./inventory.ts";
import { type Plan, plan, type Repaired, type Wanted } from "./plan.ts";
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
  /** Whether everything may be made anew on a server that has nothing of the stack; else the operator is asked. */
  newServer?: boolean;
  /** Asked while the update has the lock: why it is not what is wanted any more, if so. */
  objection?: () => Promise<string | undefined>;
  /** Docker's id of the commit's image, where it is built beside the start of the update. */
  image?: Promise<string | undefined>;
  /** A backup that must be there before the old bot stops. */
  backup?: Promise<unknown>;
}

/** A plan, whether the update goes ahead with it, and whether it then replaces the bot for certain. */
type Decided = Plan & { goesAhead: boolean; isRelease: boolean };

/** Begins an update that goes ahead only where nothing has to be done before it. */
export async function attempt(
  stack: Stack,
  server: Server,
  change: Change,
  {
    flags,
    repaired,
    image,
    backup,
    objection,
    verbose,
    ...heard
  }: ApplyOptions & {
    /** Further arguments of `pulumi up`. */
    flags: string[];
    repaired?: Repaired;
  },
): Promise<{ planned?: Decided; ended: Ended }> {
  const { name, server: settings } = stack.settings;
  const full = fullName(projectName(), stack.name);
  const wanted = { ...change, hostKey: settings.hostKey, bot: dockerNames(name).bot };
  let planned: Decided | undefined;
  let read: Promise<[State, string | undefined]> | undefined;
  let seen: Promise<string | undefined> | undefined;
  const readUnderLock = () => Promise.all([readState(stack), objection?.()]);
  const talk: Talk = {
    ...heard,
    onLocked() {
      seen = look(stack, server, change).catch(() => undefined);
      read = readUnderLock();
      // A failure is reported where it is awaited.
      read.catch(() => undefined);
      heard.onLocked?.();
    },
    onAsked: async () => seen,
    async onReport(report) {
      try {
        heard.onStage?.("looked");
        const inventory = parseInventory(report);
        const imageId = await image;
        await backup;
        const known = { ...inventory, hasImage: inventory.hasImage || imageId !== undefined };
        const [state, refusal] = await (read ?? readUnderLock());
        const objected = refusal ?? refuseClaim(inventory.claim, state.id, full, settings);
        const decided =
          objected === undefined
            ? plan({ state, inventory: known, wanted, repaired })
            : { refusal: objected };
        heard.onStage?.("planned");
        const isAhead = goesAhead(decided, flags);
        const isRelease = isAhead && flags.length === 0 && replacesBot(inventory, wanted);
        planned = { ...decided, goesAhead: isAhead, isRelease };
        return isAhead ? { imageId, isRelease } : { stop: STOPPED };
      } catch (error) {
        planned = { refusal: (error as Error).message, goesAhead: false, isRelease: false };
        return { stop: STOPPED };
      }
    },
  };
  const ended = await update(stack, change, { flags, talk, verbose });
  // A swap that has begun and was not carried on would hold requests until the server gives it up by itself.
  if (planned?.isRelease && !ended.succeeded) await abandonSwap(server);
  return { planned, ended };
}

/** Whether an update has to replace the bot, as another commit runs, and is not told to leave it alone. */
const replacesBot = ({ containers }: Inventory, { bot, commit }: Wanted) =>
  process.env.PULUMI_OPTION_TARGET === undefined &&
  containers.some((container) => container.name === bot && container.commit !== commit);

/** Has the server put the old bot back at once, where the new one was never made. */
async function abandonSwap(server: Server): Promise<void> {
  await server.script("swap-bot.sh", {}, { words: ["abandon"] }).catch(() => undefined);
}

/**
 * What the server reports, asked while the program is loaded. Undefined where it cannot be asked from here: the program,
 * which has the newest key, asks it then.
 */
async function look(stack: Stack, server: Server, { file, commit }: Change): Promise<string | undefined> {
  const { settings } = parseStack(stack.name, stack.file, file);
  const { words, input } = checkCall(
    fullName(projectName(), stack.name),
    { ...settings, commit },
    { withGitHub: !excludesGitHub() },
  );
  const { status, stdout } = await server.command(words, { input });
  return status === 0 ? stdout : undefined;
}

/** Why an update ends that would have needed something to be done before it. */
const STOPPED =
  "Something has to be put right first; ./delivery does that and begins anew. Nothing was changed.";

const goesAhead = (decided: Plan, flags: string[]) =>
  "then" in decided &&
  decided.steps.length === 0 &&
  "update" in decided.then &&
  decided.then.update.flags.every((flag) => flags.includes(flag));
