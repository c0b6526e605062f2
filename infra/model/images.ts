/** Names of images, as the configuration has them: `name:tag`, `name:tag@sha256:…` or `name@sha256:…`. */

/** The name without the digest that it may be fixed to. */
export function withoutDigest(image: string): string {
  return image.replace(/@.*$/, "");
}
