import { COMPONENTS, fullName, RESOURCES, TYPES } from "../../infra/model/names.ts";
import { OperatorError } from "../command.ts";
import { deploymentFile } from "../file-backend.ts";
import { pulumi } from "../pulumi.ts";
import { lastLine } from "../run.ts";
import { projectName, type Stack } from "../stack.ts";

/** A resource as `pulumi stack export` writes it. Only the properties that commands read are named. */
interface ExportedResource {
  urn: string;
  type: string;
  id?: string;
  protect?: boolean;
  /** Replaced, and to be forgotten at the end of an update that has failed before. */
  delete?: boolean;
  /** Deleted, to be created anew by the next update: the one that was about to do so has failed. */
  pendingReplacement?: boolean;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  dependencies?: string[];
  propertyDependencies?: Record<string, string[]>;
}

/** What `pulumi stack export` writes and `pulumi stack import` reads. */
export interface ExportedState {
  deployment: {
    pending_operations?: { type: string; resource: { urn: string } }[];
    resources?: ExportedResource[];
  };
}

/** What a release needs to know of Pulumi's state. Resources go by their names in the program. */
export interface State {
  /** Operations that an update began and did not finish: "updating" "bot-hold". */
  pending: { operation: string; resource: string }[];
  /** Containers, by Docker's id. */
  containers: { id: string; resource: string }[];
  /** Containers that an update has replaced and not forgotten, because it failed. */
  replaced: { id: string; resource: string }[];
  /** Data volumes; `volume` is Docker's name. */
  volumes: { urn: string; resource: string; volume: unknown; isProtected: boolean }[];
  /** The command that built the bot's image, and the commit it built. */
  image?: { urn: string; commit?: unknown };
  /** The id with which the stack claims its directories on the server, and whether it has done so. */
  id?: string;
  hasClaimed: boolean;
  /** The host key of the server that all of this is on. */
  hostKey?: string;
}

/**
 * Who the stack is to a script that works in its directories ahead of an update. The id with which they are claimed is
 * left out where it cannot be told at once: a bucket is asked for a second.
 */
export function identityOf(stack: Stack): { STACK: string; STACK_ID?: string } {
  const deployment = deploymentFile(stack) as ExportedState["deployment"] | undefined;
  return {
    STACK: fullName(projectName(), stack.name),
    STACK_ID: deployment && parseState({ deployment }).id,
  };
}

/** Reads Pulumi's state of a stack. @throws OperatorError when the backend is out of reach */
export async function readState(stack: Stack): Promise<State> {
  const deployment = deploymentFile(stack) as ExportedState["deployment"] | undefined;
  return parseState(deployment === undefined ? await exportState(stack) : { deployment });
}

/** The state as Pulumi has it, to be changed and imported again. @throws OperatorError when the backend is out of reach */
export async function exportState(stack: Stack): Promise<ExportedState> {
  const { status, stdout, stderr } = await pulumi(stack, ["stack", "export"]);
  if (status !== 0) throw new OperatorError(`The stack's state cannot be read: ${lastLine(stderr)}`);
  return JSON.parse(stdout) as ExportedState;
}

export function parseState({ deployment }: ExportedState): State {
  const { pending_operations: pending = [], resources = [] } = deployment;
  const build = resources.find(({ type, urn }) => type === TYPES.command && nameOf(urn) === RESOURCES.image);
  const component = resources.find(({ type }) => type === COMPONENTS.image);
  const provider = resources.find(({ type }) => type === TYPES.dockerProvider);
  return {
    pending: pending.map(({ type, resource }) => ({ operation: type, resource: nameOf(resource.urn) })),
    containers: containersAmong(resources.filter((resource) => !resource.delete)),
    replaced: containersAmong(resources.filter((resource) => resource.delete)),
    volumes: resources
      .filter(({ type, urn }) => type === TYPES.volume && nameOf(urn).startsWith(RESOURCES.data))
      .map(({ urn, inputs, protect }) => ({
        ...{ urn, resource: nameOf(urn), volume: inputs?.name },
        isProtected: protect === true,
      })),
    image: build && { urn: build.urn, commit: component?.outputs?.commit },
    id: resources.find(({ type, urn }) => type === TYPES.stash && nameOf(urn) === RESOURCES.id)?.id,
    hasClaimed: resources.some(({ type, urn }) => type === TYPES.command && nameOf(urn) === RESOURCES.claim),
    hostKey: provider && pinnedKey(provider.inputs?.sshOpts),
  };
}

function containersAmong(resources: ExportedResource[]): State["containers"] {
  // A refresh leaves out a resource that is already deleted, so waiting for it to go would never end.
  return resources.flatMap(({ type, id, urn, pendingReplacement }) =>
    type === TYPES.container && id && !pendingReplacement ? [{ id, resource: nameOf(urn) }] : [],
  );
}

/** The state in which a container that was replaced is the resource's own again, and its successor is forgotten. */
export function withReturned(state: ExportedState, id: string): ExportedState {
  const { resources = [] } = state.deployment;
  const returned = resources.find((resource) => resource.delete && resource.id === id);
  const successor = resources.find(({ urn, delete: old }) => urn === returned?.urn && !old);
  if (returned === undefined || successor === undefined) return state;
  const kept = { ...returned, delete: undefined };
  // In the successor's place a resource may depend on no other ones than that did.
  const { dependencies, propertyDependencies } = successor;
  return {
    ...state,
    deployment: {
      ...state.deployment,
      resources: resources.flatMap((resource) => {
        if (resource === returned) return [];
        return [resource === successor ? { ...kept, dependencies, propertyDependencies } : resource];
      }),
    },
  };
}

/** The name that the program gave a resource. */
const nameOf = (urn: string) => urn.slice(urn.lastIndexOf("::") + 2);

/** How infra/model/ssh.ts hands the pinned key to OpenSSH. */
const PIN = "KnownHostsCommand=/bin/echo %H ";

/** @param sshOpts the Docker provider's: its inputs are text, and a list is JSON */
function pinnedKey(sshOpts: unknown): string | undefined {
  const options = typeof sshOpts === "string" ? (JSON.parse(sshOpts) as string[]) : [];
  return options.find((option) => option.startsWith(PIN))?.slice(PIN.length);
}
