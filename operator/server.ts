import { existsSync } from "node:fs";
import { type Arguments, bundle, type ScriptName, uploadedCall } from "../infra/model/scripts.ts";
import { DEPLOY_KEY, explain, NO_CONNECTION, sshArguments, writeDeployKey } from "../infra/model/ssh.ts";
import { OperatorError } from "./command.ts";
import { RemoteSession } from "./remote-session.ts";
import { pulumi } from "./pulumi.ts";
import { begin, type CommandResult, lastLine, run, type RunOptions } from "./run.ts";
import type { Stack } from "./stack.ts";

/** The server could not be reached, so there is no answer at all. */
export class UnreachableError extends OperatorError {}

type ScriptOptions = Omit<RunOptions, "input"> & {
  /** Positional arguments. */
  words?: string[];
};

/**
 * The server over SSH alone, with the options and the kept connection of infra/model/ssh.ts. No state is needed: address
 * and host key are in the stack's file, the deploy key is where the program has put it.
 */
export class Server {
  private ready?: Promise<void>;

  private readonly stack: Stack;

  constructor(stack: Stack) {
    this.stack = stack;
  }

  /** Runs a script, uploaded on standard input: the installed one may be of another version, or gone. */
  script<S extends ScriptName>(
    script: S,
    names: Arguments<S>,
    { words = [], ...options }: ScriptOptions = {},
  ): Promise<CommandResult> {
    const call = uploadedCall(script, this.stack.settings, names, words);
    return this.command(call, { ...options, input: bundle(script) });
  }

  /** Runs one command. @throws UnreachableError with one sentence */
  async command(words: string[], options: RunOptions = {}): Promise<CommandResult> {
    const { settings, hasKey } = this.stack;
    const answer = await run("ssh", await this.sshArguments(words), options);
    if (answer.status !== NO_CONNECTION) return answer;
    const fault = explain(answer, { server: settings.server, sshPrivateKey: hasKey ? "" : undefined });
    throw new UnreachableError(fault ?? "The server does not answer.");
  }

  /** Starts one command to talk to. */
  async converse(words: string[]): Promise<RemoteSession> {
    return new RemoteSession(begin("ssh", await this.sshArguments(words)));
  }

  private async sshArguments(words: string[]): Promise<string[]> {
    await (this.ready ??= this.provideKey());
    const { settings, hasKey } = this.stack;
    return sshArguments(settings.server, hasKey, words);
  }

  /** What a script prints. @throws OperatorError with the script's last words when it fails */
  async ask<S extends ScriptName>(script: S, names: Arguments<S>, options?: ScriptOptions): Promise<string> {
    const { status, stdout, stderr } = await this.script(script, names, options);
    if (status !== 0) throw new OperatorError(lastLine(stderr) || `${script} ended with ${status}.`);
    return stdout.trim();
  }

  /** Replaces a file that commands keep on the server. */
  async write(path: string, content: string): Promise<void> {
    const { status, stderr } = await this.command(["install", "-m", "600", "/dev/stdin", path], {
      input: content,
    });
    if (status !== 0) throw new OperatorError(`${path} could not be written: ${lastLine(stderr)}`);
  }

  /** Takes the key from the configuration on a machine where the program has not run yet. */
  private async provideKey(): Promise<void> {
    if (!this.stack.hasKey || existsSync(DEPLOY_KEY)) return;
    const { status, stdout, stderr } = await pulumi(this.stack, ["config", "get", "sshPrivateKey"]);
    if (status !== 0) {
      throw new OperatorError(
        `The deploy key cannot be read from ${this.stack.file} (${lastLine(stderr)}); put it into ${DEPLOY_KEY}, mode 0600, by hand.`,
      );
    }
    writeDeployKey(`${stdout.trimEnd()}\n`);
  }
}
