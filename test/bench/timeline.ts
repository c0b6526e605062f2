import type { Visit } from "../e2e/load.ts";
import type { Timeline } from "./results.ts";

/** What is kept of all requests of a release, for the picture. @param visits their starts count from the command on */
export function timeline(visits: Visit[], answers: number, ends: number): Timeline {
  const sorted = [...visits].sort((a, b) => a.at - b.at);
  return {
    ...{ answers, ends },
    at: sorted.map(({ at }) => at),
    took: sorted.map(({ milliseconds }) => milliseconds),
    failed: sorted.flatMap(({ fault }, index) => (fault === undefined ? [] : [index])),
  };
}
