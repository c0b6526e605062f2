import { readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import type { Bench, Commit, Edits } from "./bench.ts";
import type { Flow } from "./flow.ts";
import { figures, forget, loaded, type Probe, sleep, untilHealthy, watch } from "./measure.ts";
import { must, perform } from "./perform.ts";
import type { BrokenRound, Fault } from "./results.ts";
import { lastTrouble } from "./statistics.ts";

const EDITS: Record<Fault, Edits> = {
  crash: { "config.py": (text) => `raise ImportError("the release is broken")\n${text}` },
  late: {
    "main.py": (text) => `import os, threading\nthreading.Timer(3, os._exit, [3]).start()\n${text}`,
  },
  sick: { "web.py": (text) => text.replace("200 if well else 503", "500") },
  silent: {
    "main.py": (text) => text.replace("    pool = database.open_pool", "    threading.Event().wait()\n$&"),
  },
};

/** Seconds that a flow gets after its command has ended, and for which the page must be good without a break. */
const LAST_SECONDS = 20;
const CALM_SECONDS = 3;

/** Releases a commit that does not work, and sees whether the good one comes back by itself; else the operator goes back. */
export async function measureBroken(
  bench: Bench,
  flow: Flow,
  good: Commit,
  fault: Fault,
): Promise<BrokenRound> {
  const [load = 0] = loadavg();
  const before = await sources(bench, fault);
  const { commit } = await bench.commit(`Broken: ${fault}`, EDITS[fault]);
  await flow.prepare?.(commit);
  await forget(bench);
  const { result, seen } = await loaded(bench, async () => {
    const watching = watch(bench, good.title);
    const { status, seconds: ends } = await perform(flow.release(commit), bench.pid);
    await untilCalm(watching.probes, ends);
    await watching.stop();
    const goodAgain = lastTrouble(watching.probes, CALM_SECONDS);
    if (goodAgain === undefined) {
      await must(flow.goBack(good.commit));
      await untilHealthy(bench, good.title);
    }
    return { status, ends, goodAgain };
  });
  await bench.commit(good.title, before);
  return { load, ...result, ...figures(seen) };
}

/** Edits that undo those of a fault. */
async function sources(bench: Bench, fault: Fault): Promise<Edits> {
  const kept: Edits = {};
  for (const file of Object.keys(EDITS[fault])) {
    const text = await readFile(join(bench.repository.directory, file), "utf8");
    kept[file] = () => text;
  }
  return kept;
}

/** A probe that is held delays the next one, so what counts is one that began after all this. */
async function untilCalm(probes: Probe[], ended: number): Promise<void> {
  const after = () => (probes.at(-1)?.at ?? 0) - ended;
  while (
    after() < CALM_SECONDS ||
    (lastTrouble(probes, CALM_SECONDS) === undefined && after() < LAST_SECONDS)
  ) {
    await sleep(200);
  }
}
