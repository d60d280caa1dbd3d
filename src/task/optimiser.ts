import { askEngine } from '../addon/ask-engine.js'
import { native } from '../addon/native.js'
import { array, isObject, list } from '../support/check.js'
import { warnOnce } from '../support/deprecated.js'
import { invalid } from '../support/error.js'
import { deepFreeze } from '../support/freeze.js'
import { isPlain, plainCopy, plainText } from '../support/plain.js'
import { type LearningRate, type Schedule, tableOf } from './schedule.js'

/** A stepwise decay: lr ← lr · `factor` every `every` of the model's steps. A {@link StepSchedule} counts the training's iterations. */
export interface Decay {
  /** Above 0, at most 1. */
  readonly factor: number
  /** In iterations. */
  readonly every: number
}

/** Options of both optimisers. */
export interface OptimiserBase {
  /** Learning rate lr, constant or changing with the iteration. Default 0.0025. */
  readonly learningRate?: LearningRate
  /** Factors of the learning rate of single projections and biases (`choice.bias`), by name; with 0 they do not change. Default: 1 for all. */
  readonly learningRateFactors?: Readonly<Record<string, number>>
  /** Decoupled weight decay: per step every weight, but no bias, is multiplied by 1 − lr·weightDecay. Source: Loshchilov and Hutter 2019. Default 0. */
  readonly weightDecay?: number
  /** Shrinks every living signed weight by lr·l1 per step, and a free one towards 0. Default 0. */
  readonly l1?: number
  /** Adds √(2·lr·temperature)·N(0,1) to every living signed weight. Default 0. */
  readonly temperature?: number
  /**
   * Whether the optimiser starts as many new synapses as the projections with signs have lost together (DEEP R), at θ = 10⁻¹². Each of them is to have
   * its density · pairs, or the number drawn or listed; the projection of a new synapse is drawn in proportion to these numbers.
   *
   * | | where | source |
   * |---|---|---|
   * | `true` | dead synapses among those that were drawn or listed; `model.weights.get(…)` keeps its length and order | Liu et al. 2021 |
   * | `'all-pairs'` | any pair of the projection without a living synapse, each equally likely; dead synapses are removed from `model.weights.get(…)`, and new ones have moments of 0 | Bellec et al. 2018 (LSNN-official) |
   * | `false` | nowhere: under Dale's law a synapse that reaches 0 stays there | |
   *
   * A neuron gets no synapse with itself unless its projection has `autapses`, and a lesioned pair gets none. A new synapse has the delay that was
   * drawn for its pair. `'all-pairs'` is refused with `multapses`, with a list of delays, and in online sessions, whose traces belong to fixed
   * synapses. Default false.
   */
  readonly rewiring?: boolean | 'all-pairs'
  /** Stepwise decay of a constant learning rate. Default null: none. */
  readonly decay?: Decay | null
  /** Scales the gradient down to at most this global norm. Default null: no clipping. */
  readonly clipNorm?: number | null
  /** Projections that keep their weights, and biases of readouts (`choice.bias`) that keep their values. Default none. */
  readonly frozen?: readonly string[]
}

/** Adam: θ −= lr √(1−β₂ⁿ)/(1−β₁ⁿ) m/(√v + ε). */
export interface Adam extends OptimiserBase {
  /** Adam. */
  readonly kind: 'adam'
  /** β₁. Default 0.9. */
  readonly beta1?: number
  /** β₂. Default 0.999. */
  readonly beta2?: number
  /** ε, not bias-corrected. Default 1e−8. */
  readonly epsilon?: number
}

/** Gradient descent: θ −= lr ∂E/∂θ. */
export interface GradientDescent extends OptimiserBase {
  /** Gradient descent. */
  readonly kind: 'gradient-descent'
}

/**
 * How gradients change weights, in the order of the authors' code: gradient step on θ (W = sign · θ); dead synapses stay at
 * 0; l1 and noise on living ones; rewiring. Source: Liu et al. 2021; DEEP R, Bellec et al. 2018.
 */
export type Optimiser = Adam | GradientDescent

/** Plain Adam: the optimiser where neither a call nor its task has one. */
export const defaultOptimiser: Optimiser = Object.freeze({
  kind: 'adam',
  learningRate: 0.0025,
  l1: 0,
  rewiring: false
})

/** An optimiser, or the default with a warning, once per process. */
export function optimiserOrDefault(optimiser: Optimiser | undefined): Optimiser {
  if (optimiser !== undefined) return optimiser
  warnOnce(
    'default optimiser',
    "Neither the call nor its task has an optimiser: from mdgl 0.2 on that is plain Adam. Before, it had an l1 of 0.01 and rewiring; `optimiser: { kind: 'adam', l1: 0.01, rewiring: true }` keeps them, and `optimiser: defaultOptimiser` chooses the new default without this warning.",
    { type: 'MdglWarning', code: 'MDGL_DEFAULT_OPTIMISER' }
  )
  return defaultOptimiser
}

/**
 * An optimiser with every default filled in.
 *
 * @param optimiser - The optimiser.
 * @param names - The network's projections and biases, for `frozen` and `learningRateFactors`.
 * @param iterations - Those of the training, for a learning rate that depends on them.
 * @throws {@link MdglError} `'invalid'` for a value that is not allowed or a name that does not exist.
 */
export function completeOptimiser(
  optimiser: Optimiser,
  names: readonly string[],
  iterations?: number
): CompleteOptimiser {
  const given = plainCopy(optimiser)
  if (isPlain(given) && (given.l1 === undefined || given.rewiring === undefined)) {
    warnOnce(
      'optimiser without l1',
      'An optimiser names no l1 or no rewiring: from mdgl 0.2 on these are 0 and false, plain Adam or gradient descent. Before, they were 0.01 and true; `l1: 0.01, rewiring: true` keeps them, and `l1: 0, rewiring: false` chooses the new defaults without this warning.',
      { type: 'MdglWarning', code: 'MDGL_DEFAULT_OPTIMISER' }
    )
  }
  const copy = withTable(given, iterations)
  const complete = () => native.completeOptimiser(plainText(copy), [...names], iterations)
  return deepFreeze(JSON.parse(askEngine({ optimiser: copy }, complete)))
}

/** A learning rate that is a function as a table. */
function withTable(copy: unknown, iterations: number | undefined): unknown {
  const rate = isObject(copy) && 'learningRate' in copy ? copy.learningRate : undefined
  if (typeof rate !== 'function') return copy
  const table = tableOf(rate as (iteration: number) => number, 'optimiser.learningRate', iterations)
  return { ...(copy as object), learningRate: table }
}

/** An optimiser whose learning rate is plain data. */
export type CompleteOptimiser = Optimiser & { readonly learningRate: number | Schedule }

/** The optimiser with another learning rate; a schedule takes the place of a decay. */
export function withLearningRate(optimiser: Optimiser, learningRate: LearningRate | undefined): Optimiser {
  if (learningRate === undefined) return optimiser
  return { ...optimiser, learningRate, ...(typeof learningRate !== 'number' && { decay: null }) }
}

/** Checks that every name is that of a projection or a bias. */
export function frozenNames(given: readonly string[], names: readonly string[], path: string): readonly string[] {
  const unknown = array(given, path).find(name => !names.includes(name))
  if (unknown !== undefined) throw invalid(path, unknown, list(names))
  return [...given]
}
