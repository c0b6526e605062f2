import yargs, { type InferredOptionTypes, type Options, type PositionalOptions } from "yargs";

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

/** Arguments that the command does not take. */
class UsageError extends OperatorError {
  constructor(message: string) {
    super(message, EXIT.usage);
  }
}

/** Columns of a verb's help where the terminal does not say how many it has. */
const COLUMNS = 80;
const MOST_COLUMNS = 110;

type Positionals = Record<string, PositionalOptions>;
type OptionSet = Record<string, Options>;
// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- what a verb without any takes
type None = Record<never, never>;
type Arguments<P extends Positionals, O extends OptionSet> = InferredOptionTypes<P> &
  InferredOptionTypes<O> & { stack: string | undefined };

/** A command as an operator types it and a workflow calls it. Its name and summary are in verbs.ts. */
interface Command<P extends Positionals, O extends OptionSet> {
  /** What the summary leaves out: the steps, and what they need. */
  details?: string;
  /** Arguments after the verb, in their order; those without `demandOption` may be left out. */
  positionals?: P;
  options?: O;
  /** Command lines, as typed after `./delivery`, and what each does. */
  examples: Record<string, string>;
  /** What each exit status means beside 0 and that of a wrong usage. */
  exits: Record<number, string>;
  /** Exit status for "the command itself failed", where 1 means something else. Default: 1. */
  failure?: number;
  /** Whether it acts on a stack and takes `--stack`. Default: true. */
  onStack?: boolean;
  /** Gives the exit status where it is not 0. */
  run: (args: Arguments<P, O>) => Promise<number | undefined>;
}

/** A verb, ready to be run. */
export interface Verb {
  /** @param args the words after the verb's name */
  run: (name: string, summary: string, args: string[]) => Promise<void>;
  /** Its options as they are typed: `--json`, `--no-alert`. */
  flags: string[];
  /** What its first argument may be, where that is a fixed set. */
  choices: string[];
}

const STACK: OptionSet = {
  stack: {
    type: "string",
    requiresArg: true,
    describe: "The stack; else $PULUMI_STACK, else the only one there is",
  },
};

/** Makes a command a verb: it reads the arguments, runs and sets the exit status; what is thrown becomes one line. */
export function define<const P extends Positionals = None, const O extends OptionSet = None>(
  command: Command<P, O>,
): Verb {
  const { failure = EXIT.failed, onStack = true } = command;
  const positionals: Positionals = { ...command.positionals };
  const options: OptionSet = { ...command.options, ...(onStack && STACK) };
  const flags = [...Object.entries(options).flatMap(flagsOf), "--help"];
  return {
    flags,
    choices: (Object.values(positionals)[0]?.choices ?? []).map(String),
    async run(name, summary, args) {
      const act = async (parsed: unknown) => {
        process.exitCode = (await command.run(parsed as Arguments<P, O>)) ?? 0;
      };
      try {
        await makeParser({ ...command, positionals, options, name, summary, act }, args).parseAsync();
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (error instanceof UsageError) {
          const { explainUsage } = await import("./mistakes.ts");
          const explained = explainUsage(message, args, usageOf(positionals), flags);
          console.error(`error: ${explained}; see ./delivery ${name} --help`);
        } else {
          for (const line of withCauseLast(message)) console.error(line);
        }
        const status = error instanceof OperatorError ? error.status : EXIT.failed;
        process.exitCode = status === EXIT.failed ? failure : status;
      }
    },
  };
}

/**
 * The lines of an error message as they are shown. The cause comes last, where a log is read first; what belongs to it stands
 * above, with the sentence that heads it.
 */
export function withCauseLast(message: string): string[] {
  const [first = "", ...details] = message.split("\n");
  const [, cause = first, heading] = details.length > 0 ? (/^(.*[.;]) ([^.;]+:)$/.exec(first) ?? []) : [];
  return [...(heading === undefined ? [] : [heading]), ...details, `error: ${cause}`];
}

function flagsOf([name, { type, alias = [], default: preset }]: [string, Options]): string[] {
  const long = type === "boolean" && preset === true ? `--no-${name}` : `--${name}`;
  return [long, ...[alias].flat().map((letter) => `-${letter}`)];
}
/** The arguments as help shows them: `<needed> [optional]`. */
function usageOf(positionals: Positionals): string {
  return Object.entries(positionals)
    .map(([key, { demandOption }]) => (demandOption ? `<${key}>` : `[${key}]`))
    .join(" ");
}

/** The parts of a command that its parser needs. */
interface Syntax {
  name: string;
  summary: string;
  details?: string;
  positionals: Positionals;
  options: OptionSet;
  examples: Record<string, string>;
  exits: Record<number, string>;
  act: (parsed: unknown) => Promise<void>;
}

function makeParser(syntax: Syntax, args: string[]) {
  const { name, summary, details, positionals, options, examples, exits, act } = syntax;
  const statuses = { 0: "done", ...exits, [EXIT.usage]: "wrong usage" };
  const epilogue = Object.entries(statuses).map(([status, what]) => `  ${status.padEnd(4)}${what}`);
  return yargs(args)
    .scriptName(`./delivery ${name}`)
    .detectLocale(false)
    .parserConfiguration({ "duplicate-arguments-array": false, "dot-notation": false })
    .command(
      `$0 ${usageOf(positionals)}`.trim(),
      details === undefined ? summary : `${summary}\n\n${details}`,
      (parser) => {
        for (const [key, positional] of Object.entries(positionals)) parser.positional(key, positional);
        return parser.options(options);
      },
      act,
    )
    .example(Object.entries(examples).map(([line, what]): [string, string] => [`./delivery ${line}`, what]))
    .epilogue(["Exit status:", ...epilogue].join("\n"))
    .check((parsed) => checkValues(parsed, args))
    .help()
    .alias("help", "h")
    .version(false)
    .wrap(Math.min(MOST_COLUMNS, process.stdout.columns || COLUMNS))
    .strict()
    .exitProcess(false)
    .fail((message: string | undefined, error: Error | undefined) => {
      throw error === undefined || error.name === "YError" ? new UsageError(message ?? "wrong usage") : error;
    });
}

/** @throws UsageError with the first value that no command accepts */
function checkValues(parsed: Record<string, unknown>, args: string[]): true {
  // After a `--` options would be read as arguments, and the command would act on another target.
  if (args.includes("--")) throw new UsageError("`--` is not accepted: options go right after the verb");
  for (const [key, value] of Object.entries(parsed)) {
    if (value === "") throw new UsageError(`${key} must not be empty`);
    if (typeof value === "number" && !(Number.isInteger(value) && value >= 0))
      throw new UsageError(`${key} must be a whole number`);
  }
  return true;
}
