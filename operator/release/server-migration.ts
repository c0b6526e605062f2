import { OperatorError } from "../command.ts";
import { throwIfLocked } from "../lock.ts";
import { pulumi } from "../pulumi.ts";
import { lastLine } from "../run.ts";
import type { Stack } from "../stack.ts";
import { type ExportedState, exportState } from "./state.ts";

/** Matches the types of resources that are on the server. */
const ON_SERVER = /^(docker|command|pulumi:providers:docker|pulumi:providers:command)\b/;

/** The state without everything on the server; what is on GitHub stays. */
export function withoutServer(state: ExportedState): ExportedState {
  const { resources = [] } = state.deployment;
  const kept = resources.filter(({ type }) => !ON_SERVER.test(type));
  const isKept = (urn: string) => kept.some((resource) => resource.urn === urn);
  return {
    ...state,
    deployment: {
      ...state.deployment,
      pending_operations: [],
      resources: kept.map(({ dependencies = [], propertyDependencies = {}, ...resource }) => ({
        ...resource,
        dependencies: dependencies.filter(isKept),
        propertyDependencies: Object.fromEntries(
          Object.entries(propertyDependencies).map(([property, urns]) => [property, urns.filter(isKept)]),
        ),
      })),
    },
  };
}

/**
 * Has Pulumi forget the old server, so that the next update makes everything on the new one. Touches no server.
 *
 * @throws LockedError when another update has the stack
 */
export async function forgetServer(stack: Stack): Promise<void> {
  const input = JSON.stringify(withoutServer(await exportState(stack)));
  const { status, stderr } = await pulumi(stack, ["stack", "import"], { input });
  throwIfLocked(stderr);
  if (status !== 0) throw new OperatorError(`The state could not be changed: ${lastLine(stderr)}`);
}
