import { types } from 'node:util'
import { isObject, ownMemory } from './check.js'
import { invalid } from './error.js'
import { allocated, atMostNumbers } from './memory.js'
import { isUint8Array } from './recognise.js'

/** Bytes in memory of their own: `Uint8Array<ArrayBuffer>`, which TypeScript before 5.7 calls `Uint8Array`. */
export type Bytes = ReturnType<Uint8Array['slice']>

/**
 * The bytes of a file: all of them at once (a `Buffer`, what `fetch` or S3 gave, a value of Redis), or in pieces, as a stream of Node or of
 * the web gives them.
 */
export type ByteSource = Uint8Array | ArrayBuffer | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * All bytes of a source, in memory that is not shared.
 *
 * @throws {@link MdglError} `'invalid'` for an argument that is no source of bytes, `'memory'`; an error of the stream unchanged.
 */
export async function bytesOf(source: ByteSource, path: string): Promise<Uint8Array> {
  const whole = wholeBytes(source, path)
  if (whole !== undefined) return whole
  if (!isStream(source)) {
    throw invalid(path, source, 'a Uint8Array, an ArrayBuffer or a stream of Uint8Arrays')
  }
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of source as AsyncIterable<Uint8Array>) {
    if (!isUint8Array(piece)) throw invalid(`${path}[${pieces.length}]`, piece, 'a Uint8Array')
    // A copy: a stream may use the memory of a piece again.
    pieces.push(new Uint8Array(ownMemory(piece, `${path}[${pieces.length}]`)))
    length = atMostNumbers(length + piece.length, path)
  }
  return joined(pieces, length, path)
}

function wholeBytes(source: ByteSource, path: string): Uint8Array | undefined {
  if (isUint8Array(source)) return ownMemory(source, path)
  if (Object.prototype.toString.call(source) !== '[object ArrayBuffer]') return undefined
  try {
    return new Uint8Array(source as ArrayBuffer)
  } catch {
    throw invalid(path, source, 'a buffer that was not detached (transferred)')
  }
}

function joined(pieces: readonly Uint8Array[], length: number, path: string): Uint8Array {
  const bytes = allocated(`${length} bytes`, path, () => new Uint8Array(length))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/** A proxy of a typed array is iterable by its type alone; another typed array has numbers, no pieces. */
function isStream(source: ByteSource): boolean {
  if (!isObject(source) || ArrayBuffer.isView(source)) return false
  return Symbol.asyncIterator in source || (Symbol.iterator in source && !types.isProxy(source))
}
