import { types } from 'node:util'
import fc from 'fast-check'
import {
  type AnyTypedArray,
  detach,
  hostileValues,
  memories,
  Own,
  revoked,
  type TypedArrayClass,
  throwing
} from './values.js'

/** How a place is damaged. */
const WAYS = [
  'replace',
  'remove',
  'add',
  'throwing getter',
  'fickle getter',
  'proxy',
  'revoked proxy',
  'throwing proxy',
  'length',
  'memory',
  'kind'
] as const
/** How a function of the caller's misbehaves. */
const MISDEEDS = ['throws', 'rejects', 'returns', 'returns damaged', 're-enters', 'spoils', 'detaches'] as const

/** One damage: plain JSON, so that a report can be run again. */
export interface Damage {
  readonly how: (typeof WAYS)[number] | (typeof MISDEEDS)[number]
  /** Which of the places that can be damaged so: its number modulo their count. */
  readonly at: number
  /** A name of {@link hostileValues}. */
  readonly value: string
}

/** Damages of a call's arguments: mostly one, so that it is not hidden behind another. */
export const damages: fc.Arbitrary<Damage[]> = fc.array(
  fc.record({
    how: fc.oneof(
      { weight: 6, arbitrary: fc.constant('replace' as const) },
      { weight: 6, arbitrary: fc.constantFrom(...WAYS) },
      { weight: 4, arbitrary: fc.constantFrom(...MISDEEDS) }
    ),
    at: fc.nat(9999),
    value: fc.constantFrom(...Object.keys(hostileValues))
  }),
  { minLength: 1, maxLength: 3, size: 'xsmall' }
)

/** What a damage did, for the judge. */
export interface Done {
  /** Where, for instance `[1].inputs.cues`. */
  readonly path: string
  /** What stood there. */
  readonly before: unknown
  readonly damage: Damage
}

interface Place {
  readonly parent: Record<string, unknown>
  readonly key: string
  readonly path: string
}

/** Enough of a long array to find its bounds. */
const ELEMENTS = 3
const DEEPEST = 8
/** What is longer has holes alone, and takes minutes to copy. */
const LONGEST = 2 ** 20

/** Arguments whose plain parts are the caller's own to damage; models, functions and typed arrays stay the same. */
export function thawed<T>(value: T): T {
  if (isList(value)) return value.map(thawed) as T
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, thawed(part)])) as T
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return false
  return Object.getPrototypeOf(value) === Object.prototype
}

const isList = (value: unknown): value is unknown[] => !types.isProxy(value) && Array.isArray(value)

/** Every place of the arguments, the deep ones too. Typed arrays are places, and some of their elements. */
function places(parent: object, path = '', depth = 0): Place[] {
  const keys = Object.keys(parent)
  const some = keys.length > 2 * ELEMENTS && !isPlain(parent) ? [...keys.slice(0, ELEMENTS), ...keys.slice(-1)] : keys
  return some.flatMap(key => {
    const descriptor = Object.getOwnPropertyDescriptor(parent, key)
    if (descriptor === undefined || !('value' in descriptor)) return []
    const place = { parent: parent as Place['parent'], key, path: path + (isPlain(parent) ? `.${key}` : `[${key}]`) }
    const { value } = descriptor
    const inner = depth < DEEPEST && (isPlain(value) || isList(value) || ArrayBuffer.isView(value))
    return [place, ...(inner ? places(value, place.path, depth + 1) : [])]
  })
}

/** Uses the library from within its own callback, in one of several ways. */
export type Reentry = (which: number) => unknown

/** Damages arguments in place. Gives what was done; nothing where there is no such place, or an earlier damage stands in the way. */
export function damageArguments(args: unknown[], damage: Damage, reenter: Reentry): Done | undefined {
  try {
    return damageOne(args, damage, reenter)
  } catch (error) {
    if (error instanceof Own) return undefined
    throw error
  }
}

function damageOne(args: unknown[], damage: Damage, reenter: Reentry): Done | undefined {
  const all = places(args)
  // Arguments are passed one by one: a list of them has no getters.
  const getters = damage.how.endsWith('getter')
  const fitting = all.filter(
    ({ parent, key }) => fits(parent[key], parent, damage.how) && !(getters && (parent as unknown) === args)
  )
  const place = fitting[damage.at % fitting.length]
  if (place === undefined) return undefined
  const before = place.parent[place.key]
  if (isRounded(place.parent, damage)) return undefined
  change(place, before, damage, reenter)
  return { path: place.path, before, damage }
}

/** An integer array takes what it is given for some integer, before the library sees it. */
function isRounded(parent: object, { how, value }: Damage): boolean {
  if (how !== 'replace' || !ArrayBuffer.isView(parent)) return false
  const float = parent instanceof Float64Array || parent instanceof Float32Array
  return typeof hostileValues[value]?.() !== 'number' || (value === 'NaN' && !float)
}

function fits(value: unknown, parent: object, how: Damage['how']): boolean {
  const inView = ArrayBuffer.isView(parent)
  if ((MISDEEDS as readonly string[]).includes(how)) return typeof value === 'function'
  if (how === 'replace') return !inView || typeof value === 'number'
  if (inView) return false
  if (how === 'length') return (isList(value) && value.length < LONGEST) || isNumbers(value)
  if (how === 'memory' || how === 'kind') return isNumbers(value)
  if (how.endsWith('proxy')) return (typeof value === 'object' && value !== null) || typeof value === 'function'
  if (how === 'add') return isPlain(value)
  return true
}

