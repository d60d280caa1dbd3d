/** A file that is not what it should be; the message says where. */
export class FixtureError extends Error {}

/** Readers of untyped JSON: each says where and what is wrong, and gives the value its type. */
export type Reader<T> = (value: unknown, path: string) => T

/** A finite number. */
export const number: Reader<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(path, value, 'a number')
  return value
}

/** A whole number from `least` to below `end`. */
export function whole(least: number, end = Number.MAX_SAFE_INTEGER): Reader<number> {
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value >= end) {
      const upTo = end === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to below ${end}`
      throw wrong(path, value, `a whole number ${upTo}`)
    }
    return value
  }
}

/** A string. */
export const string: Reader<string> = (value, path) => {
  if (typeof value !== 'string') throw wrong(path, value, 'a string')
  return value
}

/** An array of `length` entries, or of any number of them. */
export function array<T>(entry: Reader<T>, length?: number): Reader<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrong(path, value, 'an array')
    if (length !== undefined && value.length !== length) {
      throw new FixtureError(`${path} has ${value.length} entries; expected ${length}`)
    }
    return value.map((item, i) => entry(item, `${path}[${i}]`))
  }
}

/** A matrix by rows. */
export const matrix = (rows: number, columns: number): Reader<number[][]> => array(array(number, columns), rows)

/** One value for all, or one for each of `length`. */
export function perUnit<T>(entry: Reader<T>, length: number): Reader<T | T[]> {
  return (value, path) => (Array.isArray(value) ? array(entry, length)(value, path) : entry(value, path))
}

/** An object. */
export const object: Reader<Readonly<Record<string, unknown>>> = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, value, 'an object')
  return value as Record<string, unknown>
}

/** A field of an object. */
export function field<T>(from: Readonly<Record<string, unknown>>, name: string, path: string, reader: Reader<T>): T {
  const here = path === '' ? name : `${path}.${name}`
  if (from[name] === undefined) throw new FixtureError(`${here} is missing`)
  return reader(from[name], here)
}

function wrong(path: string, value: unknown, expected: string): FixtureError {
  const shown = typeof value === 'object' && value !== null ? (Array.isArray(value) ? 'an array' : 'an object') : value
  return new FixtureError(
    `${path} is ${typeof shown === 'string' && shown === value ? `'${value}'` : shown}; expected ${expected}`
  )
}
