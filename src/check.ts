import { invalid } from './error.js'

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

/** A finite number within `[least, below)`. */
export function within(value: unknown, path: string, least: number, below: number): number {
  if (typeof value !== 'number' || !(value >= least && value < below)) {
    throw invalid(path, value, `a number from ${least} to below ${below}`)
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
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(path, value, 'an object')
  return value
}

/** A function. */
export function callable<T>(value: T, path: string): T {
  if (typeof value !== 'function') throw invalid(path, value, 'a function')
  return value
}

/** An array. */
export function array<T>(value: readonly T[], path: string): readonly T[] {
  if (!Array.isArray(value)) throw invalid(path, value, 'an array')
  return value
}

/** A value, or the default for one that is left out; null is not left out. */
export function orDefault<T>(value: T | undefined, fallback: T): T {
  return value === undefined ? fallback : value
}

/** An array, or a typed array over memory that nothing else can change or take away. */
export function numbers(value: unknown, path: string): ArrayLike<number> {
  if (Array.isArray(value)) return value
  if (!ArrayBuffer.isView(value) || value instanceof DataView) throw invalid(path, value, 'an array of numbers')
  return ownMemory(value as NumberArray, path)
}

/** Numbers as floats, as the engine takes them: a typed array of floats is handed on as it is. */
export function floats(value: unknown, path: string): Float64Array | Float32Array {
  const given = numbers(value, path)
  return given instanceof Float64Array || given instanceof Float32Array ? given : Float64Array.from(given)
}

/** A copy of numbers as doubles. */
export function doubles(value: unknown, path: string): Float64Array {
  const given = numbers(value, path)
  // A typed array is copied as a whole; `from` would walk through it as an iterable.
  return ArrayBuffer.isView(given) ? new Float64Array(given as NumberArray) : Float64Array.from(given)
}

/** Refuses views of shared memory (another thread may write while we read) and of detached buffers. */
export function ownMemory<T extends NumberArray>(value: T, path: string): T {
  if (typeof SharedArrayBuffer !== 'undefined' && value.buffer instanceof SharedArrayBuffer) {
    throw invalid(path, value, 'an array over unshared memory (copy it with .slice())')
  }
  if (isDetached(value.buffer)) throw invalid(path, value, 'an array whose buffer was not detached (transferred)')
  return value
}

/** `ArrayBuffer.prototype.detached` came after Node 20; a view of a detached buffer cannot be made. */
function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength > 0) return false
  try {
    new Uint8Array(buffer)
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
