import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DEPLOY_KEY, explain, shellCommand, sshOptions, writeDeployKey } from "../infra/model/ssh.ts";
import { OperatorError } from "./command.ts";
import { RemoteSession } from "./remote-session.ts";
import { pulumi } from "./pulumi.ts";
import { type Answer, begin, lastLine, run, type RunOptions } from "./run.ts";
import { PROJECT, type Stack } from "./stack.ts";

/** The server could not be asked: another thing than a bad answer. */
export class UnreachableError extends OperatorError {}

/**
 * The server over SSH alone, with the very options and the kept connection of infra/ssh.ts. No state is needed: address
 * and host key are in the stack's file, the deploy key where the program has put it.
 */
export class Server {
  private ready?: Promise<void>;

  private readonly stack: Stack;

  constructor(stack: Stack) {
    this.stack = stack;
  }

  /** Runs one of scripts/*.sh, handed over on standard input: what lies on the server may be older, or gone. */
  script(file: string, args: string[], options: Omit<RunOptions, "input"> = {}): Promise<Answer> {
    const input = readFileSync(join(PROJECT, "scripts", "server", file), "utf8");
    return this.command(["bash", "-s", "--", ...args], { ...options, input });
  }

  /** Runs one command. @throws UnreachableError with one sentence */
  async command(words: string[], options: RunOptions = {}): Promise<Answer> {
    const { settings, hasKey } = this.stack;
    const answer = await run("ssh", await this.sshArguments(words), options);
    if (answer.status !== 255) return answer;
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
    const { host, port, user } = settings.server;
    const to = ["-p", String(port), "-l", user, host, shellCommand(words)];
    return [...sshOptions(settings.server, hasKey), ...to];
  }

  /** Runs a script and insists that it ends well. */
  async ask(file: string, args: string[], options: Omit<RunOptions, "input"> = {}): Promise<string> {
    const { status, stdout, stderr } = await this.script(file, args, options);
    if (status !== 0) throw new OperatorError(lastLine(stderr) || `${file} ended with ${status}.`);
    return stdout.trim();
  }

  /** Replaces a file of ours on the server. */
  async write(path: string, content: string): Promise<void> {
    const { status, stderr } = await this.command(["install", "-m", "600", "/dev/stdin", path], {
      input: content,
    });
    if (status !== 0) throw new OperatorError(`${path} could not be written: ${lastLine(stderr)}`);
  }

  /** On a machine where the program has not run yet, the configuration has the key. */
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
