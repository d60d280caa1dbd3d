import type { Batch } from './batch.js'
import type { Values } from './precision.js'

/** A readout over a whole batch. */
export interface ReadoutTrace {
  /** y, laid out `[trial][step][unit]`. Steps beyond a shorter trial's end mean nothing. */
  readonly values: Values
  /** Number of trials. */
  readonly trials: number
  /** Steps of the longest trial. */
  readonly steps: number
  /** Units of the readout. */
  readonly units: number
}

/** What a custom loss gives back. */
export interface CustomLossResult {
  /** E, the batch mean. */
  readonly loss: number
  /** δ = ∂E/∂y, laid out `[trial][step][unit]`, the batch mean included. */
  readonly delta: Float64Array | Float32Array
  /** Fraction of trials that were right, where there is such a thing. */
  readonly accuracy?: number
}

/**
 * Softmax cross-entropy, −log softmax(y)[target]: of a class a trial, the mean over trials and the last `window` ms; or, with the
 * window `'targets'`, of classes that each count for a time of their own ({@link ClassWindow}), the mean over those and over the
 * steps of each. An answer is right where the readout summed over its steps is highest for its class.
 */
export interface CrossEntropy {
  /** Softmax cross-entropy. */
  readonly kind: 'cross-entropy'
  /** How much of a trial's end counts, in ms, rounded to whole steps, at least one; or `'targets'`, which say it themselves. Default: the last step. */
  readonly window?: number | 'targets'
}

/** ½ Σ (y − y*)² over steps and units, the mean over trials. */
export interface SquaredError {
  /** Squared error at every step. */
  readonly kind: 'squared-error'
}

/** A loss of your own, a function of the readout that gives E and δ = ∂E/∂y. */
export interface CustomLoss {
  /** A function. */
  readonly kind: 'custom'
  /**
   * Judges a batch.
   *
   * @param readout - The readout over the batch.
   * @param batch - The batch as the task gave it.
   */
  evaluate(readout: ReadoutTrace, batch: Batch): CustomLossResult
}

/** A loss at one readout. */
export type Loss = CrossEntropy | SquaredError | CustomLoss

/** A loss for each of several readouts, by name; one that is left out has none. */
export type LossByReadout<ReadoutName extends string = string> = { readonly [Name in ReadoutName]?: Loss }

/** A loss for the only readout, or one for each of several. */
export type Losses<ReadoutName extends string = string> = Loss | LossByReadout<ReadoutName>

/**
 * ½ c Σ_p (f_p − f0)², f_p the mean rate of neuron p over trials and steps (per step); with conventions `'bellec2020'` of each
 * trial by itself, see {@link Conventions}.
 */
export interface Regulariser {
  /** c. */
  readonly strength: number
  /** f0 in Hz. */
  readonly targetRate: number
}
