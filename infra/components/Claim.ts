import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { ServerReport } from "../check-server.ts";
import { connectionTo } from "../connection.ts";
import { refuseClaim } from "../model/claim.ts";
import { COMPONENTS, fullName, RESOURCES } from "../model/names.ts";
import { bundle, uploadedCall } from "../model/scripts.ts";
import type { StackSettings } from "../model/server-settings.ts";
import { shellCommand } from "../model/ssh.ts";

interface ClaimArgs {
  settings: StackSettings & { sshPrivateKey?: string };
  report: ServerReport;
}

/**
 * The stack's right to its directories on the server, which belong to no other stack and to no other state of this one.
 *
 * On the server: a file `stack` in `deployPath` and `.stack` in `backupPath`, with the stack's name and an id that Pulumi
 * makes for the state. A change interrupts nothing. Deleting it gives the directories free; a directory with backups
 * stays claimed.
 */
export class Claim extends pulumi.ComponentResource {
  /** Resolves once the directories are this stack's: nothing else may be declared before. */
  readonly granted: Promise<void>;

  constructor(name: string, { settings, report }: ClaimArgs, opts?: pulumi.ComponentResourceOptions) {
    super(COMPONENTS.claim, name, {}, opts);
    const stack = fullName(pulumi.getProject(), pulumi.getStack());
    // The engine gives it an id at random. That is in the state before the claim is made, so an update that is killed in
    // between does not lock its own stack out.
    const { id } = new pulumi.Stash(RESOURCES.id, { input: stack }, { parent: this });
    const call = (word: string) =>
      id.apply((STACK_ID) =>
        shellCommand(uploadedCall("claim-directories.sh", settings, { STACK: stack, STACK_ID }, [word])),
      );
    // A new time makes a claim anew that drift has found missing.
    const create = pulumi.interpolate`${call("claim")} # ${report.driftedAt}`;
    const declare = () =>
      new remote.Command(
        RESOURCES.claim,
        {
          ...{ connection: connectionTo(settings), create, update: create, delete: call("release") },
          ...{ stdin: bundle("claim-directories.sh"), addPreviousOutputInEnv: false },
          logging: remote.Logging.None,
        },
        { parent: this },
      );
    this.granted = (async () => {
      const fault = refuseClaim(report.claim, await valueOf(id), stack, settings.server);
      if (fault !== undefined) throw new pulumi.RunError(`${fault} Nothing was changed.`);
      const { stdout } = declare();
      // Who has the claim already need not wait.
      if (report.claim === undefined) await valueOf(stdout);
    })();
    this.registerOutputs();
  }
}

/** An output's value; undefined where a preview cannot know it. The SDK's type declarations leave the function out. */
function valueOf<T>(output: pulumi.Output<T>): Promise<T | undefined> {
  return (output as unknown as { promise: () => Promise<T | undefined> }).promise();
}
