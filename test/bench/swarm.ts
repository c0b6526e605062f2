import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Bench, ENV_FILE } from "./bench.ts";
import { parking } from "./containers.ts";
import type { Flow } from "./flow.ts";
import { must } from "./perform.ts";

/** `docker service update` in a Swarm of one node, with Caddy in front. @param order what an update does first */
export function swarmFlow(bench: Bench, order: "start-first" | "stop-first"): Flow {
  const name = `swarm_${order.replace("-first", "")}`;
  const directory = `/home/deploy/${name}`;
  const around = parking(bench, [`${name}_proxy`, `${name}_db`]);
  const scale = (tasks: number) =>
    must(bench.remote(["docker", "service", "scale", "--detach", `${name}_bot=${tasks}`]));
  const call = (commit: string) => bench.script("test/bench/swarm/release.sh", [name, directory, commit]);
  // `scale` does not wait for a bot that stops, and two of them would poll at once.
  const gone = `until [ -z "$(docker ps --quiet --filter name=${name}_bot)" ]; do sleep 0.2; done`;
  return {
    async park() {
      await scale(0);
      await must(bench.remote(["sh", "-c", gone]));
      await around.park();
    },
    async unpark() {
      await around.unpark();
      await scale(1);
    },
    async setUp(commit) {
      const caddyfile = await readFile(join(import.meta.dirname, "swarm", "Caddyfile"), "utf8");
      const where = [name, order, directory, bench.repository.pathOnServer, commit, ENV_FILE, caddyfile];
      await must(bench.script("test/bench/swarm/set-up.sh", where));
    },
    release: call,
    goBack: call,
    restart: () => bench.remote(["docker", "service", "update", "--quiet", "--force", `${name}_bot`]),
  };
}
