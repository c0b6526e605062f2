import { TYPES } from "../../infra/model/names.ts";
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

/** Arguments of ssh for a command on the server that a state describes; undefined where it describes none. */
export function sshToServer({ deployment: { resources = [] } }: ExportedState): string[] | undefined {
  const { host, sshOpts } = resources.find(({ type }) => type === TYPES.dockerProvider)?.inputs ?? {};
  if (typeof host !== "string" || typeof sshOpts !== "string") return undefined;
  const { hostname, port, username } = new URL(host);
  return [...(JSON.parse(sshOpts) as string[]), "-p", port, "-l", username, hostname];
}
