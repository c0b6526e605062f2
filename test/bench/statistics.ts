import type { Probe } from "./measure.ts";

/** The middle value; of an even number the greater of the two, which is a measured value and the less flattering one. */
export function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

export const rounded = (value: number) => Math.round(value * 100) / 100;

/** Figures of one round, and those of its parts. */
export interface Figures {
  [name: string]: number | undefined | Figures;
}

/** The worst round counts for these, the median for everything else: a median would hide a failed request. */
const WORST = ["requests", "failed", "slowest", "overlaps", "messages", "lost", "doubled"];

/** One round of several: each figure by itself, those of parts too. A figure that some rounds lack is that of the others. */
export function summarize<T extends Figures>(rounds: T[]): T {
  const keys = [...new Set(rounds.flatMap((round) => Object.keys(round)))];
  const figures = keys.map((key) => {
    const values = rounds.flatMap((round) => round[key] ?? []);
    const numbers = values.filter((value) => typeof value === "number");
    const parts = values.filter((value) => typeof value === "object");
    if (parts.length > 0) return [key, summarize(parts)];
    return [key, numbers.length === 0 ? undefined : worstOrMedian(key, numbers)];
  });
  return Object.fromEntries(figures) as T;
}

const worstOrMedian = (key: string, values: number[]) =>
  rounded(WORST.includes(key) ? Math.max(...values) : median(values));

/** All numbers rounded, and no undefined ones. */
export function tidy<T extends Figures>(figures: T): T {
  return JSON.parse(
    JSON.stringify(figures, (_, value: unknown) => (typeof value === "number" ? rounded(value) : value)),
  ) as T;
}

/** The item whose figure is the median. */
export function middle<T>(items: T[], figure: (item: T) => number): T | undefined {
  const wanted = median(items.map(figure));
  return items.find((item) => figure(item) === wanted);
}

/** Seconds after which the answer to a probe counts as held. */
const HELD = 1;

/**
 * When the last probe that failed or was held had its answer, 0 where there was none.
 *
 * @param calm seconds for which all is well at the end; undefined where it is not
 */
export function lastTrouble(probes: Probe[], calm: number): number | undefined {
  const ends = ({ at, took }: Probe) => at + took;
  const troubles = probes.filter(({ good, took }) => !good || took > HELD).map(ends);
  const last = Math.max(0, ...troubles);
  return Math.max(0, ...probes.map(ends)) - last >= calm ? last : undefined;
}
