import type { Bench } from "./bench.ts";
import { must } from "./perform.ts";

/** Stops and starts containers of the server, which are named in the order in which they stop. */
export function parking(bench: Bench, containers: string[]) {
  return {
    park: () => must(bench.remote(["docker", "stop", ...containers])),
    unpark: () => must(bench.remote(["docker", "start", ...[...containers].reverse()])),
  };
}
