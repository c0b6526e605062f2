import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server as SocketServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";
import { parseDocument } from "yaml";
import {
  type FromCommand,
  type FromProgram,
  type Seen,
  SOCKET,
  type Stage,
} from "../../infra/model/conversation.ts";
import { throwIfLocked } from "../lock.ts";
import { pulumi } from "../pulumi.ts";
import { projectName, type Stack } from "../stack.ts";
import { type Events, parseEvents } from "./events.ts";

/** What an update brings the stack to. */
export interface UpdateTarget {
  /** The whole configuration file. The stack's own is not touched. */
  file: string;
  /** What the history says of it. */
  message: string;
}

/** How an update ended. */
export interface Ended extends Events {
  succeeded: boolean;
}

/** What the caller of an update wants to know and to say while it runs. */
export interface Talk {
  /** Called when the update has the stack's lock, before anything is declared. */
  onLocked?: () => void;
  /** Gives what the server has reported to the command, if it has asked. */
  onAsked: () => Promise<string | undefined>;
  /** Called with what the server reports (check-server.sh); the update waits for the answer. */
  onReport: (report: string) => Promise<FromCommand>;
  onStage?: (stage: Stage) => void;
}

/**
 * A stack's configuration file with other values, by dotted keys; comments, secrets and all other keys stay. Where it has
 * these values, not a character changes.
 */
export function withConfig(file: string, values: Record<string, unknown>): string {
  const document = parseDocument(file);
  const before = document.toJS() as unknown;
  for (const [key, value] of Object.entries(values)) {
    const [first = "", ...rest] = key.split(".");
    document.setIn(["config", `${projectName()}:${first}`, ...rest], value);
  }
  return isDeepStrictEqual(document.toJS(), before) ? file : document.toString({ lineWidth: 0 });
}

/**
 * Runs `pulumi up` with a copy of the configuration.
 *
 * @param flags further arguments of `pulumi up`
 * @param talk the conversation with the program; without one it goes ahead by itself
 * @param verbose whether the operator sees what Pulumi says
 * @throws LockedError when another update has the stack
 */
export async function update(
  stack: Stack,
  { file, message }: UpdateTarget,
  { flags, talk, verbose }: { flags: string[]; talk?: Talk; verbose: boolean },
): Promise<Ended> {
  const directory = mkdtempSync(join(tmpdir(), "update-"));
  const [config, events, socket] = [stack.file, "events", "socket"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const server = talk && (await listen(socket, talk));
  try {
    writeFileSync(config, file, { mode: 0o600 });
    const { status, stderr } = await pulumi(
      stack,
      [
        ...["up", "--yes", "--skip-preview", "--config-file", config, "--message", message, ...flags],
        // Pulumi's own list of what it did, for the Automation API; it counts as a debugging option.
        ...["--event-log", events],
      ],
      {
        show: verbose ? ["stdout"] : [],
        env: { PULUMI_DEBUG_COMMANDS: "true", ...(server && { [SOCKET]: socket }) },
      },
    );
    throwIfLocked(stderr);
    const told = parseEvents(existsSync(events) ? readFileSync(events, "utf8") : "");
    if (verbose && stderr) console.error(stderr);
    // Before the program runs, Pulumi says what is wrong on standard error alone.
    const errors =
      told.errors.length > 0 || status === 0 ? told.errors : [withoutLabels(stderr)].filter(Boolean);
    return { ...told, errors, succeeded: status === 0 };
  } finally {
    server?.close();
    rmSync(directory, { recursive: true });
  }
}

/** What Pulumi says on standard error, without the word before each error. */
const withoutLabels = (stderr: string) => stderr.trim().replace(/^error: /gm, "");

async function listen(path: string, talk: Talk): Promise<SocketServer> {
  const server = createServer((socket) => {
    talk.onLocked?.();
    void converse(socket, talk);
  });
  server.listen(path);
  await once(server, "listening");
  return server;
}

async function converse(socket: Socket, { onAsked, onReport, onStage }: Talk): Promise<void> {
  socket.on("error", () => undefined);
  const answer = (what: Seen | FromCommand) => socket.write(`${JSON.stringify(what)}\n`);
  for await (const line of createInterface({ input: socket })) {
    const said = JSON.parse(line) as FromProgram;
    if ("stage" in said) onStage?.(said.stage);
    else if ("asks" in said) answer({ report: await onAsked() });
    else answer(await onReport(said.report));
  }
}
