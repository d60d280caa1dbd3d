import { readFile } from 'node:fs/promises'
import { type ByteSource, bytesOf } from '../support/byte-source.js'
import { array, flag, object, orDefault, ownMemory, record, text, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import { filePath } from '../support/file-path.js'
import { needed } from '../support/needed-package.js'
import { isUint8Array } from '../support/recognise.js'
import { writeAside } from '../support/write-aside.js'
import { badFile } from './file-error.js'
import { decodeNpy, encodeNpy, isNumpyData, type NumpyArray, type NumpyData } from './npy.js'

/** What errors call a file that has no name. */
const BYTES = 'the bytes'

/**
 * Reads an array that `numpy.save` wrote, for instance for a batch's `analogue` or a task's targets.
 *
 * Floats of 32 and 64 bits, whole numbers of 8 to 64 bits and booleans are read, of either byte order; arrays in Fortran's
 * order come back in C order. Whole numbers of 64 bits, NumPy's usual ones, come as a `BigInt64Array` or `BigUint64Array`, which
 * {@link binnedEvents} and class targets take; `Float64Array.from(data, Number)` makes numbers of them. Half precision, complex numbers, text and records are refused by name.
 *
 * @example
 * ```ts
 * await writeNpy('currents.npy', { data: new Float32Array(2 * 50 * 3), shape: [2, 50, 3] }); // trial, step, unit
 * const { data, shape } = await readNpy('currents.npy');
 * if (data instanceof Float32Array) console.log(shape, { inputs: { currents: { analogue: data } } });
 * ```
 * @param path - A `.npy` file.
 * @returns The numbers and their shape.
 * @throws {@link MdglError} `'file'` for a file that is damaged, no NumPy array, or of a type that is not read; the system's own error
 * where it cannot be read.
 */
export async function readNpy(path: string | URL): Promise<NumpyArray> {
  return decodeNpy(await readFile(filePath(path)), String(path))
}

/**
 * Writes an array that `numpy.load` reads, completely or not at all.
 *
 * @example
 * ```ts
 * const weights = model.weights.get('cells->cells');
 * await writeNpy('weights.npy', { data: weights.dense(), shape: weights.shape });
 * ```
 * @param path - The file; an existing one is replaced.
 * @param values - A typed array, or one with the shape of an array of several dimensions.
 * @throws {@link MdglError} `'invalid'` for a value that is no array, or a shape that does not fit; the system's own error where it cannot be
 * written.
 */
export async function writeNpy(path: string | URL, values: NumpyData | NumpyArray): Promise<void> {
  await writeAside(filePath(path), npyToBytes(values))
}

/**
 * The array in the bytes of a `.npy` file; types as in {@link readNpy}.
 *
 * @example
 * ```ts
 * const { data, shape } = await npyFromBytes(npyToBytes(Float32Array.of(1, 2, 3)));
 * ```
 * @param bytes - All bytes, or a stream of them.
 * @returns The numbers and their shape.
 * @throws {@link MdglError} `'file'` for bytes that are no NumPy array, or of a type that is not read; `'invalid'` for an argument that is no source of bytes;
 * an error of the stream unchanged.
 */
export async function npyFromBytes(bytes: ByteSource): Promise<NumpyArray> {
  return decodeNpy(await bytesOf(bytes, 'bytes'), BYTES)
}

/**
 * An array as the bytes of a `.npy` file.
 *
 * @example
 * ```ts
 * const bytes = npyToBytes({ data: new Float32Array(6), shape: [2, 3] });
 * console.log(bytes.length);
 * ```
 * @param values - A typed array, or one with the shape of an array of several dimensions.
 * @throws {@link MdglError} `'invalid'` for a value that is no array, or a shape that does not fit.
 */
export function npyToBytes(values: NumpyData | NumpyArray): Uint8Array {
  return encodeNpy(checkArray(values, 'values'))
}

/**
 * Reads all arrays of an archive that `numpy.savez` or `numpy.savez_compressed` wrote; types as in {@link readNpy}.
 *
 * @example
 * ```ts
 * await writeNpz('recording.npz', { spikes: Uint32Array.of(0, 5, 2), voltage: new Float64Array(50) });
 * const { spikes, voltage } = await readNpz('recording.npz');
 * console.log(spikes?.data, voltage?.shape);
 * ```
 * @param path - A `.npz` file.
 * @returns The arrays by name.
 * @throws {@link MdglError} `'file'` for a file that is damaged, no archive, or holds what is not read; the system's own error where it
 * cannot be read.
 */
export async function readNpz(path: string | URL): Promise<{ [name: string]: NumpyArray }> {
  return await decodeNpz(await readFile(filePath(path)), String(path))
}

/**
 * The arrays in the bytes of a `.npz` file; types as in {@link readNpy}.
 *
 * @example
 * ```ts
 * const { weights } = await npzFromBytes(await npzToBytes({ weights: Float32Array.of(0.5, 0.25) }));
 * console.log(weights?.data);
 * ```
 * @param bytes - All bytes, or a stream of them.
 * @returns The arrays by name.
 * @throws {@link MdglError} `'file'` for bytes that are no archive, or hold what is not read; `'invalid'` for an argument that is no source of bytes; the
 * stream's own error as it is.
 */
export async function npzFromBytes(bytes: ByteSource): Promise<{ [name: string]: NumpyArray }> {
  return await decodeNpz(await bytesOf(bytes, 'bytes'), BYTES)
}

async function decodeNpz(bytes: Uint8Array, source: string): Promise<{ [name: string]: NumpyArray }> {
  const { unzipSync } = await needed(() => import('fflate'))
  let files: Record<string, Uint8Array>
  try {
    files = unzipSync(bytes)
  } catch (error) {
    throw badFile(source, 'is no NumPy archive, or a damaged one', error)
  }
  return Object.fromEntries(
    Object.entries(files).map(([name, file]) => [name.replace(/\.npy$/, ''), decodeNpy(file, `${source}, ${name}`)])
  )
}

/**
 * Writes several arrays to an archive that `numpy.load` reads, completely or not at all; not compressed, and the same bytes for the
 * same arrays.
 *
 * @example
 * ```ts
 * const { spikes, readout } = await simulate(model, batch);
 * await writeNpz('recording.npz', { spikes: { data: spikes, shape: [spikes.length / 3, 3] }, readout });
 * ```
 * @param path - The file; an existing one is replaced.
 * @param arrays - Typed arrays, or such with the shape of an array of several dimensions, by name.
 * @throws {@link MdglError} `'invalid'` for a value that is no array, or a shape that does not fit; the system's own error where it cannot be
 * written.
 */
export async function writeNpz(
  path: string | URL,
  arrays: { readonly [name: string]: NumpyData | NumpyArray }
): Promise<void> {
  const target = filePath(path)
  await writeAside(target, await npzToBytes(arrays))
}

/**
 * Several arrays as the bytes of a `.npz` file: not compressed, and the same bytes for the same arrays.
 *
 * @example
 * ```ts
 * const bytes = await npzToBytes({ spikes: Uint32Array.of(0, 5, 2), voltage: new Float64Array(50) });
 * const { spikes } = await npzFromBytes(bytes);
 * console.log(spikes?.data);
 * ```
 * @param arrays - Typed arrays, or such with the shape of an array of several dimensions, by name.
 * @throws {@link MdglError} `'invalid'` for a value that is no array, or a shape that does not fit.
 */
export async function npzToBytes(arrays: { readonly [name: string]: NumpyData | NumpyArray }): Promise<Uint8Array> {
  const { zipSync } = await needed(() => import('fflate'))
  const files = Object.entries(object(arrays, 'arrays')).map(([name, values]) => {
    text(name, 'arrays.name')
    return [`${name}.npy`, encodeNpy(checkArray(values, `arrays.${name}`))] as const
  })
  // A fixed date, the first that an archive can hold.
  return zipSync(Object.fromEntries(files), { level: 0, mtime: new Date(1980, 0, 1) })
}

function checkArray(values: NumpyData | NumpyArray, path: string): NumpyArray {
  if (isNumpyData(values)) return { data: ownMemory(values, path), shape: [values.length] }
  record(values, path, ['data', 'shape', 'bool'])
  const { data } = values
  if (!isNumpyData(data)) throw invalid(`${path}.data`, data, 'a typed array')
  ownMemory(data, `${path}.data`)
  const shape = array(values.shape, `${path}.shape`).map((length, d) => wholeNumber(length, `${path}.shape[${d}]`))
  const count = shape.reduce((product, length) => product * length, 1)
  if (count !== data.length) {
    throw invalid(`${path}.shape`, `(${shape.join(', ')})`, `lengths whose product is ${data.length}`)
  }
  const bool = flag(orDefault(values.bool, false), `${path}.bool`)
  if (bool && !isTruth(data)) throw invalid(`${path}.bool`, true, 'false, unless data is a Uint8Array of 0 and 1')
  return { data, shape, ...(bool && { bool }) }
}

function isTruth(data: NumpyData): boolean {
  return isUint8Array(data) && data.every(value => value <= 1)
}
