import { withoutDigest } from "./images.ts";
import { FIRST_VERSIONED_POSTGRES } from "./limits.ts";

/** What this program knows of PostgreSQL's major versions and of their images. */

/** Where PostgreSQL listens in its container. */
export const DATABASE_PORT = 5432;

/** Where images keep the data inside the container; from FIRST_VERSIONED_POSTGRES on the volume belongs one up. */
export const DATA_DIRECTORY = "/var/lib/postgresql/data";
export const VERSIONED_DATA_DIRECTORY = "/var/lib/postgresql";

/** The last day on which each is supported: https://www.postgresql.org/support/versioning/ */
const END_OF_SUPPORT: Record<number, string> = {
  13: "2025-11-13",
  14: "2026-11-12",
  15: "2027-11-11",
  16: "2028-11-09",
  17: "2029-11-08",
  18: "2030-11-14",
};
/** The version that the warning recommends. */
const RECOMMENDED = 17;

/** The major versions that can be upgraded to. */
export const MAJORS = Object.keys(END_OF_SUPPORT).map(Number);

/** The major version that an image's tag names; undefined for a tag without one, and where there is no tag. */
export function majorOf(image: string): number | undefined {
  const [, major] = /:(\d+)(?:[.-][\w.-]+)?$/.exec(withoutDigest(image)) ?? [];
  return major === undefined ? undefined : Number(major);
}

/** The image of another major version, from the same registry. Its digest is another one, so the new name has none. */
export function imageOf(present: string, major: number): string {
  return `${withoutDigest(present).replace(/:[^/:]*$/, "")}:${major}`;
}

/** Where an image expects its volume inside the container. */
export function dataDirectory(image: string): string {
  const major = majorOf(image) ?? 0;
  return major >= FIRST_VERSIONED_POSTGRES ? VERSIONED_DATA_DIRECTORY : DATA_DIRECTORY;
}

/** A warning that the image's version gets no security fixes any more; undefined while it gets them. */
export function supportWarning(image: string, today: Date): string | undefined {
  const major = majorOf(image) ?? 0;
  const end = END_OF_SUPPORT[major];
  if (end === undefined || today.toISOString().slice(0, 10) <= end) return undefined;
  return `PostgreSQL ${major} has had no security fixes since ${end}; move the data to a newer one with: ./delivery database upgrade ${RECOMMENDED}`;
}
