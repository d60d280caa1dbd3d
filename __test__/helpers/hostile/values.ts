import { runInNewContext } from 'node:vm'

/** An error of the caller's own: what a hostile getter, trap or callback throws, and what must come back as it is. */
export class Own extends Error {
  override readonly name = 'Own'
}

const Resizable = ArrayBuffer as unknown as new (
  length: number,
  options: { maxByteLength: number }
) => ArrayBuffer & { resize(length: number): void }

/** A typed array of numbers, whatever its elements are. */
export type AnyTypedArray = Float64Array | Float32Array | Uint32Array | Int32Array | Uint8Array
/** The class of a typed array. */
export type TypedArrayClass = new (
  given: ArrayBufferLike | ArrayLike<number> | number,
  offset?: number,
  length?: number
) => AnyTypedArray

/** Hands a buffer over to nobody. */
export function detach(buffer: ArrayBufferLike): void {
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })
}

/** Where `instanceof` tells nothing of the library's. */
const OTHER_REALM = runInNewContext('globalThis') as Record<string, unknown>

/** The same numbers over memory of another kind, or in an array of another realm. */
export const memories = {
  detached: array => {
    const copy = array.slice()
    detach(copy.buffer)
    return copy
  },
  shared: array => over(array, new SharedArrayBuffer(array.byteLength)),
  resizable: array => over(array, new Resizable(array.byteLength, { maxByteLength: array.byteLength + 64 })),
  shrunk: array => {
    const buffer = new Resizable(array.byteLength, { maxByteLength: array.byteLength + 64 })
    const view = over(array, buffer)
    buffer.resize(Math.floor(array.byteLength / 2))
    return view
  },
  elsewhere: array => new (OTHER_REALM[array.constructor.name] as TypedArrayClass)(array)
} satisfies Record<string, (array: AnyTypedArray) => AnyTypedArray>

function over(array: AnyTypedArray, buffer: ArrayBufferLike): AnyTypedArray {
  const copy = new (array.constructor as TypedArrayClass)(buffer, 0, array.length)
  copy.set(array)
  return copy
}

/** A proxy that is of no use any more. */
export function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

/** A proxy whose traps all throw. */
export function throwing(target: object): object {
  const fail = () => {
    throw new Own('a trap')
  }
  return new Proxy(target, {
    get: fail,
    has: fail,
    ownKeys: fail,
    getOwnPropertyDescriptor: fail,
    getPrototypeOf: fail,
    apply: fail
  })
}

function cycle(): object {
  const value: Record<string, unknown> = {}
  value.self = value
  return value
}

function deep(): unknown {
  let value: unknown = 1
  for (let i = 0; i < 20_000; i++) value = [value]
  return value
}

function sparse(): unknown[] {
  const value: unknown[] = []
  value.length = 2 ** 32 - 1
  return value
}

/** In a number's place each of these is a mistake, unless the place says otherwise. */
export const noNumbers = {
  NaN: () => Number.NaN,
  'an empty text': () => '',
  'a digit as text': () => '1',
  null: () => null,
  true: () => true,
  false: () => false,
  'a bigint': () => 1n,
  'a symbol': () => Symbol('hostile'),
  'a boxed number': () => Object(1),
  'a date': () => new Date(0),
  'valueOf 1': () => ({ valueOf: () => 1 }),
  'a throwing toPrimitive': () => ({
    [Symbol.toPrimitive]: () => {
      throw new Own('toPrimitive')
    }
  }),
  'an empty array': () => [],
  'an array of one number': () => [1],
  'an empty object': () => ({}),
  'a function': () => () => 1
} satisfies Record<string, () => unknown>

