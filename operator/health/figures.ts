/** A time span for people. */
export function ago(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  const [count, unit] =
    seconds < 120
      ? [seconds, "s"]
      : seconds < 7200
        ? [seconds / 60, "min"]
        : seconds < 172_800
          ? [seconds / 3600, "h"]
          : [seconds / 86_400, "days"];
  return `${Math.floor(count)} ${unit} ago`;
}
