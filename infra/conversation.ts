import { once } from "node:events";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import * as pulumi from "@pulumi/pulumi";
import type { FromCommand, FromProgram, Stage } from "./model/conversation.ts";

/** The program's side of the conversation with ./delivery (model/conversation.ts). */

// infra/start.cjs connects before the SDK is loaded: the command has things to read meanwhile.
const { deliverySocket: socket } = globalThis as { deliverySocket?: Socket };

/**
 * Tells the command what the server reports, and waits for its answer.
 *
 * @returns Docker's id of the image that the command had built, if one has
 * @throws pulumi.RunError when there can be no update now
 */
export async function agree(report: string): Promise<string | undefined> {
  if (socket === undefined) return undefined;
  tell({ report });
  const line = await hear(socket);
  if (line === undefined)
    throw new pulumi.RunError("The command that began this update has ended. Nothing was changed.");
  const answer = JSON.parse(line) as FromCommand;
  if ("stop" in answer) throw new pulumi.RunError(answer.stop);
  return answer.imageId;
}

/** The next line that the command says; undefined where it has gone. */
async function hear(from: Socket): Promise<string | undefined> {
  if (from.destroyed) return undefined;
  const lines = createInterface({ input: from });
  // The program waits for the answer, and for nothing else that the command may do.
  from.ref();
  try {
    const [line] = (await Promise.race([once(lines, "line"), once(lines, "close")])) as [string?];
    return line;
  } catch {
    return undefined;
  } finally {
    from.unref();
  }
}

/** Tells the command what the program is about. */
export function announce(stage: Stage): void {
  tell({ stage });
}

function tell(what: FromProgram): void {
  // A command that has gone needs no answer: the update goes on without it.
  if (socket?.writable) socket.write(`${JSON.stringify(what)}\n`);
}
