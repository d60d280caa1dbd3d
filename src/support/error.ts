import { arrayName, isDataView } from './recognise.js'
/**
 * What kind of failure an {@link MdglError} reports.
 *
 * - `'invalid'`: an argument is not allowed; `path` names it, `value` is what was given, `allowed` says what is allowed.
 * - `'busy'`: the model is being trained, or a session is open on it, so that it cannot be trained or changed otherwise.
 * - `'disposed'`: the model or the session was disposed of.
 * - `'not-finite'`: a loss, an output, a gradient, a weight, a bias or a moment of the optimiser would have become infinite or not a number; the model is
 *   unchanged.
 * - `'memory'`: memory could not be allocated, even after a garbage collection.
 * - `'file'`: a file is damaged or of another format.
 * - `'cancelled'`: the computation was stopped by the library itself (an abort rejects with the signal's reason instead).
 * - `'platform'`: the engine is missing or does not load on this platform, and `import 'mdgl'` itself fails; or a package that a function needs is not
 *   installed.
 * - `'internal'`: a bug in mdgl.
 */
export type ErrorCode =
  | 'invalid'
  | 'busy'
  | 'disposed'
  | 'not-finite'
  | 'memory'
  | 'file'
  | 'cancelled'
  | 'platform'
  | 'internal'

/** The parts of an {@link MdglError}. */
export interface ErrorDetails {
  /** The kind of failure. */
  readonly code: ErrorCode
  /** A full sentence. */
  readonly message: string
  /** Path of the value, for instance `populations.cells.size`. */
  readonly path?: string | undefined
  /** The value given. */
  readonly value?: unknown
  /** What is allowed. */
  readonly allowed?: string | undefined
  /** The error that caused it. */
  readonly cause?: unknown
}

/**
 * The class of all errors of mdgl itself. Errors of your own tasks, losses and rules, the reason of an abort signal, and the system's errors for
 * files (such as `ENOENT`) pass through unchanged.
 *
 * @example
 * ```ts
 * try {
 *   Model.create({ ...description, dt: -1 });
 * } catch (error) {
 *   if (!(error instanceof MdglError)) throw error;
 *   console.log(error.code, error.path, error.value, error.allowed); // invalid dt -1 a finite number above 0
 * }
 * ```
 */
export class MdglError extends Error {
  /** The class's name. */
  override readonly name = 'MdglError'
  /** The kind of failure. */
  readonly code: ErrorCode
  /** Path of the value, for instance `populations.cells.size`. */
  readonly path: string | undefined
  /** The value given. */
  readonly value: unknown
  /** What is allowed. */
  readonly allowed: string | undefined

  /**
   * @param details - The parts of the error.
   * @throws {@link MdglError} `'invalid'` for details that are no object.
   */
  constructor(details: ErrorDetails) {
    super(checked(details).message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = details.code
    this.path = details.path
    this.value = details.value
    this.allowed = details.allowed
  }
}

function checked(details: ErrorDetails): ErrorDetails {
  if (typeof details === 'object' && details !== null && typeof details.message === 'string') return details
  throw invalid('details', details, 'an object with a code and a message')
}

/** An `'invalid'` error: `path` is `value`, but only `allowed` is accepted. */
export function invalid(path: string, value: unknown, allowed: string): MdglError {
  const message = `${clip(path, LONGEST_PATH)} is ${show(value)}; allowed: ${clip(allowed, LONGEST_ALLOWED)}.`
  return new MdglError({ code: 'invalid', message, path, value, allowed })
}

const LONGEST_VALUE = 60
/** A path has names of the caller's in it. */
const LONGEST_PATH = 300
/** And so have lists of what is known. */
const LONGEST_ALLOWED = 1000
/** Of a list that is shown entry by entry. */
const MOST_ENTRIES = 4

function show(value: unknown): string {
  if (typeof value === 'string') return clip(`'${value}'`)
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return clip(String(value))
  try {
    return showObject(value)
  } catch {
    return 'an object that cannot be read'
  }
}

function showObject(value: object): string {
  if (isDataView(value)) return `a DataView of ${value.byteLength} bytes`
  const kind = arrayName(value)
  if (kind !== undefined) return `a ${kind} of ${(value as Uint8Array).length}`
  if (Array.isArray(value)) {
    const entries = value.length <= MOST_ENTRIES ? Object.keys(value).map(key => entry(value, key)) : []
    const all = entries.length > 0 && entries.length === value.length && entries.every(shown => shown !== undefined)
    return all ? clip(`[${entries.join(', ')}]`) : `an array of ${value.length}`
  }
  const parts = givenKeys(value).map(key => {
    const shown = entry(value, key)
    return shown === undefined ? key : `${key}: ${shown}`
  })
  return `an object {${clip(parts.join(', '))}}`
}

/** A part that is no object, in words; the caller's getters are not run. */
function entry(value: object, key: string): string | undefined {
  const part: unknown = Object.getOwnPropertyDescriptor(value, key)?.value
  if (part === undefined || typeof part === 'function' || (typeof part === 'object' && part !== null)) return undefined
  return show(part)
}

/** Keys without those that are undefined: checked values may carry options that were not given. No getter of the caller's is run. */
function givenKeys(value: object): string[] {
  return Object.keys(value).filter(key => {
    const descriptor = Object.getOwnPropertyDescriptor(value, key)
    return descriptor !== undefined && !('value' in descriptor && descriptor.value === undefined)
  })
}

function clip(text: string, longest = LONGEST_VALUE): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}…`
}
