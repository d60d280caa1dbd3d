import { flag, type Given, type Options, parseOptions } from './options.js'

/** A command of `mdgl` as a table, from which parsing, help and completion follow. */
export interface CommandTable<O extends Options> {
  /** One line for the list of commands. */
  readonly summary: string
  /** The ways to call it, without `mdgl` and its name. */
  readonly usage: readonly string[]
  /** What it takes and does, above its options in the help. */
  readonly details?: string
  readonly options: O
  /** What there is to know besides, below its options in the help. */
  readonly notes?: string
  /** Whole command lines. */
  readonly examples: readonly string[]
  /** Words that may stand where it takes an argument, for completion. */
  readonly words?: readonly string[]
  /** Runs it and gives the exit code. */
  readonly run: (given: Given<O>) => Promise<number>
}

/** A command of `mdgl`. */
export interface Command extends CommandTable<Options> {
  /** What it was called with, checked option by option. */
  readonly parse: (args: readonly string[]) => Given<Options>
}

/** A command from its table; every command has the option --help. */
export function defineCommand<O extends Options>(table: CommandTable<O>): Command {
  const options: Options = { ...table.options, help: flag('this help') }
  return {
    ...table,
    options,
    parse: args => parseOptions(args, options),
    run: given => table.run(given as Given<O>)
  }
}
