import type { PlainValue } from '#native'
import { finite, type NumberArray, numbers, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import { allocated } from '../support/memory.js'
import { isFloat64Array, isUint32Array } from '../support/recognise.js'

/** A long list of numbers in a checked description. */
type LongList = Uint32Array | Float64Array

/** What does not fit into memory, for the message. */
const NUMBERS = 'its numbers'

/**
 * A copy of whole numbers below a number of units.
 *
 * @param length - How many there must be.
 */
export function indices(value: unknown, units: number, path: string, length?: number): Uint32Array {
  const given = copied(value, path, length)
  const list = isUint32Array(given) ? given : allocated(NUMBERS, path, () => new Uint32Array(given.length))
  for (let i = 0; i < list.length; i++) {
    const entry = given[i]
    const fits = typeof entry === 'number' && Number.isInteger(entry) && entry >= 0 && entry < units
    list[i] = fits ? entry : wholeNumber(entry, `${path}[${i}]`, 0, units - 1)
  }
  return asList(list)
}

/** A copy of finite numbers; −0 becomes 0, as in JSON. */
export function finiteNumbers(value: unknown, path: string, length?: number): Float64Array {
  const given = copied(value, path, length)
  const list = isFloat64Array(given) ? given : allocated(NUMBERS, path, () => new Float64Array(given.length))
  for (let i = 0; i < list.length; i++) {
    const entry = given[i]
    list[i] = (typeof entry === 'number' && Number.isFinite(entry) ? entry : finite(entry, `${path}[${i}]`)) + 0
  }
  return asList(list)
}

/** The length of a typed array may have been defined anew: that of its copy has not. */
function copied(value: unknown, path: string, length?: number): ArrayLike<unknown> {
  const given = numbers(value, path)
  const copy = ArrayBuffer.isView(given) ? allocated(NUMBERS, path, () => typedCopy(given as NumberArray)) : given
  if (length === undefined || copy.length === length) return copy
  throw invalid(path, copy, `as many entries as pre has (${length})`)
}

function typedCopy(given: NumberArray): LongList {
  return isUint32Array(given) ? new Uint32Array(given) : new Float64Array(given)
}

/** Makes JSON write a typed array as a list; by itself it is an object with a key for each entry there. */
function asList<L extends LongList>(list: L): L {
  return Object.defineProperty(list, 'toJSON', { value: entries })
}

function entries(this: ArrayLike<number>): number[] {
  const list: number[] = []
  for (let i = 0; i < this.length; i++) list.push(this[i] ?? 0)
  return list
}

/** A checked description as it crosses to the engine: long lists stand beside the JSON, in which `{list: k}` is the k-th. */
export function pack(description: object): PlainValue {
  const lists: LongList[] = []
  const skeleton = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (isUint32Array(value) || isFloat64Array(value)) return { list: lists.push(value) - 1 }
    if (Array.isArray(value)) return value.map(skeleton)
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, skeleton(part)]))
  }
  return { json: JSON.stringify(skeleton(description)), lists }
}

/** The description of what {@link pack} made, frozen but for its lists, which are those given. */
export function unpack({ json, lists }: PlainValue): unknown {
  const whole = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return Object.freeze(value.map(whole))
    const list = 'list' in value ? lists[Number(value.list)] : undefined
    if (list !== undefined) return asList(list)
    return Object.freeze(Object.fromEntries(Object.entries(value).map(([key, part]) => [key, whole(part)])))
  }
  return whole(JSON.parse(json))
}
