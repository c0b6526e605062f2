import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import * as pulumi from "@pulumi/pulumi";
import type { FromCommand, FromProgram, GoAhead, Seen, Stage } from "./model/conversation.ts";

/** The program's side of the conversation with ./delivery (model/conversation.ts). */

// infra/start.cjs connects before the SDK is loaded: the command has things to read meanwhile.
const { deliverySocket: socket } = globalThis as { deliverySocket?: Socket };

const lines = socket && createInterface({ input: socket })[Symbol.asyncIterator]();

/** What the server has reported to the command; undefined where the command has not asked it. */
export async function seenByCommand(): Promise<string | undefined> {
  const seen = await ask<Seen>({ asks: "report" });
  return seen?.report;
}

/**
 * Tells the command which report the program goes by, and waits for its answer.
 *
 * @throws pulumi.RunError when there can be no update now
 */
export async function agree(report: string): Promise<GoAhead> {
  if (socket === undefined) return {};
  const answer = await ask<FromCommand>({ report });
  if (answer === undefined)
    throw new pulumi.RunError("The command that began this update has ended. Nothing was changed.");
  if ("stop" in answer) throw new pulumi.RunError(answer.stop);
  return answer;
}

/** What the command answers; undefined where there is none, or none any more. */
async function ask<Answer>(what: FromProgram): Promise<Answer | undefined> {
  if (lines === undefined || socket === undefined || socket.destroyed) return undefined;
  tell(what);
  // The program waits for the answer, and for nothing else that the command may do.
  socket.ref();
  try {
    const { done, value } = await lines.next();
    return done ? undefined : (JSON.parse(value) as Answer);
  } catch {
    return undefined;
  } finally {
    socket.unref();
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
