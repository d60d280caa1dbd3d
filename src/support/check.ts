import { invalid } from './error.js'
import { arrayName, isDataView, isFloatArray, isSharedArrayBuffer } from './recognise.js'

/** A typed array of numbers. */
export type NumberArray = Float64Array | Float32Array | Uint32Array | Int32Array | Uint16Array | Uint8Array

/** A whole number within `[least, most]`. */
export function wholeNumber(value: unknown, path: string, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
    const upTo = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
    throw invalid(path, value, `a whole number ${upTo}`)
  }
  return value
}

/** Any finite number. */
export function finite(value: unknown, path: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(path, value, 'a finite number')
  return value
}

/** A finite number above 0. */
export function positive(value: unknown, path: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    throw invalid(path, value, 'a finite number above 0')
  }
  return value
}

/** A finite number of at least 0. */
export function nonNegative(value: unknown, path: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw invalid(path, value, 'a finite number of at least 0')
  }
  return value
}

/** True or false. */
export function flag(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw invalid(path, value, 'true or false')
  return value
}

/** A string with at least one character. */
export function text<S extends string>(value: S, path: string): S {
  if (typeof value !== 'string' || value.length === 0) throw invalid(path, value, 'a non-empty string')
  return value
}

/** One of a few words or values. */
export function oneOf<T>(value: unknown, path: string, allowed: readonly T[]): T {
  const found = allowed.find(candidate => candidate === value)
  if (found === undefined) throw invalid(path, value, list(allowed))
  return found
}

/** A plain object whose keys are all known. */
export function record<T extends object>(value: T, path: string, keys: readonly (keyof T & string)[]): T {
  object(value, path)
  const unknown = Object.keys(value).find(key => !(keys as readonly string[]).includes(key))
  if (unknown !== undefined) throw invalid(`${path}.${unknown}`, value[unknown as keyof T], `only ${list(keys)}`)
  return value
}

/** Any object that is neither null nor an array. */
export function object<T>(value: T, path: string): T {
  if (!isObject(value) || Array.isArray(value)) throw invalid(path, value, 'an object')
  return value
}

/** The options of a part, without what the function and its other arguments say. */
export function withoutKeys<O extends object>(options: O, said: readonly string[], path = 'options'): O {
  object(options, path)
  const twice = said.find(key => Object.hasOwn(options, key))
  if (twice !== undefined)
    throw invalid(`${path}.${twice}`, Reflect.get(options, twice), 'nothing: the method gives it')
  return options
}

/** Whether a value is an object of which anything can be asked: not null, and no proxy that was revoked. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !isRevoked(value)
}

/** Nothing else makes this throw, and it runs no code of the caller's. */
function isRevoked(value: unknown): boolean {
  try {
    Array.isArray(value)
    return false
  } catch {
    return true
  }
}

/** A function. */
export function callable<T>(value: T, path: string): T {
  if (typeof value !== 'function' || isRevoked(value)) throw invalid(path, value, 'a function')
  return value
}

/** An array with more entries than this is one with a length alone, which would take minutes to iterate over. */
const MOST_ENTRIES = 2 ** 28

/** A copy of an array, in which what is missing is `undefined`. */
export function array<T>(value: readonly T[], path: string): readonly T[] {
  if (!isObject(value) || !Array.isArray(value)) throw invalid(path, value, 'an array')
  return copied(value, path)
}

/** Each entry is read once: what has been checked is what is used. */
function copied<T>(value: readonly T[], path: string): T[] {
  const { length } = value
  if (length > MOST_ENTRIES) throw invalid(path, value, `an array of at most ${MOST_ENTRIES} entries`)
  const copy: T[] = []
  for (let i = 0; i < length; i++) copy.push(value[i] as T)
  return copy
}

/** A value, or the default for one that is left out; null is not left out. */
export function orDefault<T>(value: T | undefined, fallback: T): T {
  return value === undefined ? fallback : value
}

/** A copy of an array, or a typed array over memory that nothing else can change or take away. */
export function numbers(value: unknown, path: string): ArrayLike<number> {
  if (isObject(value) && Array.isArray(value)) return copied<number>(value, path)
  if (!isNumberArray(value)) throw invalid(path, value, 'an array of numbers')
  return ownMemory(value, path)
}

function isNumberArray(value: unknown): value is NumberArray {
  const name = arrayName(value)
  return name !== undefined && !name.startsWith('Big')
}

/** Refuses a list that holds anything but numbers: it would be taken for some number without a word. */
function numbersAlone(given: ArrayLike<number>, path: string): ArrayLike<number> {
  if (ArrayBuffer.isView(given)) return given
  const wrong = (given as readonly unknown[]).findIndex(value => typeof value !== 'number')
  if (wrong >= 0) throw invalid(`${path}[${wrong}]`, given[wrong], 'a number')
  return given
}

/** Numbers as floats, as the engine takes them: a typed array of floats is handed on as it is. */
export function floats(value: unknown, path: string): Float64Array | Float32Array {
  const given = numbersAlone(numbers(value, path), path)
  return isFloatArray(given) ? given : Float64Array.from(given)
}

/** A copy of numbers as doubles. */
export function doubles(value: unknown, path: string): Float64Array {
  const given = numbersAlone(numbers(value, path), path)
  // A typed array is copied as a whole; `from` would walk through it as an iterable.
  return ArrayBuffer.isView(given) ? new Float64Array(given as NumberArray) : Float64Array.from(given)
}

/** Refuses views of shared memory (another thread may write while we read), of detached buffers and of what a buffer has lost. */
export function ownMemory<T extends ArrayBufferView>(value: T, path: string): T {
  if (isSharedArrayBuffer(value.buffer)) {
    throw invalid(path, value, 'an array over unshared memory (copy it with .slice())')
  }
  if (isLost(value)) throw invalid(path, value, 'an array whose buffer was not detached (transferred)')
  return value
}

/** Whether a view's buffer was detached, or became too short for it: then it has no elements to go through. */
function isLost(view: ArrayBufferView): boolean {
  if (view.byteLength > 0 || isDataView(view)) return false
  try {
    Uint8Array.prototype.keys.call(view as Uint8Array)
    return false
  } catch {
    return true
  }
}

/** The words of a list for a message: `'a', 'b' or 'c'`. */
export function list(words: readonly unknown[]): string {
  if (words.length === 0) return 'nothing (none is defined)'
  const quoted = words.map(word => (typeof word === 'string' ? `'${word}'` : String(word)))
  const last = quoted.pop()
  return quoted.length === 0 ? String(last) : `${quoted.join(', ')} or ${last}`
}
