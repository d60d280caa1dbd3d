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

/** What both optimisers have. */
export interface OptimiserBase {
  /** lr, constant or changing with the iteration. Default 0.0025. */
  readonly learningRate?: LearningRate
  /** Factors of the learning rate of single projections and biases (`choice.bias`), by name; 0 leaves them as they are. Default: 1 for all. */
  readonly learningRateFactors?: Readonly<Record<string, number>>
  /** Decoupled weight decay: every weight loses lr·weightDecay of itself per step, biases do not. Source: Loshchilov and Hutter 2019. Default 0. */
  readonly weightDecay?: number
  /** Shrinks every living signed weight by lr·l1 per step, and a free one towards 0. Default 0. */
  readonly l1?: number
  /** Adds √(2·lr·temperature)·N(0,1) to every living signed weight. Default 0. */
  readonly temperature?: number
  /**
   * Whether as many synapses start anew as the projections have lost (DEEP R), signed projections only, at θ = 10⁻¹². What each projection
   * lacks to its density, or to the number drawn or listed, is added up, and the sum is shared out at random in proportion to these numbers.
   *
   * | | where | source |
   * |---|---|---|
   * | `true` | dead synapses among those that were drawn or listed; `model.weights.get(…)` keeps its length and order | Liu et al. 2021 |
   * | `'all-pairs'` | any pair that the projection could join and that has no living synapse, each equally likely; dead synapses are gone from `model.weights.get(…)`, and new ones have moments of 0 | Bellec et al. 2018 (LSNN-official) |
   * | `false` | nowhere: under Dale's law a synapse that reaches 0 stays there | |
   *
   * A neuron gets no synapse with itself unless its projection has `autapses`, and lesions none at all. A drawn delay is that of the pair; with
   * `multapses` or a list of delays `'all-pairs'` is refused. `'all-pairs'` is for training by batches: an online session refuses it,
   * since its traces belong to its synapses. Default false.
   */
  readonly rewiring?: boolean | 'all-pairs'
  /** Only with a constant learning rate. Default null: none. */
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
 * How weights follow gradients, in the order of the authors' code: gradient step on θ (W = sign · θ), dead entries
 * cleared, l1 and noise on the living, rewiring. Source: Liu et al. 2021; DEEP R, Bellec et al. 2018.
 */
export type Optimiser = Adam | GradientDescent

/** Plain Adam: what trains where neither a call nor its task has an optimiser. */
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
