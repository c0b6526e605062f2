import { withoutDigest } from "../infra/model/images.ts";
import { ago } from "./health/figures.ts";

/** The images that run on the server, beside what their registries have under the same tags. */

/** One image, as check-images.sh reports it. */
export interface RunningImage {
  /** What it is for. The bot's image may be built on several. */
  part: "database" | "proxy" | "base";
  /** Its name with its tag. */
  image: string;
  /** The digest of what runs; undefined where it came from no registry. */
  running?: string;
  /** The digest that the registry has under the tag; undefined where it does not tell, or where there is no tag. */
  newest?: string;
  /** When the two were first seen to differ. */
  since?: Date;
}

/** @param lines what check-images.sh prints */
export function parseImages(lines: string): RunningImage[] {
  return lines
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [part, image = "", running, newest, since] = line
        .split(" ")
        .map((word) => (word === "-" ? undefined : word));
      const time = since === undefined ? undefined : new Date(Number(since) * 1000);
      return { part: part as RunningImage["part"], image, running, newest, since: time };
    });
}

/** What an operator wants to know of an image, in words. */
export function judge({ part, running, newest, since }: RunningImage, now: Date): string {
  if (newest === undefined) return "not known: its registry does not tell";
  if (running === undefined) {
    return part === "base"
      ? "not known until the next release of a new commit"
      : "not known: what runs came from no registry";
  }
  if (running === newest) return "up to date";
  return since === undefined
    ? "newer one there"
    : `newer one there, first seen ${ago(now.getTime() - since.getTime())}`;
}

/** A table's row for each image. */
export function imageRows(images: RunningImage[], now: Date): string[][] {
  const short = (digest: string | undefined) => digest?.replace("sha256:", "").slice(0, 12) ?? "-";
  return images.map((image) => [
    image.part,
    image.image,
    short(image.running),
    short(image.newest),
    judge(image, now),
  ]);
}

/** The configuration keys of the images that the stack itself names. */
const KEYS = { database: "database.image", proxy: "proxy.image" } as const;

/**
 * The values by which the configuration fixes its images to the newest ones under the same tags; nothing for an image that
 * has no tag or whose registry does not tell.
 *
 * @param configured the values of the keys now
 */
export function pinned(
  images: RunningImage[],
  configured: { database: { image: string }; proxy: { image: string } },
): Record<string, string> {
  const found = images.flatMap(({ part, image, newest }) => {
    if (part === "base" || newest === undefined) return [];
    const present = configured[part].image;
    const wanted = `${image}@${newest}`;
    return withoutDigest(present) === image && present !== wanted ? [[KEYS[part], wanted] as const] : [];
  });
  return Object.fromEntries(found);
}
