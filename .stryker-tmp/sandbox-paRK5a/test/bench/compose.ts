// @ts-nocheck
import type { Bench } from "./bench.ts";
import type { Flow } from "./flow.ts";

/** docker-compose on the server, in a clone of the repository, called by test/bench/NAME.sh. */
export function composeFlow(bench: Bench, name: "seed" | "compose"): Flow {
  const directory = `/home/deploy/${name}`;
  const call = async (...commit: string[]) => {
    await bench.ssh(`test/bench/${name}.sh`, [directory, ...commit]);
    return {};
  };
  return {
    containers: [`${name}_bot_1`, `${name}_db_1`],
    async setUp() {
      await bench.onServer(
        ...["runuser", "-u", "deploy", "--"],
        ...["git", "clone", "--quiet", bench.repository.pathOnServer, directory],
      );
      // The first build is not measured, so it may use the cache.
      await bench.ssh("test/bench/compose.sh", [directory]);
    },
    release: () => call(),
    goBack: (commit) => call(commit),
  };
}
