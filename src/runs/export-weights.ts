import { zipSync } from 'fflate'
import { type Model, projectionNames } from '../model.js'
import { writeAside } from '../write-aside.js'

/**
 * Writes a model's weights as a NumPy archive: of each projection `a->b` the arrays `a->b`, `a->b.pre` and `a->b.post`, of each readout
 * with a bias `c.bias`, as in a weights file. `numpy.load(path)` reads it.
 */
export async function writeNpz(model: Model, path: string): Promise<void> {
  const files: Record<string, [Uint8Array, { level: 0 }]> = {}
  const add = (name: string, values: Array1D) => {
    files[`${name}.npy`] = [npy(values), { level: 0 }]
  }
  for (const name of projectionNames(model.description)) {
    const { pre, post, values } = model.weights.get(name)
    add(name, values)
    add(`${name}.pre`, pre)
    add(`${name}.post`, post)
  }
  for (const { name, bias } of model.description.readouts ?? [])
    if (bias !== false) add(`${name}.bias`, model.bias.get(name))
  await writeAside(path, zipSync(files))
}

/** Writes one projection's weights as a NumPy array, a row a sender and a column a receiver, 0 where there is no synapse. */
export async function writeNpy(model: Model, projection: string, path: string): Promise<void> {
  const weights = model.weights.get(projection)
  await writeAside(path, npy(weights.dense(), weights.shape))
}

type Array1D = Float32Array | Float64Array | Uint32Array

const ALIGNMENT = 64

/** One array in NumPy's format, version 1.0: magic, length of the header, the header as a Python literal, the numbers. */
export function npy(values: Array1D, shape: readonly number[] = [values.length]): Uint8Array {
  const kind = values instanceof Float32Array ? '<f4' : values instanceof Float64Array ? '<f8' : '<u4'
  const literal = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`
  const length = Math.ceil((literal.length + 1 + 10) / ALIGNMENT) * ALIGNMENT - 10
  const header = `${literal.padEnd(length - 1)}\n`
  const bytes = new Uint8Array(10 + length + values.byteLength)
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 0xff, length >> 8])
  bytes.set(new TextEncoder().encode(header), 10)
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 10 + length)
  return bytes
}
