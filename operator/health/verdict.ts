export type Level = "ok" | "warning" | "critical";

/** The result of one check. */
export interface Verdict {
  check: string;
  level: Level;
  text: string;
  /** The container whose log tells more. */
  container?: string;
}

/** The worst level among them; ok for none. */
export function worst(verdicts: Verdict[]): Level {
  const levels = verdicts.map(({ level }) => level);
  return levels.includes("critical") ? "critical" : levels.includes("warning") ? "warning" : "ok";
}
