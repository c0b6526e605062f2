import type { Bench } from "./bench.ts";
import type { Flow } from "./flow.ts";
import { must } from "./perform.ts";

/** Docker Compose on the server, in a clone of the repository, called by test/bench/NAME.sh. */
export function composeFlow(bench: Bench, name: "seed" | "compose"): Flow {
  const directory = `/home/deploy/${name}`;
  const call = (...commit: string[]) => bench.script(`test/bench/${name}.sh`, [directory, ...commit]);
  const compose = (...words: string[]) =>
    bench.remote(["docker", "compose", "--project-directory", directory, ...words]);
  return {
    park: () => must(compose("stop")),
    unpark: () => must(compose("start")),
    async setUp() {
      await must(bench.remote(["git", "clone", "--quiet", bench.repository.pathOnServer, directory]));
      // The first build is not measured, so it may use the cache.
      await must(bench.script("test/bench/compose.sh", [directory]));
    },
    release: () => call(),
    goBack: (commit) => call(commit),
    restart: () => compose("restart", "bot"),
  };
}