/** A typed array that another damage has not taken the numbers from. */
function isNumbers(value: unknown): value is AnyTypedArray {
  return ArrayBuffer.isView(value) && value.byteLength > 0 && typeof (value as AnyTypedArray)[0] === 'number'
}

function change({ parent, key }: Place, before: unknown, damage: Damage, reenter: Reentry): void {
  const made = hostileValues[damage.value]?.()
  switch (damage.how) {
    case 'replace':
      if (!ArrayBuffer.isView(parent)) put(parent, key, made)
      else if (typeof made === 'number') Object.assign(parent, { [key]: made })
      return
    case 'remove':
      if (Array.isArray(parent)) parent.splice(Number(key), 1)
      else delete parent[key]
      return
    case 'add':
      Object.defineProperty(before, damage.at % 2 === 0 ? 'hostile' : '__proto__', {
        value: made,
        enumerable: true,
        configurable: true
      })
      return
    case 'throwing getter':
      getter(parent, key, () => {
        throw new Own('a getter')
      })
      return
    case 'fickle getter': {
      let left = 1 + (damage.at % 4)
      getter(parent, key, () => (left-- > 0 ? before : made))
      return
    }
    case 'proxy':
      put(parent, key, new Proxy(before as object, {}))
      return
    case 'revoked proxy':
      put(parent, key, revoked(before as object))
      return
    case 'throwing proxy':
      put(parent, key, throwing(before as object))
      return
    case 'length':
      put(parent, key, otherLength(before as unknown[] | AnyTypedArray, damage.at, made))
      return
    case 'memory': {
      put(parent, key, memories[memoryOf(damage)](before as AnyTypedArray))
      return
    }
    case 'kind':
      put(parent, key, otherKind(before as AnyTypedArray, damage.at))
      return
    default:
      put(parent, key, misbehaving(before as AnyFunction, damage, reenter))
  }
}

/** Which memory a damage of that kind gives. */
export function memoryOf({ at }: Damage): keyof typeof memories {
  const names = Object.keys(memories) as (keyof typeof memories)[]
  return names[at % names.length] ?? 'shared'
}

/** Over a getter too. */
function put(parent: object, key: string, value: unknown): void {
  Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true })
}

function getter(parent: object, key: string, get: () => unknown): void {
  Object.defineProperty(parent, key, { enumerable: true, configurable: true, get })
}

function otherLength(array: unknown[] | AnyTypedArray, at: number, made: unknown): unknown {
  if (ArrayBuffer.isView(array)) return array.slice(0, [0, 1, array.length - 1, array.length][at % 4])
  const lengthened = [[], array.slice(1), [...array, made], [...array, ...array]]
  return lengthened[at % lengthened.length]
}

const KINDS = [
  Float64Array,
  Float32Array,
  Uint32Array,
  Int32Array,
  Uint16Array,
  Uint8Array,
  Int8Array,
  Uint8ClampedArray
]

function otherKind(array: AnyTypedArray, at: number): unknown {
  if (at % 10 === 8) return new DataView(array.buffer)
  if (at % 10 === 9) return BigInt64Array.from({ length: array.length }, () => 1n)
  return new (KINDS[at % KINDS.length] as TypedArrayClass)(Array.from(array))
}

type AnyFunction = (...given: unknown[]) => unknown

/** A function of the caller's that does something else than it should. */
function misbehaving(honest: AnyFunction, damage: Damage, reenter: Reentry): AnyFunction {
  const made = () => hostileValues[damage.value]?.()
  switch (damage.how) {
    case 'throws':
      return () => {
        throw new Own('a callback')
      }
    case 'rejects':
      return () => {
        const promise = Promise.reject(new Own('a promise'))
        // Where nobody waits for it, it is the caller's own affair.
        promise.catch(() => undefined)
        return promise
      }
    case 'returns':
      return made
    case 'returns damaged':
      return (...given) => {
        const answer = [thawed(honest(...given))]
        damageArguments(answer, { ...damage, how: WAYS[damage.at % WAYS.length] ?? 'replace' }, reenter)
        return answer[0]
      }
    case 're-enters':
      return (...given) => {
        reenter(damage.at)
        return honest(...given)
      }
    case 'spoils':
      return (...given) => {
        const answer = honest(...given)
        eachView(given, view => void new Uint8Array(view.buffer, view.byteOffset, view.byteLength).fill(7))
        return answer
      }
    default:
      return (...given) => {
        const answer = honest(...given)
        eachView(given, view => detach(view.buffer))
        return answer
      }
  }
}

/** Every typed array of the arguments that a callback was given. */
function eachView(value: unknown, body: (view: AnyTypedArray) => void, depth = 0): void {
  if (typeof value !== 'object' || value === null || types.isProxy(value) || depth > 5) return
  if (ArrayBuffer.isView(value)) value.byteLength > 0 && body(value as AnyTypedArray)
  else for (const part of Object.values(value)) eachView(part, body, depth + 1)
}
