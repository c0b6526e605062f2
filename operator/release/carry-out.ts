import { dockerNames } from "../../infra/model/names.ts";
import { OperatorError } from "../command.ts";
import { throwIfLocked } from "../lock.ts";
import { pulumi } from "../pulumi.ts";
import { lastLine } from "../run.ts";
import type { Server } from "../server.ts";
import type { Stack } from "../stack.ts";
import { bringCertificates } from "./certificates.ts";
import { short } from "./history.ts";
import type { Step } from "./plan.ts";
import { withoutServer } from "./server-migration.ts";
import { type ExportedState, exportState, readState, withReturned } from "./state.ts";

/** Carries out the steps of a plan in their order. @throws LockedError when another update has the stack */
export async function carryOut(stack: Stack, server: Server, steps: Step[]): Promise<void> {
  for (const step of steps) {
    switch (step.action) {
      case "forget server":
        console.log("Everything is made anew on this server.");
        await bringCertificates(stack, server);
        // The next update makes everything on the new server.
        await changeState(stack, withoutServer);
        break;
      case "take back":
        console.log(
          `The server has put ${short(step.container.commit ?? "")} back by itself; Pulumi's state follows.`,
        );
        await changeState(stack, (state) => withReturned(state, step.container.id));
        break;
      case "refresh":
        console.log(
          `Pulumi's state and the server differ: ${step.because.join("; ")}. Bringing them together.`,
        );
        await refresh(stack);
        break;
      case "unprotect":
        await unprotect(stack, step);
        break;
      case "hold requests":
        await holdRequests(server);
        break;
      case "remove":
        await removeContainer(server, step.container);
    }
  }
}

/** Where the server has put a container back by itself, Pulumi's state follows before the next update begins. */
export async function followServer(stack: Stack, server: Server): Promise<void> {
  const { replaced } = await readState(stack);
  if (replaced.length === 0) return;
  const { bot: name } = dockerNames(stack.settings.name);
  const { stdout } = await server.command(["docker", "inspect", "--format", "{{.Id}}", name]);
  const returned = replaced.find(({ id }) => id === stdout.trim());
  if (returned !== undefined) await changeState(stack, (state) => withReturned(state, returned.id));
}

async function changeState(stack: Stack, change: (state: ExportedState) => ExportedState): Promise<void> {
  const input = JSON.stringify(change(await exportState(stack)));
  const { status, stderr } = await pulumi(stack, ["stack", "import"], { input });
  throwIfLocked(stderr);
  if (status !== 0) throw new OperatorError(`The state could not be changed: ${lastLine(stderr)}`);
}

async function refresh(stack: Stack): Promise<void> {
  const command = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates"];
  const { status, stdout, stderr } = await pulumi(stack, command);
  throwIfLocked(stderr);
  if (status !== 0) {
    throw new OperatorError(`The state could not be refreshed: ${lastLine(stderr || stdout)}`);
  }
}

async function unprotect(stack: Stack, { urn, resource }: { urn: string; resource: string }): Promise<void> {
  const { status, stderr } = await pulumi(stack, ["state", "unprotect", urn, "--yes"]);
  throwIfLocked(stderr);
  if (status !== 0)
    throw new OperatorError(`The volume ${resource} cannot leave the stack: ${lastLine(stderr)}`);
}

/** Closes the proxy's gate, which opens by itself after a while. A proxy that cannot hold stops no repair. */
async function holdRequests(server: Server): Promise<void> {
  const { status, stderr } = await server.script("hold-requests.sh", {});
  if (status !== 0) console.error(`The proxy could not hold the requests: ${lastLine(stderr)}`);
}

async function removeContainer(server: Server, { name, id }: { name: string; id: string }): Promise<void> {
  // Stopped first: what is in flight may finish. One that has stopped already is no failure.
  await server.command(["docker", "stop", id]);
  const { status, stderr } = await server.command(["docker", "rm", "--force", id]);
  if (status !== 0) {
    throw new OperatorError(
      `The container ${name} is left over and could not be removed: ${lastLine(stderr)}`,
    );
  }
}
