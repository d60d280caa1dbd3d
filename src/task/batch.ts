import type { Values } from '../support/precision.js'

/** Poisson events of constant rate in a range of units, for a part of one trial; the engine draws them. */
export interface RateSegment {
  /** The trial. */
  readonly trial: number
  /** The first unit, and the last unit + 1. */
  readonly units: readonly [number, number]
  /** Start in ms, rounded to whole steps. */
  readonly from: number
  /** End in ms, rounded to whole steps: equal to the start, for no events, or at least a step later. */
  readonly to: number
  /** Rate of each unit in Hz. The number of events per step is Poisson distributed: it may be above 1, and each event counts. */
  readonly rate: number
}

/** Activity of an input population: events drawn at given rates, listed events, or analogue values. */
export type InputValues =
  | {
      /** Rate segments. */
      readonly rates: readonly RateSegment[]
    }
  | {
      /** Events `(trial, step, unit)`, flat or as triples; one that is listed twice counts twice. */
      readonly events: Uint32Array | readonly (readonly [number, number, number])[]
    }
  | {
      /** Values `[trial][step][unit]`. */
      readonly analogue: Float32Array | Float64Array
    }

/** A class that is right for a part of one trial, which may have several such answers. */
export interface ClassWindow {
  /** The trial. */
  readonly trial: number
  /** Start in ms, rounded to whole steps. */
  readonly from: number
  /** End in ms, rounded to whole steps: at least a step after the start. */
  readonly to: number
  /** The right class, a unit of the readout. */
  readonly class: number
}

/**
 * Targets of one readout: a class per trial; values `[trial][step][unit]`; or, for a {@link CrossEntropy} with the window `'targets'`,
 * classes that count for a part of a trial each.
 */
export type Targets =
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array
  | readonly number[]
  | Float64Array
  | Float32Array
  | readonly ClassWindow[]

/** The trials of a shared batch that one process creates. */
export interface TrialRange {
  /** The first trial. */
  readonly from: number
  /** The last trial + 1. */
  readonly to: number
  /** Number of trials of the whole batch. */
  readonly of: number
}

/** Trials that are run together: their inputs and the targets of the readouts. */
export interface Batch<InputName extends string = string, ReadoutName extends string = string> {
  /** Duration in ms, rounded to whole steps, at least one step: one number for all trials, or one per trial. */
  readonly length: number | readonly number[]
  /** Number of trials. Default: that of `length` or of the class targets. */
  readonly trials?: number
  /** Activity of each input population; one that is left out is silent. */
  readonly inputs: { readonly [Name in InputName]?: InputValues }
  /** Targets of the only loss, or one entry for each readout that has one. */
  readonly targets?: Targets | { readonly [Name in ReadoutName]?: Targets }
  /** Any data of the caller, passed on to custom losses and rules; the library does not read it. */
  readonly metadata?: unknown
  /** The loss that {@link evaluate}, {@link gradients} and others use by default; {@link makeBatch} sets it to its task's loss. */
  readonly loss?: Losses<ReadoutName> | undefined
  /** The regulariser that is used by default together with this loss. */
  readonly regulariser?: Regulariser | null | undefined
  /**
   * The part of a shared batch that these trials are; they are numbered from 0 on nevertheless. A task that creates only the requested
   * {@link TaskContext.range} returns it here. Default: the trials are the whole batch.
   */
  readonly range?: TrialRange | undefined
}

/** The key of the generator that draws a batch's events. */
export interface DrawKey {
  readonly seed: number
  readonly stream: number
  readonly iteration: number
}

/** The trials of a batch, in steps. */
export interface BatchShape {
  readonly trials: number
  /** Steps of each trial. */
  readonly lengths: readonly number[]
  /** Steps of the longest trial. */
  readonly steps: number
  readonly dt: number
  /** The range of a larger batch that they are, for the process that has it; undefined where they are the whole. */
  readonly range: TrialRange | undefined
}

