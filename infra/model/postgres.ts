/** What this program knows of PostgreSQL's major versions and of their images. */

/** The last day on which each is supported: https://www.postgresql.org/support/versioning/ */
const END_OF_SUPPORT: Record<number, string> = {
  13: "2025-11-13",
  14: "2026-11-12",
  15: "2027-11-11",
  16: "2028-11-09",
  17: "2029-11-08",
  18: "2030-11-14",
};
/** The version to which whoever has an old one is pointed. */
const RECOMMENDED = 17;
/** From here on an image keeps its data one directory up, in a subdirectory with the version's name. */
const FIRST_WITH_VERSIONED_DIRECTORY = 18;

/** The major versions that can be upgraded to. */
export const MAJORS = Object.keys(END_OF_SUPPORT).map(Number);

/** The major version that an image's tag names; undefined where it does not begin with one, or there is a digest. */
export function majorOf(image: string): number | undefined {
  const [, major] = /:(\d+)(?:[.-][\w.-]+)?$/.exec(image) ?? [];
  return image.includes("@") || major === undefined ? undefined : Number(major);
}

/** The image of another major version, from where the present one comes. */
export function imageOf(present: string, major: number): string {
  return `${present.replace(/@.*$|:[^/:]*$/, "")}:${major}`;
}

/** Where an image's volume belongs inside the container. */
export function dataDirectory(image: string): string {
  const major = majorOf(image) ?? 0;
  return major >= FIRST_WITH_VERSIONED_DIRECTORY ? "/var/lib/postgresql" : "/var/lib/postgresql/data";
}

/** What to tell who runs an image whose version gets no security fixes any more; nothing where it gets them. */
export function supportWarning(image: string, today: Date): string | undefined {
  const major = majorOf(image) ?? 0;
  const end = END_OF_SUPPORT[major];
  if (end === undefined || today.toISOString().slice(0, 10) <= end) return undefined;
  return `PostgreSQL ${major} has had no security fixes since ${end}; move the data to a newer one with: ./delivery database upgrade ${RECOMMENDED}`;
}
