import { FLOWS, type Results } from "./results.ts";
import { NAMES } from "./names.ts";

/** What is drawn of each flow: one panel of horizontal bars for each unit. */
const PANELS = [
  {
    title: "Seconds",
    bars: [
      { what: "release", key: "seconds", color: "#0b6aa5" },
      { what: "rollback", key: "rollbackSeconds", color: "#e08a1e" },
      { what: "nothing to do", key: "noopSeconds", color: "#8a97a3" },
    ],
  },
  {
    title: "Requests that failed",
    bars: [
      { what: "in a release", key: "failed", color: "#a4262c" },
      { what: "in a rollback", key: "rollbackFailed", color: "#e2a0a3" },
    ],
  },
] as const;

const WIDTH = 760;
/** Where the bars begin, and how long the longest is. */
const LEFT = 190;
const LONGEST = 490;
const BAR = 13;
const GAP = 14;
const HEAD = 44;

/** All flows side by side, as one SVG. */
export function plot(results: Results): string {
  const parts: string[] = [];
  let y = 10;
  for (const { title, bars } of PANELS) {
    parts.push(text(10, y + 18, title, "font-weight='bold'"));
    bars.forEach(({ what, color }, index) => {
      const x = LEFT + index * 130;
      parts.push(rectangle(x, y + 8, BAR, color), text(x + BAR + 6, y + 19, what));
    });
    y += HEAD;
    const most = Math.max(...FLOWS.flatMap((flow) => bars.map(({ key }) => results[flow][key])), 1);
    for (const flow of FLOWS) {
      parts.push(text(10, y + (bars.length * BAR) / 2 + 4, NAMES[flow]));
      for (const { key, color } of bars) {
        const value = results[flow][key];
        const width = Math.round((value / most) * LONGEST);
        parts.push(rectangle(LEFT, y, width, color), text(LEFT + width + 5, y + 11, String(value)));
        y += BAR;
      }
      y += GAP;
    }
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${y}" fill="#fff"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

const rectangle = (x: number, y: number, width: number, color: string) =>
  `<rect x="${x}" y="${y}" width="${width}" height="${BAR - 2}" fill="${color}"/>`;

const text = (x: number, y: number, words: string, more = "") =>
  `<text x="${x}" y="${y}" fill="#1c2733"${more && ` ${more}`}>${words}</text>`;
