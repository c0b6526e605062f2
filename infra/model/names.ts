/** Names that are part of every stack's state and of every running server: none may change without a migration. */

/** Component type of GitHub's side. */
export const GITHUB_COMPONENT = "hockey:index:Repository";

/** Matches the URN of GitHub's component and of everything in it, as Pulumi's `--exclude` and `--target` take it. */
export const GITHUB_URN = `**${GITHUB_COMPONENT}**`;
