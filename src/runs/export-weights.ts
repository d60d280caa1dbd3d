import type { NumpyArray, NumpyData } from '../interchange/npy.js'
import { writeNpy, writeNpz } from '../interchange/numpy.js'
import type { Model } from '../model/model.js'
import { projectionNames } from '../network/names.js'

/**
 * Writes a model's weights as a NumPy archive: of each projection `a->b` the arrays `a->b`, `a->b.pre` and `a->b.post`, of each readout
 * with a bias `c.bias`, as in a weights file. `numpy.load(path)` reads it.
 */
export async function exportAllWeights(model: Model, path: string): Promise<void> {
  const arrays: Record<string, NumpyData | NumpyArray> = {}
  for (const name of projectionNames(model.description)) {
    const { pre, post, values } = model.weights.get(name)
    Object.assign(arrays, { [name]: values, [`${name}.pre`]: pre, [`${name}.post`]: post })
  }
  for (const { name, bias } of model.description.readouts)
    if (bias !== false) arrays[`${name}.bias`] = model.bias.get(name)
  await writeNpz(path, arrays)
}

/** Writes one projection's weights as a NumPy array, one row per sender and one column per receiver, 0 where there is no synapse. */
export async function exportProjection(model: Model, projection: string, path: string): Promise<void> {
  const weights = model.weights.get(projection)
  await writeNpy(path, { data: weights.dense(), shape: weights.shape })
}
