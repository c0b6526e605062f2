// @ts-nocheck
import type docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";

/**
 * What every container of the stack has in common: it restarts after a crash or a reboot, can gain no privileges, and
 * keeps its logs and its memory within bounds.
 *
 * @param memory upper bound in MiB, swap included
 */
export function hardened(memory: number) {
  return {
    restart: "unless-stopped",
    mustRun: true,
    logDriver: "local",
    logOpts: { "max-size": "10m", "max-file": "5" },
    memory,
    memorySwap: memory,
    securityOpts: ["no-new-privileges"],
  } satisfies Partial<docker.ContainerArgs>;
}

/**
 * Options of a container. Its fixed name allows one at a time, so the old one is deleted before the new one is created.
 * A changed health check replaces it: Docker's provider would update it in place, which has no effect (kreuzwerker#988).
 */
export function containerOptions(
  parent: pulumi.Resource,
  provider: pulumi.ProviderResource,
  dependsOn: pulumi.Resource[],
): pulumi.CustomResourceOptions {
  return { parent, provider, dependsOn, deleteBeforeReplace: true, replaceOnChanges: ["healthcheck"] };
}
