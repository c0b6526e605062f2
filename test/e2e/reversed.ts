import type { Suite } from "mocha";

/** Turns round the tests of a suite, and of those in it. */
function reverse(suite: Suite): void {
  suite.tests.reverse();
  suite.suites.reverse();
  suite.suites.forEach(reverse);
}

/**
 * Mocha's hooks for a run in which the last test of each file comes first, so that none comes to need another:
 * `mocha --require test/e2e/reversed.ts`.
 */
export const mochaHooks = {
  beforeAll(this: Mocha.Context): void {
    let root = this.test?.parent;
    while (root?.parent) root = root.parent;
    if (root) reverse(root);
  },
};
