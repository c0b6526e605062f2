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
  /** The id with which the stack's directory is claimed; undefined where it is not. */
  claim?: string;
  /** Whether the image that was asked for is there. */
  hasImage: boolean;
}

/** @param report what scripts/server/check-server.sh prints */
export function parseInventory(report: string): Inventory {
  const lines = report.split("\n").map((line) => line.split("="));
  return {
    claim: lines.find(([what]) => what === "claim")?.[1],
    hasImage: lines.some(([what]) => what === "image"),
    containers: lines
      .filter(([what]) => what === "container")
      .map(([, facts = ""]) => {
        const [name = "", id = "", status = "", revision] = facts.split(" ");
        return { name, id, status, commit: revision === "-" ? undefined : revision };
      }),
  };
}
