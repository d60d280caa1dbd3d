import { arrayName, isDataView } from './recognise.js'
/**
 * What kind of failure an {@link MdglError} reports.
 *
 * - `'invalid'`: an argument is not allowed; `path`, `value` and `allowed` say which, what and what would be.
 * - `'busy'`: the model is being trained, or a session is open on it, and it cannot be trained or changed a second time at once.
 * - `'disposed'`: the model or the session was disposed of.
 * - `'not-finite'`: a loss, an output, a gradient, a weight, a bias or a moment of the optimiser became infinite or not a number; the model was left as
 *   it was.
 * - `'memory'`: a buffer could not be reserved, after what had become garbage was let go of.
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
  /** Where the value stands, for instance `populations.cells.size`. */
  readonly path?: string | undefined
  /** The value given. */
  readonly value?: unknown
  /** What would have been accepted. */
  readonly allowed?: string | undefined
  /** The error underneath. */
  readonly cause?: unknown
}

/**
 * The one class of errors that mdgl throws or rejects with of its own. As they are pass errors of your own tasks, losses and rules, the
 * reason of a signal that aborts, and what the system says of a file (`ENOENT` and the like).
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
  /** Where the value stands, for instance `populations.cells.size`. */
  readonly path: string | undefined
  /** The value given. */
  readonly value: unknown
  /** What would have been accepted. */
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
