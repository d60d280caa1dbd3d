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
 * Targets of one readout: a class a trial; values `[trial][step][unit]`; or, for a {@link CrossEntropy} with the window `'targets'`,
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

/** Trials that are run together: their inputs and what the readouts should have done. */
export interface Batch<InputName extends string = string, ReadoutName extends string = string> {
  /** Duration in ms, rounded to whole steps, at least one: one for all trials, or one a trial. */
  readonly length: number | readonly number[]
  /** Number of trials. Default: that of `length` or of the class targets. */
  readonly trials?: number
  /** What each input population does; one that is left out is silent. */
  readonly inputs: { readonly [Name in InputName]?: InputValues }
  /** Targets of the only loss, or one entry for each readout that has one. */
  readonly targets?: Targets | { readonly [Name in ReadoutName]?: Targets }
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
}