/** Values of a readout over a whole batch. */
export interface ReadoutTrace {
  /** y, laid out `[trial][step][unit]`. Values after the end of a shorter trial have no meaning. */
  readonly values: Values
  /** Number of trials. */
  readonly trials: number
  /** Steps of the longest trial. */
  readonly steps: number
  /** Units of the readout. */
  readonly units: number
}

/** Result of a custom loss, without its weight. */
export interface CustomLossResult {
  /** E, the batch mean. */
  readonly loss: number
  /** δ = ∂E/∂y, laid out `[trial][step][unit]`, the batch mean included. */
  readonly delta: Float64Array | Float32Array
  /** Fraction of right answers, if the loss defines right answers. */
  readonly accuracy?: number
}

/** Options of every loss. */
export interface LossBase {
  /** Factor of this loss in the sum over readouts; with 0 it is measured but not trained. Default 1. */
  readonly weight?: number | undefined
}

/** Options of losses over steps. */
export interface StepLoss extends LossBase {
  /**
   * Mean or sum over the steps that count in a trial or answer; over trials or answers it is always the mean. Default: `'mean'` for cross-entropy,
   * `'sum'` for squared error.
   */
  readonly reduction?: 'mean' | 'sum' | undefined
}

/**
 * Softmax cross-entropy, −log softmax(y)[target], in nats: with one class per trial, the mean over trials and over the last `window` ms; with the
 * window `'targets'`, the mean over {@link ClassWindow}s and over the steps of each. An answer is right if the sum of the readout over its steps
 * is highest for the right class.
 */
export interface CrossEntropy extends StepLoss {
  /** Softmax cross-entropy. */
  readonly kind: 'cross-entropy'
  /**
   * Length of the part at a trial's end that counts, in ms, rounded to whole steps, at least one; or `'targets'`, for {@link ClassWindow}s. Default:
   * the last step.
   */
  readonly window?: number | 'targets'
  /** Factor of each answer by its class, one number of at least 0 per class; the sum is divided by the number of answers. Default: 1 for all. */
  readonly classWeights?: readonly number[] | Float64Array | Float32Array | undefined
}

/** ½ Σ (y − y*)² over steps and units, the mean over trials; with the reduction `'mean'` the mean over each trial's steps. */
export interface SquaredError extends StepLoss {
  /** Squared error at every step. */
  readonly kind: 'squared-error'
}

/** A loss of your own, a function of the readout that returns E and δ = ∂E/∂y. */
export interface CustomLoss extends LossBase {
  /** A function. */
  readonly kind: 'custom'
  /**
   * Computes loss and errors of a batch.
   *
   * @param readout - The readout over the batch.
   * @param batch - The batch as the task returned it.
   */
  evaluate(readout: ReadoutTrace, batch: Batch): CustomLossResult
}

/** A loss at one readout. */
export type Loss = CrossEntropy | SquaredError | CustomLoss

/** A loss for each of several readouts, by name, built-in or custom; a readout that is left out has none. */
export type LossByReadout<ReadoutName extends string = string> = { readonly [Name in ReadoutName]?: Loss }

/** A loss for the only readout, or one for each of several. */
export type Losses<ReadoutName extends string = string> = Loss | LossByReadout<ReadoutName>

/** The objective: loss and regulariser. */
export interface ObjectiveOptions<ReadoutName extends string = string> {
  /** The loss. Default: the batch's own; without one a loss must be given. */
  readonly loss?: Losses<ReadoutName> | undefined
  /** Firing-rate regulariser; null for none. Default: with the batch's own loss the batch's own, else none. */
  readonly regulariser?: Regulariser | null | undefined
}

/**
 * Firing-rate regulariser ½ c Σ_p (f_p − f0)², with f_p and f0 in spikes per step: f_p is the mean of neuron p over trials and steps; with conventions
 * `'bellec2020'` the mean of each trial, see {@link Conventions}.
 */
export interface Regulariser {
  /** c. */
  readonly strength: number
  /** f0 in Hz. */
  readonly targetRate: number
}
