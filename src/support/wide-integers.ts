import { isObject, ownMemory } from './check.js'
import { invalid } from './error.js'

/** Whole numbers of 64 bits, as NumPy and HDF5 have them by default. */
export type WideIntegers = BigInt64Array | BigUint64Array

/** Whether a value is an array of whole numbers of 64 bits. */
export function isWide(value: unknown): value is WideIntegers {
  return isObject(value) && ArrayBuffer.isView(value) && (is(value, BigInt64Array) || is(value, BigUint64Array))
}

const is = (value: object, type: { readonly name: string }) =>
  (value as { readonly [Symbol.toStringTag]?: string })[Symbol.toStringTag] === type.name

/** The same numbers as doubles, where it is an array of whole numbers of 64 bits; everything else as it is. */
export function narrowed<T>(value: T | WideIntegers, path: string): T | Float64Array {
  if (!isWide(value)) return value as T
  const wide = ownMemory(value, path)
  const numbers = new Float64Array(wide.length)
  for (let i = 0; i < numbers.length; i++) {
    numbers[i] = Number(wide[i])
    if (!Number.isSafeInteger(numbers[i])) throw invalid(`${path}[${i}]`, wide[i], 'a whole number within ±(2^53 − 1)')
  }
  return numbers
}
