// @ts-nocheck
import type { FlowName } from "./results.ts";

/** The names of the flows in the report. */
export const NAMES: Record<FlowName, string> = {
  seed: "before: down, build, up",
  compose: "docker-compose, with cache",
  ansible: "Ansible",
  ours: "this project",
  floor: "docker run by hand",
};
