import type { Values } from '../support/precision.js'

/** Poisson events of constant rate in some units for some time of one trial; the engine draws them. */
export interface RateSegment {
  /** The trial. */
  readonly trial: number
  /** First unit and the one past the last. */
  readonly units: readonly [number, number]
  /** Start in ms, rounded to whole steps. */
  readonly from: number
  /** End in ms, rounded to whole steps: the start itself, for no event, or at least a step later. */
  readonly to: number
  /** Rate of each unit in Hz. Events are Poisson: above 1000/dt Hz a unit has several in most steps, and they count as such. */
  readonly rate: number
}

/** What an input population does: drawn at given rates, given event by event, or given as values. */
export type InputValues =
  | {
      /** Rate segments. */
      readonly rates: readonly RateSegment[]
    }
  | {
      /** Events `(trial, step, unit)`, flat or as triples; a repeated one counts twice. */
      readonly events: Uint32Array | readonly (readonly [number, number, number])[]
    }
  | {
      /** Values `[trial][step][unit]`. */
      readonly analogue: Float32Array | Float64Array
    }

/** A class that is right for some time of one trial: one of several answers that a trial may ask for. */
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
 * classes that count for some time each.
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

/** Some trials of a batch, of which other processes make the others. */
export interface TrialRange {
  /** The first trial. */
  readonly from: number
  /** The one past the last. */
  readonly to: number
  /** Number of trials of the whole batch. */
  readonly of: number
}

/** Trials that are run together: their inputs and what the readouts should have done. */
export interface Batch<InputName extends string = string, ReadoutName extends string = string> {
  /** Duration in ms, rounded to whole steps, at least one: one for all trials, or one per trial. */
  readonly length: number | readonly number[]
  /** Number of trials. Default: that of `length` or of the class targets. */
  readonly trials?: number
  /** What each input population does; one that is left out is silent. */
  readonly inputs: { readonly [Name in InputName]?: InputValues }
  /** Targets of the only loss, or one entry for each readout that has one. */
  readonly targets?: Targets | { readonly [Name in ReadoutName]?: Targets }
  /** Anything of the caller's own; the library passes it on to custom losses and rules and does not read it. */
  readonly metadata?: unknown
  /** The loss that {@link evaluate}, {@link gradients} and others take where they are given none; {@link makeBatch} puts its task's here. */
  readonly loss?: Losses<ReadoutName> | undefined
  /** The regulariser that goes with it. */
  readonly regulariser?: Regulariser | null | undefined
  /**
   * The range of a larger batch that these trials are; they are numbered from 0 on all the same. A task that has made the range it was asked for,
   * and no other trials, returns that range here. Only processes that share a batch compute with one. Default: they are the whole batch.
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

/** What a custom loss gives back, before its weight. */
export interface CustomLossResult {
  /** E, the batch mean. */
  readonly loss: number
  /** δ = ∂E/∂y, laid out `[trial][step][unit]`, the batch mean included. */
  readonly delta: Float64Array | Float32Array
  /** Fraction of trials that were right, where there is such a thing. */
  readonly accuracy?: number
}

/** What every loss may have. */
export interface LossBase {
  /** Factor of this loss among those of all readouts; 0 to measure it without learning from it. Default 1. */
  readonly weight?: number | undefined
}

/** What losses over steps may have. */
export interface StepLoss extends LossBase {
  /** Whether the steps that count become their mean or their sum; trials or answers become their mean. Default: the loss's own. */
  readonly reduction?: 'mean' | 'sum' | undefined
}

/**
 * Softmax cross-entropy, −log softmax(y)[target]: of a class per trial, the mean over trials and the last `window` ms; or, with the
 * window `'targets'`, of classes that each count for a time of their own ({@link ClassWindow}), the mean over those and over the
 * steps of each. An answer is right where the readout summed over its steps is highest for its class.
 */
export interface CrossEntropy extends StepLoss {
  /** Softmax cross-entropy. */
  readonly kind: 'cross-entropy'
  /** How much of a trial's end counts, in ms, rounded to whole steps, at least one; or `'targets'`, which say it themselves. Default: the last step. */
  readonly window?: number | 'targets'
  /** Factor of an answer by its class, one number of at least 0 per class; the mean stays one over the number of answers. Default: 1 for all. */
  readonly classWeights?: readonly number[] | Float64Array | Float32Array | undefined
}

/** ½ Σ (y − y*)² over steps and units, the mean over trials; with the reduction `'mean'` the mean over each trial's steps. */
export interface SquaredError extends StepLoss {
  /** Squared error at every step. */
  readonly kind: 'squared-error'
}

/** A loss of your own, a function of the readout that gives E and δ = ∂E/∂y. */
export interface CustomLoss extends LossBase {
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

/** A loss for each of several readouts, by name, built-in and custom ones as they come; a readout that is left out has none. */
export type LossByReadout<ReadoutName extends string = string> = { readonly [Name in ReadoutName]?: Loss }

/** A loss for the only readout, or one for each of several. */
export type Losses<ReadoutName extends string = string> = Loss | LossByReadout<ReadoutName>

/** Options that say what is to become small. */
export interface ObjectiveOptions<ReadoutName extends string = string> {
  /** The loss. Default: the batch's own; without one a loss must be given. */
  readonly loss?: Losses<ReadoutName> | undefined
  /** Firing-rate regulariser; null for none. Default: with the batch's own loss the batch's own, else none. */
  readonly regulariser?: Regulariser | null | undefined
}

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
