import { loadavg } from "node:os";
import type { Ended } from "../e2e/act.ts";
import { WorkflowDriver } from "../e2e/workflow-driver.ts";
import { equip } from "./bench.ts";
import { composeFlow } from "./compose.ts";
import { since, untilHealthy } from "./measure.ts";
import { oursFlow } from "./ours.ts";
import type { Push } from "./results.ts";
import { median, rounded } from "./statistics.ts";

/** The workflow of before, from where act looks for those of this project. */
const BEFORE = "../../test/bench/push-before.yml";

/** Seconds from a push until the new commit of the heavy bot is live, now and before, in turn. */
export async function measurePush(rounds: number): Promise<Push> {
  const driver = await WorkflowDriver.create("bench", { port: 5000 });
  try {
    const bench = await equip(driver.world, "heavy");
    const { user, host, port } = bench.server;
    const ways = {
      ours: { ...oursFlow(bench, false), push: () => driver.push() },
      seed: {
        ...composeFlow(bench, "seed"),
        push: () =>
          driver.start("push", BEFORE, {
            payload: { ref: "refs/heads/main" },
            variables: {
              ...driver.variables,
              SERVER: `${user}@${host}`,
              PORT: String(port),
              DIRECTORY: "seed",
            },
          }),
      },
    };
    const { title } = await bench.commit("Before");
    // The first images are not measured: their layers come into Docker's cache.
    mustBeGreen(await ways.ours.push());
    await untilHealthy(bench, title);
    await ways.ours.park();
    await ways.seed.setUp(title);
    await ways.seed.park();
    const measured: Push["rounds"] = [];
    while (measured.length < rounds) {
      const [load = 0] = loadavg();
      const live = async (name: keyof typeof ways) => {
        const way = ways[name];
        await way.unpark();
        const { title: wanted } = await bench.commit(`Push ${measured.length + 1} of ${name}`);
        const began = Date.now();
        const ended = way.push().then(mustBeGreen);
        await untilHealthy(bench, wanted, ended);
        const seconds = since(began);
        await ended;
        await way.park();
        return seconds;
      };
      measured.push({
        load: rounded(load),
        ours: rounded(await live("ours")),
        seed: rounded(await live("seed")),
      });
      console.log(`  push: ${JSON.stringify(measured.at(-1))}`);
    }
    const middle = (name: keyof typeof ways) => median(measured.map((round) => round[name]));
    return {
      ours: middle("ours"),
      seed: middle("seed"),
      measured: new Date().toISOString(),
      rounds: measured,
    };
  } finally {
    await driver.close();
  }
}

function mustBeGreen({ isGreen, log }: Ended): void {
  if (!isGreen) throw new Error(`the workflow failed:\n${log}`);
}
