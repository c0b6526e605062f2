import type docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";

/**
 * What every container of the stack has in common: it comes back by itself after a crash or a reboot, can gain no
 * privileges, keeps its logs small and its memory within bounds.
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
 * Options of a container: fixed names allow one at a time, so the old one goes before the new one comes; a health
 * check cannot be changed in a running container, though Docker's provider believes so (kreuzwerker#988).
 */
export function containerOptions(
  parent: pulumi.Resource,
  provider: pulumi.ProviderResource,
  dependsOn: pulumi.Resource[],
): pulumi.CustomResourceOptions {
  return { parent, provider, dependsOn, deleteBeforeReplace: true, replaceOnChanges: ["healthcheck"] };
}
