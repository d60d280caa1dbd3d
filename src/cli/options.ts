import { parseArgs } from 'node:util'
import { CODE_FILES, isCodeFile } from '../runs/code-file.js'
import { SEED_LIST, seedList } from '../runs/seeds.js'
import { messageOf } from '../support/recognise.js'

/** A mistake in how a command was called: exit code 2. */
export class UsageError extends Error {}

/** An option of a command: how it is parsed, and what help and completion say of it. */
export interface Option<T = unknown> {
  /** What stands for its value in the help; a flag has none. */
  readonly value?: string
  /** What it does, with unit, range and default. */
  readonly text: string
  /** The words allowed, where they are listed. */
  readonly choices?: readonly string[]
  /** Whether a file may stand in place of one of these words. */
  readonly files?: true
  /** The value of what was given after `--name`. */
  readonly parse: (given: string, name: string) => T
  /** The one value of all that were given; an option without this may stand once. */
  join?(values: readonly T[]): T
}

/** A command's options by name. */
export type Options = Readonly<Record<string, Option>>

/** What a command was called with: the values of its options, and its other arguments. */
export interface Given<O extends Options> {
  readonly options: { readonly [K in keyof O]?: O[K] extends Option<infer T> ? T : never }
  readonly rest: readonly string[]
}

/** An option without a value. */
export const flag = (text: string): Option<true> => ({ text, parse: () => true })

/** An option whose value is taken as it is. */
export const words = (value: string, text: string): Option<string> => ({ value, text, parse: given => given })

/** An option's whole number within a range. */
export function whole(value: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): Option<number> {
  const parse = (given: string, name: string) => {
    const number = Number(given)
    if (!/^\d+$/.test(given) || number < least || !Number.isSafeInteger(number))
      throw new UsageError(`--${name} is '${given}'; it must be a whole number of at least ${least}`)
    if (number > most) throw new UsageError(`--${name} is '${given}'; it must be at most ${most}`)
    return number
  }
  return { value, text, parse }
}

/** An option's number above 0. */
export function positive(value: string, text: string, most = Number.POSITIVE_INFINITY): Option<number> {
  const parse = (given: string, name: string) => {
    const number = Number(given)
    if (given.trim() === '' || !Number.isFinite(number) || number <= 0)
      throw new UsageError(`--${name} is '${given}'; it must be a number above 0`)
    if (number > most) throw new UsageError(`--${name} is '${given}'; it must be at most ${most}`)
    return number
  }
  return { value, text, parse }
}

/** An option's word, one of those allowed. */
export const choice = <T extends string>(value: string, text: string, choices: readonly T[]): Option<T> => ({
  value,
  text,
  choices,
  parse: (given, name) => known(given, `--${name}`, choices)
})

/** An option's list of words without repeats: `bptt,eprop`. */
export const choiceList = <T extends string>(value: string, text: string, choices: readonly T[]): Option<T[]> => ({
  value,
  text,
  choices,
  parse: (given, name) => [...new Set(given.split(',').map(part => known(part.trim(), `--${name}`, choices)))]
})

/** An option's word, one of those allowed, or a file of code. */
export const choiceOrFile = (value: string, text: string, choices: readonly string[]): Option<string> => ({
  value,
  text,
  choices,
  files: true,
  parse: (given, name) => knownOrFile(given, `--${name}`, choices)
})

/** An option's word, one of those allowed, or a JSON file. */
export const choiceOrJson = (value: string, text: string, choices: readonly string[]): Option<string> => ({
  value,
  text,
  choices,
  files: true,
  parse: (given, name) => {
    if (given.endsWith('.json') || choices.includes(given)) return given
    throw new UsageError(`--${name} is '${given}'; it must be one of ${choices.join(', ')}, or a .json file`)
  }
})

/** An option's list of words and files of code without repeats. */
export const choiceListOrFiles = (value: string, text: string, choices: readonly string[]): Option<string[]> => ({
  value,
  text,
  choices,
  files: true,
  parse: (given, name) => [...new Set(given.split(',').map(part => knownOrFile(part.trim(), `--${name}`, choices)))]
})

/** An option's list of seeds and ranges of seeds without repeats: `1-5,8`. */
export const seeds = (value: string, text: string): Option<number[]> => ({
  value,
  text,
  parse: (given, name) => seedList(given, part => new UsageError(`--${name} has '${part}'; it must be ${SEED_LIST}`))
})

/** An option's file, whose name has one of a few endings. */
export function file(value: string, text: string, endings: readonly string[]): Option<string> {
  const parse = (given: string, name: string) => {
    checkEnding(given, `--${name}`, endings)
    return given
  }
  return { value, text, parse }
}

/** Refuses the name of a file with another ending than those allowed. */
export function checkEnding(path: string, what: string, endings: readonly string[]): void {
  if (!endings.some(ending => path.endsWith(ending)))
    throw new UsageError(`${what} is '${path}'; it must end in ${endings.join(' or ')}`)
}

/** The word itself where it is among those allowed. */
export function known<T extends string>(value: string, what: string, allowed: readonly T[]): T {
  const found = allowed.find(candidate => candidate === value)
  if (found === undefined) throw new UsageError(`${what} is '${value}'; it must be one of ${allowed.join(', ')}`)
  return found
}

function knownOrFile(value: string, what: string, allowed: readonly string[]): string {
  if (isCodeFile(value) || allowed.includes(value)) return value
  throw new UsageError(`${what} is '${value}'; it must be one of ${allowed.join(', ')}, or ${CODE_FILES}`)
}

/** The one argument that a command takes beside its options. */
export function oneArgument([first, ...more]: readonly string[], missing: string): string {
  if (first === undefined) throw new UsageError(missing)
  noArgument(more)
  return first
}

/** Refuses arguments beside the options. */
export function noArgument([first]: readonly string[], where = ''): void {
  if (first !== undefined) throw new UsageError(`'${first}' is one argument too many${where}`)
}

/** Refuses options that require something else. */
export function refuse(given: Given<Options>, names: readonly string[], purpose: string): void {
  const refused = names.find(name => given.options[name] !== undefined)
  if (refused !== undefined) throw new UsageError(`--${refused} requires ${purpose}`)
}

/** Parses a command's arguments; unknown options, options without their value and wrong values are usage errors. */
export function parseOptions<O extends Options>(args: readonly string[], options: O): Given<O> {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { value, join }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        multiple: join !== undefined,
        ...(name === 'help' && { short: 'h' })
      }
    ])
  )
  const { values, positionals } = strictly(() =>
    parseArgs({ args: [...args], options: config, allowPositionals: true, strict: true })
  )
  const parsed = Object.entries(values).map(([name, value]) => [name, optionValue(options[name], value, name)])
  return { options: Object.fromEntries(parsed), rest: positionals }
}

/** The value of an option from what stood after it, at each time that it was given. */
function optionValue(option: Option | undefined, given: unknown, name: string): unknown {
  if (typeof given === 'string') return option?.parse(given, name)
  if (!Array.isArray(given)) return true
  return option?.join?.(given.map(each => option.parse(String(each), name)))
}

/** Node explains at length how a value may begin with a dash; the first sentence is the error. */
function strictly<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    const message = messageOf(error)
    const dashed = /^Option '(--[\w-]+)[^']*' argument is ambiguous/.exec(message)?.[1]
    if (dashed !== undefined)
      throw new UsageError(`the value of ${dashed} is missing, or begins with a dash (which takes ${dashed}=VALUE)`)
    throw new UsageError(message.split(/\.\s/)[0] ?? message)
  }
}
