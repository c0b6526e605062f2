// @ts-nocheck
import type { ExportedState } from "./state.ts";

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
