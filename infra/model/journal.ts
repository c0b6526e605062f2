/** Stages that a restore, an upgrade and the exchange of the bot's role write to their journals, in the order in which they come. */
export const RESTORE_STAGES = ["loading", "checking", "holding", "stopping", "swapping", "starting"] as const;
export const UPGRADE_STAGES = ["trying", "holding", "stopping", "moving", "switching"] as const;
export const DEMOTION_STAGES = ["holding", "stopping", "demoting"] as const;

/** The stage of an upgrade in which Pulumi replaces the containers. */
export const SWITCHING_STAGE = "switching" satisfies (typeof UPGRADE_STAGES)[number];

/** Stages in which the bot must not be started: it would write to the database that is being left. */
export const STANDSTILL_STAGES = [
  ...new Set(
    [RESTORE_STAGES, UPGRADE_STAGES].flatMap((stages: readonly string[]) =>
      stages.slice(stages.indexOf("holding")),
    ),
  ),
];
