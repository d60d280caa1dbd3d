import type { CrossEntropy, SquaredError } from '../task/batch.js'

/** What a synthetic workload is made of. One step is 1 ms. */
export interface Shape {
  /** Input units. */
  readonly inputs: number
  /** Recurrent cells, half of them LIF and half ALIF. */
  readonly neurons: number
  /** Steps of a trial. */
  readonly steps: number
  /** Trials of a batch. */
  readonly batch: number
  /** Readout units, each fed by every cell. */
  readonly outputs: number
  /** Fraction of the pairs that have a synapse, of inputs with cells and of cells with each other. */
  readonly density: number
  /** Classes judged at the last step, or values at every step. */
  readonly loss: CrossEntropy | SquaredError
  /** The input falls silent after so many steps. */
  readonly burst?: number
  /** Factor of the weights among cells; default 1. */
  readonly recurrentStrength?: number
  /** Factor of the readout weights; default 1. */
  readonly readoutStrength?: number
}

/** Numbers that stand in place of a workload's own. */
export type Overrides = { readonly [Key in 'neurons' | 'steps' | 'batch' | 'density']?: number | undefined }

const W: Shape = {
  inputs: 40,
  neurons: 100,
  steps: 2000,
  batch: 64,
  outputs: 2,
  density: 0.1,
  loss: { kind: 'cross-entropy' }
}

/** Of a weight, what rewiring brings a synapse back with is of this order. */
const FAINT = 1e-12

/** The synthetic workloads: networks of the sizes on which other libraries were timed, and two of the numbers near 0. */
export const SHAPES = {
  W,
  W2: { ...W, neurons: 400, steps: 1000 },
  W3: { ...W, inputs: 20, neurons: 400, batch: 1, outputs: 3, loss: { kind: 'squared-error' } },
  'W-dense': { ...W, density: 1 },
  'W-silent': { ...W, burst: 20, recurrentStrength: FAINT, readoutStrength: FAINT },
  'W-faint': { ...W, readoutStrength: FAINT }
} as const satisfies Readonly<Record<string, Shape>>

/** Fig. 3C itself: the task's own network with Dale's law, l1 and rewiring. */
export const PAPER = 'W-paper'

/** A workload's name. */
export type WorkloadName = keyof typeof SHAPES | typeof PAPER

/** The names of all workloads. */
export const WORKLOAD_NAMES: readonly WorkloadName[] = ['W', 'W2', 'W3', PAPER, 'W-dense', 'W-silent', 'W-faint']

/** A shape with some numbers of its own. */
export function reshape(shape: Shape, { neurons, steps, batch, density }: Overrides): Shape {
  return {
    ...shape,
    neurons: neurons ?? shape.neurons,
    steps: steps ?? shape.steps,
    batch: batch ?? shape.batch,
    density: density ?? shape.density
  }
}
