import { list } from '../support/check.js'
import { arrayName, isFloatArray } from '../support/recognise.js'
import { badFile } from './file-error.js'

/** The numbers of a {@link NumpyArray}. */
export type NumpyData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array

/** An array of any number of dimensions. */
export interface NumpyArray {
  /** The numbers in C order: the last index runs fastest. */
  readonly data: NumpyData
  /** Length of each dimension; `[]` for a single number. */
  readonly shape: readonly number[]
  /** Whether the bytes of a `Uint8Array` are truth values, 0 or 1: NumPy's `bool`. Default false. */
  readonly bool?: boolean
}

const TYPES = {
  f4: Float32Array,
  f8: Float64Array,
  i1: Int8Array,
  i2: Int16Array,
  i4: Int32Array,
  i8: BigInt64Array,
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
  u8: BigUint64Array,
  b1: Uint8Array
} as const
type TypeCode = keyof typeof TYPES

const ALIGNMENT = 64
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]
const PRELUDE = 10

/** One array in NumPy's format, version 1.0: magic, length of the header, the header as a Python literal, the numbers. */
export function encodeNpy({ data, shape, bool = false }: NumpyArray): Uint8Array {
  const code = bool ? 'b1' : codeOf(data)
  const order = data.BYTES_PER_ELEMENT === 1 ? '|' : '<'
  const tuple = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`
  const literal = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': ${tuple}, }`
  const length = Math.ceil((literal.length + 1 + PRELUDE) / ALIGNMENT) * ALIGNMENT - PRELUDE
  const bytes = new Uint8Array(PRELUDE + length + data.byteLength)
  bytes.set([...MAGIC, 1, 0, length & 0xff, length >> 8])
  bytes.set(new TextEncoder().encode(`${literal.padEnd(length - 1)}\n`), PRELUDE)
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), PRELUDE + length)
  return bytes
}

/** Whether a value can be the data of an array. */
export function isNumpyData(value: unknown): value is NumpyData {
  return Object.values(TYPES).some(({ name }) => name === arrayName(value))
}

/** The array that a `.npy` file holds; `source` names it in errors. */
export function decodeNpy(bytes: Uint8Array, source: string): NumpyArray {
  const { header, end } = readHeader(bytes, source)
  const { code, bigEndian } = readType(header, source)
  const shape = readShape(header, source)
  const count = shape.reduce((product, length) => product * length, 1)
  const type = TYPES[code]
  const expected = count * type.BYTES_PER_ELEMENT
  if (bytes.length - end !== expected) {
    throw badFile(source, `has ${bytes.length - end} bytes of numbers where its header says ${expected}`)
  }
  const body = Buffer.from(bytes.subarray(end))
  if (bigEndian) swap(body, type.BYTES_PER_ELEMENT)
  const stored = new type(body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength))
  const data = /'fortran_order': *True/.test(header) && shape.length > 1 ? toRowMajor(stored, shape) : stored
  return { data, shape, ...(code === 'b1' && { bool: true }) }
}

function codeOf(data: NumpyData): string {
  const unsigned = /^(Big)?Uint/.test(arrayName(data) ?? '')
  return `${isFloatArray(data) ? 'f' : unsigned ? 'u' : 'i'}${data.BYTES_PER_ELEMENT}`
}

function readHeader(bytes: Uint8Array, source: string): { header: string; end: number } {
  if (bytes.length < PRELUDE || MAGIC.some((byte, i) => bytes[i] !== byte)) throw badFile(source, 'is no NumPy array')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = view.getUint8(6)
  if (version < 1 || version > 3) throw badFile(source, `is of NumPy's format ${version}; 1 to 3 are read`)
  const start = version === 1 ? PRELUDE : PRELUDE + 2
  if (bytes.length < start) throw badFile(source, 'ends within its header')
  const end = start + (version === 1 ? view.getUint16(8, true) : view.getUint32(8, true))
  if (bytes.length < end) throw badFile(source, 'ends within its header')
  return { header: new TextDecoder().decode(bytes.subarray(start, end)), end }
}

function readType(header: string, source: string): { code: TypeCode; bigEndian: boolean } {
  const [, descr] = /'descr': *('[^']*'|\[)/.exec(header) ?? []
  if (descr === undefined) throw badFile(source, 'has a header without a type')
  const [, order, code = ''] = /^'([<>|=])?(.*)'$/.exec(descr) ?? []
  if (!Object.hasOwn(TYPES, code)) {
    const type = descr === '[' ? 'records of several fields' : `type ${descr}`
    throw badFile(source, `holds ${type}; allowed: ${list(Object.keys(TYPES))}`)
  }
  return { code: code as TypeCode, bigEndian: order === '>' }
}

function readShape(header: string, source: string): number[] {
  const [, tuple] = /'shape': *\(([\d, ]*)\)/.exec(header) ?? []
  if (tuple === undefined) throw badFile(source, 'has a header without a shape')
  return tuple.split(',').flatMap(length => (length.trim() === '' ? [] : [Number(length)]))
}

function swap(body: Buffer, size: number): void {
  if (size === 2) body.swap16()
  if (size === 4) body.swap32()
  if (size === 8) body.swap64()
}

/** From Fortran's order, in which the first index runs fastest. */
function toRowMajor<T extends NumpyData>(stored: T, shape: readonly number[]): T {
  const ordered = stored.slice() as T
  const index = shape.map(() => 0)
  const strides = shape.map((_, i) => shape.slice(0, i).reduce((product, length) => product * length, 1))
  for (let i = 0; i < ordered.length; i++) {
    ordered[i] = stored[index.reduce((sum, at, d) => sum + at * (strides[d] ?? 0), 0)] ?? 0
    for (let d = shape.length - 1; d >= 0; d--) {
      index[d] = ((index[d] ?? 0) + 1) % (shape[d] ?? 1)
      if (index[d] !== 0) break
    }
  }
  return ordered
}
