import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { type FromCommand, type FromProgram, type Seen, SOCKET } from "../../infra/model/conversation.ts";

/**
 * Stands for `pulumi up` where a test's table says so (fake-tools.ts): Pulumi's engine with the stack's lock, and the
 * program that asks the server, talks with the command and then lets the engine go on.
 */

/** An update, as a test wants it to come out. */
export interface FakeUpdate {
  /** What the engine counts. */
  changes?: Record<string, number>;
  /** What resources say. */
  notes?: string[];
  /** What goes wrong after the program may go ahead. */
  errors?: string[];
  /** Lines of sh that run before the program connects, and once it may go ahead; then $ANSWER is what it heard. */
  first?: string;
  then?: string;
}

/** The program's part: asks the command, or else the server, reports to the command and waits for its answer. */
async function converse(): Promise<FromCommand> {
  const { [SOCKET]: path } = process.env;
  const socket = path === undefined ? undefined : connect(path);
  if (socket) await once(socket, "connect");
  const look = () => execFileSync("ssh", ["check-server.sh"], { encoding: "utf8" });
  if (socket === undefined) {
    look();
    return {};
  }
  const lines = createInterface({ input: socket });
  const tell = (what: FromProgram) => socket.write(`${JSON.stringify(what)}\n`);
  const ask = async <Answer>(what: FromProgram) => {
    tell(what);
    const [line] = (await once(lines, "line")) as [string];
    return JSON.parse(line) as Answer;
  };
  const { report = look() } = await ask<Seen>({ asks: "report" });
  const answer = await ask<FromCommand>({ report });
  if (!("stop" in answer)) for (const stage of ["swapping", "making"] as const) tell({ stage });
  socket.end();
  return answer;
}

async function update(wanted: FakeUpdate): Promise<void> {
  const { changes = { same: 9, update: 1 }, notes = [], errors = [], first = "", then = "" } = wanted;
  const run = (script: string, env = {}) =>
    spawnSync("sh", ["-c", script], { stdio: "inherit", env: { ...process.env, ...env } });
  run(first);
  const answer = await converse();
  const stopped = "stop" in answer;
  if (!stopped) run(then, { ANSWER: JSON.stringify(answer) });
  const said = (severity: string) => (message: string) => ({ diagnosticEvent: { severity, message } });
  const faults = stopped ? [answer.stop] : errors;
  const events = [
    ...notes.map(said("info")),
    ...[...faults, ...(faults.length > 0 ? ["update failed"] : [])].map(said("error")),
    { summaryEvent: { resourceChanges: stopped ? { same: 1 } : changes } },
  ];
  const log = process.argv[process.argv.indexOf("--event-log") + 1] ?? "";
  writeFileSync(log, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  console.log("updating");
  if (faults.length === 0) return;
  console.error("error: update failed");
  process.exitCode = 255;
}

await update(JSON.parse(process.argv[2] ?? "{}") as FakeUpdate);