const numbers = {
  Infinity: () => Number.POSITIVE_INFINITY,
  '-Infinity': () => Number.NEGATIVE_INFINITY,
  '-0': () => -0,
  '0': () => 0,
  '1': () => 1,
  '-1': () => -1,
  '0.3': () => 0.3,
  '0.1 + 0.2': () => 0.1 + 0.2,
  '0.5': () => 0.5,
  'just below 0.5': () => 0.5 - 2 ** -54,
  '1.5': () => 1.5,
  '2^31': () => 2 ** 31,
  '2^32': () => 2 ** 32,
  '2^32 - 1': () => 2 ** 32 - 1,
  '2^53': () => 2 ** 53,
  '2^53 - 1': () => Number.MAX_SAFE_INTEGER,
  '-2^31': () => -(2 ** 31),
  '1e308': () => 1e308,
  '-1e308': () => -1e308,
  '5e-324': () => 5e-324,
  '1e-12': () => 1e-12
} satisfies Record<string, () => unknown>

const others = {
  undefined: () => undefined,
  'a word': () => 'hostile',
  __proto__word: () => '__proto__',
  'a long text': () => 'x'.repeat(100_000),
  'a null character': () => '\0',
  'half a surrogate pair': () => '\ud800',
  'an object without prototype': () => Object.create(null) as object,
  'a cycle': cycle,
  'an array in an array, 20 000 times': deep,
  'an array of NaN': () => [Number.NaN],
  'an array of nothing': () => [undefined],
  'an array of 2^32 - 1 holes': sparse,
  'an object that says it is an array': () => ({ length: 2 ** 53 }),
  'a map': () => new Map([['a', 1]]),
  'an expression': () => /a/g,
  'an error': () => new Own('a value'),
  'a promise': () => Promise.resolve(1),
  'a rejecting thenable': () => ({
    // biome-ignore lint/suspicious/noThenProperty: that is what is hostile about it
    then: (_: unknown, reject: (error: unknown) => void) => reject(new Own('then'))
  }),
  'a throwing toJSON': () => ({
    toJSON: () => {
      throw new Own('toJSON')
    }
  }),
  'a generator': () => (function* () {})(),
  'floats with NaN': () => Float64Array.of(Number.NaN, 1),
  'floats with Infinity': () => Float32Array.of(Number.POSITIVE_INFINITY),
  'no floats': () => new Float64Array(),
  integers: () => Uint32Array.of(2 ** 32 - 1, 0, 1),
  'signed integers': () => Int32Array.of(-1, 0, 1),
  bytes: () => Uint8Array.of(1, 2, 3),
  'clamped bytes': () => Uint8ClampedArray.of(1),
  bigints: () => BigInt64Array.of(1n),
  'bigints below 0': () => BigInt64Array.of(-1n, 0n),
  'bigints that no double is': () => BigUint64Array.of(2n ** 64n - 1n, 1n),
  'a data view': () => new DataView(new ArrayBuffer(24)),
  'a buffer': () => new ArrayBuffer(24),
  'shared memory': () => new SharedArrayBuffer(24),
  'detached floats': () => memories.detached(Float64Array.of(1, 2)),
  'shared integers': () => memories.shared(Uint32Array.of(1, 2, 3)),
  'shrunk floats': () => memories.shrunk(Float64Array.of(1, 2)),
  'a revoked proxy': () => revoked({}),
  'a revoked proxy of an array': () => revoked([]),
  'a revoked proxy of a function': () => revoked(() => 1),
  'a proxy whose traps throw': () => throwing({}),
  'a proxy of an array whose traps throw': () => throwing([1]),
  'a getter that throws': () =>
    Object.defineProperty({}, 'kind', {
      enumerable: true,
      get: () => {
        throw new Own('a getter')
      }
    }),
  'a signal that was aborted': () => AbortSignal.abort(new Own('aborted')),
  'an address': () => new URL('https://example.org/x'),
  'no signal': () => Object.create(AbortSignal.prototype) as object
} satisfies Record<string, () => unknown>

/** Makers of hostile values, by names for reports; each call makes a value of its own. */
export const hostileValues: Readonly<Record<string, () => unknown>> = { ...noNumbers, ...numbers, ...others }
