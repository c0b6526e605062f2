import Module from "node:module";

/**
 * Stryker's runner for mocha, made to find the files of mocha 12. It asks for `lib/cli/run-helpers` and `collect-files`
 * without an extension, which mocha 12 calls `.cjs`; Node looks for that extension too once it is known.
 */
const { _extensions: extensions } = Module as unknown as { _extensions: Record<string, unknown> };
extensions[".cjs"] ??= extensions[".js"];

export const { strykerPlugins, strykerValidationSchema } = await import("@stryker-mutator/mocha-runner");
