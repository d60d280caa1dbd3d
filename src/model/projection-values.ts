import type { Precision, Values } from '../support/precision.js'
import { isFloat32Array } from '../support/recognise.js'

/** One number for each synapse of a projection, ordered by postsynaptic, then presynaptic neuron. */
export class ProjectionValues<P extends Precision = Precision> {
  /** Presynaptic index of each synapse. */
  readonly pre: Uint32Array
  /** Postsynaptic index of each synapse. */
  readonly post: Uint32Array
  /** The numbers, in the model's precision. */
  readonly values: Values<P>
  /** Numbers of presynaptic and postsynaptic units. */
  readonly shape: readonly [pre: number, post: number]

  /** @internal */
  constructor(pre: Uint32Array, post: Uint32Array, values: Values<P>, shape: readonly [number, number]) {
    this.pre = pre
    this.post = post
    this.values = values
    this.shape = shape
  }

  /** The same as a whole matrix `[pre][post]`, row after row, 0 where there is no synapse; of a pair with several their sum. */
  dense(): Values<P> {
    const [rows, columns] = this.shape
    const matrix = isFloat32Array(this.values) ? new Float32Array(rows * columns) : new Float64Array(rows * columns)
    this.values.forEach((value, i) => {
      const place = (this.pre[i] ?? 0) * columns + (this.post[i] ?? 0)
      matrix[place] = (matrix[place] ?? 0) + value
    })
    return matrix as Values<P>
  }
}
