import type { FlowName } from "./results.ts";

/** What a reader calls the flows. */
export const NAMES: Record<FlowName, string> = {
  seed: "as it was: down, build, up",
  compose: "docker-compose, with cache",
  ansible: "Ansible",
  ours: "this project",
  floor: "docker run by hand",
};
