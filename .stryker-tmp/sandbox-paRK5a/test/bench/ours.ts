// @ts-nocheck
import { pulumiOk } from "../../sandbox/stack.ts";
import { operate } from "../e2e/operator.ts";
import type { Bench } from "./bench.ts";
import type { Details, Flow } from "./flow.ts";

const PROXY = "training_bot_proxy";

/** The operator's commands: `./delivery deploy`, `./delivery rollback` and, with nothing to release, `pulumi up`. */
export function oursFlow(bench: Bench): Flow {
  const type = async (command: string): Promise<Details> => {
    const began = Date.now();
    const { exitCode, output } = await operate(bench.stack, command);
    if (exitCode !== 0) throw new Error(`./delivery ${command} ended with ${exitCode}:\n${output}`);
    const built = /built in (\d+) s/.exec(output)?.[1];
    return { ...(built && { buildSeconds: Number(built) }), ...(await readSwap(bench, began)) };
  };
  return {
    containers: ["training_bot", "training_bot_db", PROXY],
    setUp: () => type("deploy").then(() => undefined),
    release: () => type("deploy"),
    look: () => pulumiOk(bench.stack, ["up", "--yes", "--skip-preview", "--expect-no-changes"]),
    goBack: () => type("rollback"),
  };
}

/** How long the proxy's gate was closed, by the times at which Docker ran the commands that close and open it. */
async function readSwap(bench: Bench, began: number): Promise<Details> {
  const seconds = (at: number) => (at / 1000).toFixed(3);
  const listed = await bench.onServer(
    ...["docker", "events", "--since", seconds(began), "--until", seconds(Date.now())],
    ...["--filter", `container=${PROXY}`, "--filter", "event=exec_start"],
    ...["--format", "{{.TimeNano}} {{.Action}}"],
  );
  const lines = listed.split("\n");
  const closed = lines.findIndex((line) => line.includes(">/gate/closed"));
  if (closed === -1) return {};
  const opened = lines.slice(closed).find((line) => line.includes("rm -f /gate/closed"));
  const at = (line = "") => Number(line.split(" ")[0]) / 1e9;
  return { swapSeconds: at(opened) - at(lines[closed]) };
}
