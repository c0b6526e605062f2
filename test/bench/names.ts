import type { FlowName } from "./results.ts";

/** The names of the flows in the report. */
export const NAMES: Record<FlowName, string> = {
  seed: "before: down, build, up",
  compose: "Docker Compose",
  ansible: "Ansible",
  swarmStart: "Swarm, start-first",
  swarmStop: "Swarm, stop-first",
  ours: "this project",
  oursBuilt: "this project, image there",
  floor: "docker run by hand",
};
