import yargs, { type Argv } from "yargs";

/** What the operator is told instead of a stack trace: one sentence with the cause and what to do. */
export class OperatorError extends Error {
  /** @param status the command's exit status */
  readonly status: number;

  constructor(message: string, status: number = EXIT.failed) {
    super(message);
    this.status = status;
  }
}

/** Exit statuses that mean the same in every command. */
export const EXIT = { failed: 1, locked: 3, usage: 64 } as const;

/** A command as an operator types it and a workflow calls it. */
interface Command<T = { stack: string | undefined }> {
  /** What is typed after `./delivery`. */
  name: string;
  /** Its arguments after the options, as yargs writes them: `[commit]`. */
  positional?: string;
  describe: string;
  options?: (parser: Argv<{ stack: string | undefined }>) => Argv<T>;
  /** What each exit status means beside 0 and that of a wrong usage. */
  exits: Record<number, string>;
  /** Exit status for "the command itself failed", where 1 means something else. Default: 1. */
  failure?: number;
  /** Gives the exit status where it is not 0. */
  run: (args: T) => Promise<number | undefined>;
}

/** A verb, ready to be run: `args` are the words after it. */
export interface Verb {
  run: (args: string[]) => Promise<void>;
}

/** Makes a command a verb: it reads the arguments, runs and sets the exit status; what is thrown becomes one line. */
export function define<T = { stack: string | undefined }>(command: Command<T>): Verb {
  const { name, positional = "", describe, options, exits, failure = EXIT.failed, run } = command;
  const statuses = { 0: "done", ...exits, [EXIT.usage]: "wrong usage" };
  const epilogue = [
    "Exit status:",
    ...Object.entries(statuses).map(([status, what]) => `  ${status}  ${what}`),
  ];
  const start = async (args: string[]) => {
    await yargs(args)
      .scriptName(`./delivery ${name}`)
      .option("stack", {
        type: "string",
        describe: "The stack; else $PULUMI_STACK, else the only one there is",
      })
      .epilogue(epilogue.join("\n"))
      .command<T>(
        `$0 ${positional}`.trim(),
        describe,
        (parser) => (options ? options(parser) : parser) as Argv<T>,
        (parsed) =>
          run(parsed as T).then(
            (status) => {
              process.exitCode = status ?? 0;
            },
            (error: unknown) => {
              console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
              const status = error instanceof OperatorError ? error.status : EXIT.failed;
              process.exitCode = status === EXIT.failed ? failure : status;
            },
          ),
      )
      .version(false)
      .wrap(Math.min(110, process.stdout.columns || 110))
      .strict()
      .fail((message: string | undefined, error: Error | undefined) => {
        console.error(`error: ${message ?? error?.message ?? "wrong usage"}; see ./delivery ${name} --help`);
        process.exit(EXIT.usage);
      })
      .parseAsync();
  };
  return { run: start };
}
