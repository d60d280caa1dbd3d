import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { record } from '../support/check.js'
import { invalid } from '../support/error.js'
import { badFile, readableFile } from './file-error.js'

/** The numbers of an {@link IdxArray}. */
export type IdxData = Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array

/** An array of one dimension or more, as an IDX file has it. */
export interface IdxArray {
  /** The numbers; the last index runs fastest. */
  readonly data: IdxData
  /** Length of each dimension. */
  readonly shape: readonly number[]
}

/** Options of {@link openIdx}. */
export interface IdxOptions {
  /** The MD5 sum that the file must have, uncompressed: 32 hexadecimal digits. Default: none is checked. */
  readonly md5?: string
}

/** A type of elements: its name, its bytes, and an array of them from big-endian bytes. */
interface ElementType {
  readonly name: string
  readonly size: number
  read(view: DataView, count: number): IdxData
}

/** Elements one after another. */
const each = (count: number, size: number, read: (at: number) => number, into: IdxData) => {
  for (let i = 0; i < count; i++) into[i] = read(i * size)
  return into
}

/** By the third byte of the magic number. */
const TYPES: Readonly<Record<number, ElementType>> = {
  8: { name: 'uint8', size: 1, read: (v, n) => each(n, 1, at => v.getUint8(at), new Uint8Array(n)) },
  9: { name: 'int8', size: 1, read: (v, n) => each(n, 1, at => v.getInt8(at), new Int8Array(n)) },
  11: { name: 'int16', size: 2, read: (v, n) => each(n, 2, at => v.getInt16(at), new Int16Array(n)) },
  12: { name: 'int32', size: 4, read: (v, n) => each(n, 4, at => v.getInt32(at), new Int32Array(n)) },
  13: { name: 'float32', size: 4, read: (v, n) => each(n, 4, at => v.getFloat32(at), new Float32Array(n)) },
  14: { name: 'float64', size: 8, read: (v, n) => each(n, 8, at => v.getFloat64(at), new Float64Array(n)) }
}

const hex = (byte: number | undefined) => `0x${(byte ?? 0).toString(16).padStart(2, '0')}`

/**
 * Reads an IDX file, the format of MNIST (`train-images-idx3-ubyte`), as it is or compressed by gzip. Layout: two bytes of 0, the type of
 * the elements (0x08 uint8, 0x09 int8, 0x0b int16, 0x0c int32, 0x0d float32, 0x0e float64), the number of dimensions, the length of each
 * dimension as 32 bits, and the elements; all of it big-endian. Source: LeCun, Cortes and Burges, The MNIST Database of Handwritten Digits.
 *
 * @example
 * ```ts
 * async function digits(folder: string) {
 *   const images = await openIdx(`${folder}/train-images-idx3-ubyte`, { md5: '6bbc9ace898e44ae57da46a324031adb' });
 *   const labels = await openIdx(`${folder}/train-labels-idx1-ubyte`);
 *   console.log(images.shape); // [60000, 28, 28]
 *   return sequentialMnist({ images, labels });
 * }
 * ```
 * @param path - The file.
 * @param options - Its checksum.
 * @returns Its numbers and their shape.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed, `'file'` for a file that is damaged, of another format or of
 * another checksum; the system's own error where it cannot be read.
 */
export async function openIdx(path: string | URL, options: IdxOptions = {}): Promise<IdxArray> {
  const { md5 } = record(options, 'options', ['md5'])
  if (md5 !== undefined && !(typeof md5 === 'string' && /^[\da-f]{32}$/i.test(md5))) {
    throw invalid('options.md5', md5, '32 hexadecimal digits')
  }
  const full = await readableFile(path)
  const bytes = await uncompressed(await readFile(full), full)
  if (md5 !== undefined) checkSum(bytes, md5, full)
  return decode(bytes, full)
}

const GZIP = [0x1f, 0x8b] as const
/** More is no data set of this format, but a file that was made to fill memory. */
const MOST_BYTES = 2 ** 31

async function uncompressed(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  if (bytes[0] !== GZIP[0] || bytes[1] !== GZIP[1]) return bytes
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: MOST_BYTES })
  } catch (cause) {
    throw badFile(path, 'is compressed by gzip, and damaged or of more than 2 GiB', cause)
  }
}

function checkSum(bytes: Uint8Array, md5: string, path: string): void {
  const found = createHash('md5').update(bytes).digest('hex')
  if (found !== md5.toLowerCase()) throw badFile(path, `has the MD5 sum ${found}; it must be ${md5.toLowerCase()}`)
}

function decode(bytes: Uint8Array, path: string): IdxArray {
  const [first, second, code = 0, dimensions = 0] = bytes
  if (bytes.length < 4)
    throw badFile(path, `has ${bytes.length} bytes, where an IDX file begins with a magic number of 4`)
  if (first !== 0 || second !== 0) {
    throw badFile(
      path,
      `begins with ${hex(first)} ${hex(second)}, where an IDX file has 0x00 0x00 (or 0x1f 0x8b, compressed)`
    )
  }
  const type = TYPES[code]
  if (type === undefined) {
    const allowed = Object.entries(TYPES).map(([code, { name }]) => `${hex(Number(code))} (${name})`)
    throw badFile(path, `has elements of type ${hex(code)}; it must be one of ${allowed.join(', ')}`)
  }
  if (dimensions === 0) throw badFile(path, 'has 0 dimensions; it must have 1 to 255')
  const header = 4 + 4 * dimensions
  if (bytes.length < header) {
    throw badFile(path, `has ${bytes.length} bytes, fewer than the ${header} of a header with ${dimensions} dimensions`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i))
  const count = shape.reduce((product, length) => product * length, 1)
  const expected = header + count * type.size
  if (bytes.length !== expected) {
    const said = `${shape.join(' × ')} elements of type ${type.name}`
    throw badFile(path, `has ${bytes.length} bytes; with ${said} it must have ${expected}`)
  }
  return { data: type.read(new DataView(bytes.buffer, bytes.byteOffset + header, count * type.size), count), shape }
}
