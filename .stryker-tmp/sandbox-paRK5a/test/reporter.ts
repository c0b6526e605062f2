// @ts-nocheck
import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import Mocha from "mocha";

const { EVENT_HOOK_END, EVENT_RUN_END, EVENT_TEST_END } = Mocha.Runner.constants;

/** How many of the slowest tests are named. */
const SLOWEST = 10;

interface Timing {
  file: string;
  title: string;
  seconds: number;
}

/**
 * Mocha's own report, then the slowest tests and set-ups and the time that each file took. With DURATIONS=FILE in the
 * environment, every duration is written there as JSON.
 */
export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const timings: Timing[] = [];
    const note = (runnable: Mocha.Runnable) => {
      const file = relative(process.cwd(), runnable.file ?? runnable.parent?.file ?? "");
      timings.push({ file, title: runnable.fullTitle(), seconds: (runnable.duration ?? 0) / 1000 });
    };
    runner.on(EVENT_TEST_END, note);
    runner.on(EVENT_HOOK_END, note);
    runner.once(EVENT_RUN_END, () => {
      report(timings);
    });
  }
}

function report(timings: Timing[]): void {
  const line = (seconds: number, text: string) => `  ${seconds.toFixed(1).padStart(6)} s  ${text}`;
  const slowest = [...timings].sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST);
  console.log(`The ${slowest.length} slowest:`);
  for (const { seconds, title } of slowest) console.log(line(seconds, title));
  const files = Map.groupBy(timings, ({ file }) => file);
  const sums = [...files].map(
    ([file, own]) => [file, own.reduce((sum, each) => sum + each.seconds, 0)] as const,
  );
  if (sums.length > 1) {
    console.log("By file:");
    for (const [file, seconds] of sums.sort(([, a], [, b]) => b - a)) console.log(line(seconds, file));
  }
  const { DURATIONS } = process.env;
  if (DURATIONS) writeFileSync(DURATIONS, JSON.stringify(timings, null, 1));
}
