// @ts-nocheck
import { inspect } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { RESOURCES, TYPES } from "./model/names.ts";
import { DATABASE_PORT } from "./model/postgres.ts";

/**
 * What may never be applied, however the program is edited: checked on every preview and update, for every resource,
 * before the engine hears of it.
 */

/** Why a property may not have this value, in a sentence; undefined where it may. */
type Rule = (resource: string, value: unknown) => string | undefined;

const publishedDatabase: Rule = (resource, ports) => {
  const published = (Array.isArray(ports) ? (ports as { internal?: unknown }[]) : []).some(
    ({ internal }) => Number(internal) === DATABASE_PORT,
  );
  return published
    ? `The container ${resource} publishes the database's port ${DATABASE_PORT}; remove it from \`ports\`: the bot reaches the database on its network.`
    : undefined;
};

const floatingImage: Rule = (resource, image) => {
  if (typeof image !== "string" || image.startsWith("sha256:") || image.includes("@sha256:"))
    return undefined;
  const tag = /:([^:/]+)$/.exec(image)?.[1] ?? "latest";
  return tag === "latest"
    ? `${resource} uses the image ${image}, which is another program every time it is pulled; name a version.`
    : undefined;
};

const missingHostKey: Rule = (resource, connection) =>
  (connection as { hostKey?: unknown } | undefined)?.hostKey
    ? undefined
    : `The command ${resource} would trust any server; give its connection a \`hostKey\`.`;

const uncheckedHost: Rule = (resource, sshOpts) => {
  // A provider's inputs travel as text: lists as JSON.
  const options = typeof sshOpts === "string" ? sshOpts : JSON.stringify(sshOpts ?? []);
  return options.includes("StrictHostKeyChecking=yes") && options.includes("KnownHostsCommand=")
    ? undefined
    : `The Docker provider ${resource} would trust any server; give it the options of infra/model/ssh.ts.`;
};

const RULES: Record<string, Record<string, Rule>> = {
  [TYPES.container]: { ports: publishedDatabase, image: floatingImage },
  [TYPES.image]: { name: floatingImage },
  [TYPES.command]: { connection: missingHostKey },
  [TYPES.copy]: { connection: missingHostKey },
  [TYPES.dockerProvider]: { sshOpts: uncheckedHost },
};

/** Why the data volume may not be declared like this; undefined where it may, and for every other resource. */
export function unprotectedData(
  type: string,
  name: string,
  opts: Pick<pulumi.CustomResourceOptions, "protect" | "retainOnDelete">,
): string | undefined {
  // After an upgrade of PostgreSQL the volume has another name, which its resource's name ends in.
  const isData = type === TYPES.volume && (name === RESOURCES.data || name.startsWith(`${RESOURCES.data}-`));
  return isData && !(opts.protect && opts.retainOnDelete)
    ? `The data volume ${name} is not protected; give it \`protect: true\` and \`retainOnDelete: true\`.`
    : undefined;
}

/**
 * The inputs of a resource, after the check: known inputs are checked now, Outputs when they resolve.
 *
 * @throws pulumi.RunError with one sentence; an Output fails with it
 */
export function checked(type: string, name: string, props: Record<string, unknown>): Record<string, unknown> {
  const result = { ...props };
  for (const [property, rule] of Object.entries(RULES[type] ?? {})) {
    const check = (value: unknown) => {
      refuse(rule(name, value));
      return value;
    };
    const value = props[property];
    result[property] = pulumi.Output.isInstance(value) ? value.apply(check) : check(value);
  }
  return result;
}

function refuse(fault: string | undefined): void {
  if (fault === undefined) return;
  const error = new pulumi.RunError(`${fault} Nothing was changed.`);
  // The SDK inspects every error; through this one it would walk the whole program, for minutes.
  throw Object.assign(error, { [inspect.custom]: () => error.message });
}

/** Checks every resource of the stack. Call it before the first is declared. */
export function guard(): void {
  // Not registerResourceTransform: users would see its errors as a stack trace.
  pulumi.runtime.registerStackTransformation(({ type, name, props, opts }) => {
    refuse(unprotectedData(type, name, opts));
    return { props: checked(type, name, props), opts };
  });
}
