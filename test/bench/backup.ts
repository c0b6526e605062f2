import { cpus, loadavg } from "node:os";
import type { Bench } from "./bench.ts";
import { since } from "./measure.ts";
import { delivery, deployment } from "./ours.ts";
import { must } from "./perform.ts";
import type { Backup } from "./results.ts";
import { summarize, tidy } from "./statistics.ts";

/** Releases of a new commit each, with a backup before them and without one in turn. */
export async function measureBackup(bench: Bench, count: number): Promise<Backup> {
  const timed = async (...options: string[]) => {
    const { commit } = await bench.commit(`Backup ${options.join(" ")} ${Date.now()}`);
    const began = Date.now();
    await must(delivery(bench, "deploy", commit, ...options));
    return since(began);
  };
  // The first release has nothing to back up.
  await must(deployment(bench, (await bench.commit("Before")).commit));
  const rounds: Backup["rounds"] = [];
  while (rounds.length < count) {
    const [load = 0] = loadavg();
    rounds.push(tidy({ load, withBackup: await timed(), without: await timed("--no-backup") }));
    console.log(`  backup: ${JSON.stringify(rounds.at(-1))}`);
  }
  const { withBackup, without } = summarize(rounds);
  const processor = cpus()[0]?.model ?? "unknown";
  return { withBackup, without, processor, measured: new Date().toISOString(), rounds };
}
