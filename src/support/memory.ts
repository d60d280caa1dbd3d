import { invalid, MdglError } from './error.js'

/** More doubles than this, 8 GiB, are probably a typing error. */
const MOST_NUMBERS = 2 ** 30

/** Doubles, all 0; so many that they cannot be had are an error with a name. */
export function newDoubles(count: number, path: string): Float64Array {
  atMostNumbers(count, path)
  return allocated(`${count} numbers`, path, () => new Float64Array(count))
}

/** Calls what makes an array; that it cannot be had is an error with a name. */
export function allocated<T>(what: string, path: string, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new MdglError({ code: 'memory', message: `${path}: ${what} do not fit into memory.`, path, cause })
  }
}

/** Refuses to make more numbers than memory has, before anything is made. */
export function atMostNumbers(count: number, path: string): number {
  if (count > MOST_NUMBERS) throw invalid(path, count, `at most ${MOST_NUMBERS} numbers in all`)
  return count
}
