/** Stages that a restore and an upgrade write to their journals, in the order in which they come. */
export const RESTORE_STAGES = ["loading", "checking", "holding", "stopping", "swapping", "starting"] as const;
export const UPGRADE_STAGES = ["trying", "holding", "stopping", "moving", "switching"] as const;
