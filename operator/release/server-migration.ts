import { TYPES } from "../../infra/model/names.ts";
import { OperatorError } from "../command.ts";
import { pulumi } from "../pulumi.ts";
import { lastLine } from "../run.ts";
import type { Stack } from "../stack.ts";

/** A resource in Pulumi's state, as `pulumi stack export` gives it; what is not needed here goes along untouched. */
interface Resource {
  urn: string;
  type: string;
  id?: string;
  protect?: boolean;
  inputs?: Record<string, unknown>;
  dependencies?: string[];
  propertyDependencies?: Record<string, string[]>;
}

/** Pulumi's state of a stack. */
export interface State {
  deployment: {
    pending_operations?: { type: string; resource: { urn: string } }[];
    resources?: Resource[];
  };
}

/** Types of resources that are on the server. */
const ON_SERVER = /^(docker|command|pulumi:providers:docker|pulumi:providers:command)\b/;

/** Whether the server that the state describes is known by another host key than the one that is configured now. */
export function hasAnotherKey(state: State, hostKey: string): boolean {
  const provider = state.deployment.resources?.find(({ type }) => type === TYPES.dockerProvider);
  return (
    provider !== undefined &&
    !String(provider.inputs?.sshOpts).includes(`KnownHostsCommand=/bin/echo %H ${hostKey}`)
  );
}

/** The state without whatever is on the server; what is on GitHub stays. */
export function withoutServer(state: State): State {
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

/** Has Pulumi forget the old server, so that the next update makes everything on the new one. Touches no server. */
export async function forgetServer(stack: Stack, state: State): Promise<void> {
  const input = JSON.stringify(withoutServer(state));
  const { status, stderr } = await pulumi(stack, ["stack", "import"], { input });
  if (status !== 0) throw new OperatorError(`The state could not be changed: ${lastLine(stderr)}`);
}
