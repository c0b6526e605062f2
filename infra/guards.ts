import { inspect } from "node:util";
import * as pulumi from "@pulumi/pulumi";

/**
 * What may never be applied, whoever edits the program: looked at on every preview and update, for every resource,
 * before the engine hears of it.
 */

/** Why a property may not have this value, in a sentence; nothing where it may. */
type Rule = (resource: string, value: unknown) => string | undefined;

const DATABASE_PORT = 5432;

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
    : `The Docker provider ${resource} would trust any server; give it the options of infra/ssh.ts.`;
};

const RULES: Record<string, Record<string, Rule>> = {
  "docker:index/container:Container": { ports: publishedDatabase, image: floatingImage },
  "docker:index/remoteImage:RemoteImage": { name: floatingImage },
  "command:remote:Command": { connection: missingHostKey },
  "command:remote:CopyToRemote": { connection: missingHostKey },
  "pulumi:providers:docker": { sshOpts: uncheckedHost },
};

/** Why the volume with the data may not be declared like this; nothing where it may, or where it is another resource. */
export function unprotectedData(
  type: string,
  name: string,
  opts: Pick<pulumi.CustomResourceOptions, "protect" | "retainOnDelete">,
): string | undefined {
  // A volume of another name, as an upgrade of PostgreSQL makes it, carries that at its end.
  const isData = type === "docker:index/volume:Volume" && /database-data(-.+)?$/.test(name);
  return isData && !(opts.protect && opts.retainOnDelete)
    ? `The data volume ${name} is not protected; give it \`protect: true\` and \`retainOnDelete: true\`.`
    : undefined;
}

/**
 * The inputs of a resource, looked at: what is known now at once, what is only known later when it is.
 *
 * @throws pulumi.RunError with one sentence, or gives an output that fails with it
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
  // The SDK inspects every error, and this one would lead it through all that the program holds, for minutes.
  throw Object.assign(error, { [inspect.custom]: () => error.message });
}

/** Has every resource of the stack looked at. Call it before the first is declared. */
export function guard(): void {
  // Not registerResourceTransform: its errors reach the user as a stack trace.
  pulumi.runtime.registerStackTransformation(({ type, name, props, opts }) => {
    refuse(unprotectedData(type, name, opts));
    return { props: checked(type, name, props), opts };
  });
}
