import { type ParseArgsConfig, parseArgs } from 'node:util'
import { MOST_THREADS } from '../engine/engine-session.js'
import { SEED_LIST, seedList } from '../runs/seeds.js'
import { messageOf } from '../support/recognise.js'

/** The options of a command, as Node's `parseArgs` takes them. */
export type OptionsConfig = NonNullable<ParseArgsConfig['options']>

/** A mistake in how a command was called: exit code 2. */
export class UsageError extends Error {}

/** What a command was called with: the values of its options, and the rest. */
export interface Arguments {
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  readonly rest: readonly string[]
}

/** Splits a command's arguments; unknown options and options without their value are usage errors. */
export function split(args: readonly string[], options: OptionsConfig): Arguments {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
    return { options: values as Arguments['options'], rest: positionals }
  } catch (error) {
    // Node explains at length how a value may begin with a dash; the first sentence is the error.
    const message = messageOf(error)
    const dashed = /^Option '(--[\w-]+)[^']*' argument is ambiguous/.exec(message)?.[1]
    if (dashed !== undefined)
      throw new UsageError(`the value of ${dashed} is missing, or begins with a dash (which takes ${dashed}=VALUE)`)
    throw new UsageError(message.split(/\.\s/)[0] ?? message)
  }
}

/** An option's text, if it was given. */
export function text({ options }: Arguments, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

/** An option's whole number of at least `least`, if it was given. */
export function whole(from: Arguments, name: string, least: number): number | undefined {
  const value = text(from, name)
  if (value === undefined) return undefined
  const number = Number(value)
  if (!/^\d+$/.test(value) || number < least || !Number.isSafeInteger(number)) {
    throw new UsageError(`--${name} is '${value}'; it must be a whole number of at least ${least}`)
  }
  return number
}

/** An option's number above 0, if it was given. */
export function positive(from: Arguments, name: string): number | undefined {
  const value = text(from, name)
  if (value === undefined) return undefined
  const number = Number(value)
  if (value.trim() === '' || !Number.isFinite(number) || number <= 0) {
    throw new UsageError(`--${name} is '${value}'; it must be a number above 0`)
  }
  return number
}

/** Refuses options that require something else. */
export function refuse({ options }: Arguments, names: readonly string[], purpose: string): void {
  const refused = names.find(name => options[name] !== undefined)
  if (refused !== undefined) throw new UsageError(`--${refused} requires ${purpose}`)
}

/** The value of --threads. */
export function threadsOf(from: Arguments): number | undefined {
  const threads = whole(from, 'threads', 1)
  if (threads !== undefined && threads > MOST_THREADS) {
    throw new UsageError(`--threads is '${threads}'; it must be at most ${MOST_THREADS}`)
  }
  return threads
}

/** One of a few words, if the option was given. */
export function word<T extends string>(from: Arguments, name: string, allowed: readonly T[]): T | undefined {
  const value = text(from, name)
  return value === undefined ? undefined : known(value, `--${name}`, allowed)
}

/** The word itself where it is among those allowed. */
export function known<T extends string>(value: string, what: string, allowed: readonly T[]): T {
  const found = allowed.find(candidate => candidate === value)
  if (found === undefined) throw new UsageError(`${what} is '${value}'; it must be one of ${allowed.join(', ')}`)
  return found
}

/** A list of words without repeats, if the option was given: `bptt,eprop`. */
export function words<T extends string>(from: Arguments, name: string, allowed: readonly T[]): T[] | undefined {
  const value = text(from, name)
  if (value === undefined) return undefined
  return [...new Set(value.split(',').map(part => known(part.trim(), `--${name}`, allowed)))]
}

/** A list of seeds and ranges of seeds without repeats, if the option was given: `1-5,8`. */
export function seeds(from: Arguments, name: string): number[] | undefined {
  const value = text(from, name)
  if (value === undefined) return undefined
  return seedList(value, part => new UsageError(`--${name} has '${part}'; it must be ${SEED_LIST}`))
}
