// @ts-nocheck
import type { Server } from "../server.ts";

/** A container on the server. */
export interface ServerContainer {
  name: string;
  id: string;
  /** Docker's word, such as "running". */
  status: string;
  /** The commit in the label that the stack gives the bot; no other container has one. */
  commit?: string;
}

/** What is on the server of a release. */
export interface Inventory {
  containers: ServerContainer[];
  /** Whether the image that was asked for is there. */
  hasImage: boolean;
}

/** Asks the server which of the stack's containers it has, and whether it has the image of a commit. */
export async function readInventory(server: Server, commit: string): Promise<Inventory> {
  return parseInventory(await server.ask("list-containers.sh", { COMMIT: commit }));
}

/** @param listed what scripts/server/list-containers.sh prints */
export function parseInventory(listed: string): Inventory {
  const lines = listed.split("\n").map((line) => line.split(" "));
  return {
    hasImage: lines.some(([what]) => what === "image"),
    containers: lines
      .filter(([what]) => what === "container")
      .map(([, name = "", id = "", status = "", revision]) => ({
        ...{ name, id, status },
        commit: revision === "-" ? undefined : revision,
      })),
  };
}
