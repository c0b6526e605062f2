import { type BotName, FLOWS, type Results } from "./results.ts";

/** What the sections of the report share. */

type Cell = string | number | undefined;

export function table(head: Cell[], rows: Cell[][]): string {
  const line = (cells: Cell[]) => `| ${cells.map((cell) => cell ?? "–").join(" | ")} |`;
  return [head, head.map(() => "---"), ...rows].map(line).join("\n");
}

export const TITLES: Record<BotName, string> = {
  sample: "The sample bot",
  heavy: "A bot of real weight",
};

/** Every flow with figures of a bot. */
export const measuredFlows = (results: Results, bot: BotName) =>
  FLOWS.flatMap((flow) => {
    const measured = results[bot][flow];
    return measured === undefined ? [] : [{ flow, measured }];
  });

export function range(values: number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? String(least) : `${least} to ${most}`;
}
