import { existsSync } from "node:fs";
import { type Arguments, bundle, type ScriptName, uploadedCall } from "../infra/model/scripts.ts";
import {
  deployKeyFile,
  explain,
  findDeployKey,
  NO_CONNECTION,
  sshArguments,
  writeDeployKey,
} from "../infra/model/ssh.ts";
import { OperatorError } from "./command.ts";
import { RemoteSession } from "./remote-session.ts";
import { pulumi } from "./pulumi.ts";
import { begin, type CommandResult, lastLine, run, type RunOptions, type Running } from "./run.ts";
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
  private ready?: Promise<boolean>;

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
    const { settings, deployKey } = this.stack;
    const answer = await run("ssh", await this.sshArguments(words), options);
    if (answer.status !== NO_CONNECTION) return answer;
    const fault = explain(answer, { server: settings.server, sshPrivateKey: deployKey && "" });
    throw new UnreachableError(fault ?? "The server does not answer.");
  }

  /** Starts one command to talk to. */
  async converse(words: string[]): Promise<RemoteSession> {
    return new RemoteSession(await this.begin(words));
  }

  /** Starts one command with open streams. */
  async begin(words: string[]): Promise<Running> {
    return begin("ssh", await this.sshArguments(words));
  }

  /** Starts a script, uploaded as above, whose output is too large to keep: the caller reads it as it comes. */
  async stream<S extends ScriptName>(script: S, names: Arguments<S>): Promise<Running> {
    const call = uploadedCall(script, this.stack.settings, names);
    const running = begin("ssh", await this.sshArguments(call));
    running.stdin.on("error", () => undefined).end(bundle(script));
    return running;
  }

  private async sshArguments(words: string[]): Promise<string[]> {
    const withKey = await (this.ready ??= this.provideKey());
    const { name, settings } = this.stack;
    return sshArguments(settings.server, { stack: name, withKey }, words);
  }

  /** What a script prints. @throws OperatorError with the script's last words when it fails */
  async ask<S extends ScriptName>(script: S, names: Arguments<S>, options?: ScriptOptions): Promise<string> {
    return (await this.askAll(script, names, options)).stdout.trim();
  }

  /** The same with what it says on standard error. */
  async askAll<S extends ScriptName>(
    script: S,
    names: Arguments<S>,
    options?: ScriptOptions,
  ): Promise<CommandResult> {
    const answer = await this.script(script, names, options);
    const { status, stderr } = answer;
    if (status !== 0) throw new OperatorError(lastLine(stderr) || `${script} ended with ${status}.`);
    return answer;
  }

  /** Replaces a file that commands keep on the server. */
  async write(path: string, content: string): Promise<void> {
    const { status, stderr } = await this.command(["install", "-m", "600", "/dev/stdin", path], {
      input: content,
    });
    if (status !== 0) throw new OperatorError(`${path} could not be written: ${lastLine(stderr)}`);
  }

  /**
   * Takes the key from the configuration, on a machine where that was not done yet or since the key was replaced. Where
   * Pulumi cannot tell, as without the passphrase, a key that is there goes on, or ssh-agent is asked: in a workflow run it
   * has the key, and few steps know the passphrase.
   *
   * @returns whether the key is in its file
   */
  private async provideKey(): Promise<boolean> {
    const { name, file, deployKey } = this.stack;
    if (deployKey === undefined) return false;
    if (findDeployKey(name, deployKey)) return true;
    const { status, stdout, stderr } = await pulumi(this.stack, ["config", "get", "sshPrivateKey"]);
    if (status === 0) writeDeployKey(name, `${stdout.trimEnd()}\n`, deployKey);
    if (existsSync(deployKeyFile(name))) return true;
    if (process.env.SSH_AUTH_SOCK) return false;
    throw new OperatorError(
      `The deploy key cannot be read from ${file} (${lastLine(stderr)}); put it into ${deployKeyFile(name)}, mode 0600, by hand.`,
    );
  }
}
