import { type Bench, ENV_FILE } from "./bench.ts";
import { parking } from "./containers.ts";
import type { Flow } from "./flow.ts";
import { must } from "./perform.ts";

/** `docker run` by hand with an image that exists already: the lower bound for every flow. */
export function floorFlow(bench: Bench): Flow {
  const call = (commit: string) => bench.script("test/bench/floor.sh", [`floor:${commit}`, ENV_FILE]);
  const build = (commit: string) => bench.build("floor", "floor", commit);
  return {
    ...parking(bench, ["floor_bot", "floor_db"]),
    async setUp(commit) {
      await must(bench.remote(["mkdir", "-p", "/home/deploy/floor"]));
      await must(bench.remote(["docker", "network", "create", "floor"]));
      const database = ["--name", "floor_db", "--network", "floor", "--env-file", ENV_FILE, "postgres:13"];
      await must(bench.remote(["docker", "run", "--detach", ...database]));
      await build(commit);
      await must(call(commit));
    },
    prepare: build,
    release: call,
    goBack: call,
    restart: () => bench.remote(["docker", "restart", "floor_bot"]),
  };
}
