// @ts-nocheck
import { type Bench, ENV_FILE } from "./bench.ts";
import type { Flow } from "./flow.ts";

/** `docker run` by hand with an image that exists already: the lower bound for every flow. */
export function floorFlow(bench: Bench): Flow {
  const call = async (commit: string) => {
    await bench.ssh("test/bench/floor.sh", [`floor:${commit}`, ENV_FILE]);
    return {};
  };
  const build = async (commit: string) => {
    const { pathOnServer } = bench.repository;
    await bench.ssh("scripts/build-image.sh", ["floor", pathOnServer, commit, "/home/deploy/floor", "ssh"]);
  };
  return {
    containers: ["floor_bot", "floor_db"],
    async setUp(commit) {
      await bench.onServer("install", "-d", "-o", "deploy", "/home/deploy/floor");
      await bench.onServer("docker", "network", "create", "floor");
      await bench.onServer(
        ...["docker", "run", "--detach", "--name", "floor_db", "--network", "floor", "--env-file", ENV_FILE],
        "postgres:13",
      );
      await build(commit);
      await call(commit);
    },
    prepare: build,
    release: call,
    goBack: call,
  };
}
