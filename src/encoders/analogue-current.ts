import { callable, finite, record, wholeNumber } from '../support/check.js'
import { newDoubles } from '../support/memory.js'

/** The sizes of an analogue input. */
export interface AnalogueShape {
  /** Number of trials. */
  readonly trials: number
  /** Number of steps. */
  readonly steps: number
  /** Number of input units. */
  readonly units: number
}

/** An analogue input, for a batch's `inputs`. */
export interface AnalogueInput {
  /** Values `[trial][step][unit]`. */
  readonly analogue: Float64Array
}

/**
 * Analogue current: one value per trial, step and unit, multiplied by the input weights like the 1 of an event.
 *
 * @example
 * ```ts
 * const inputs = { drive: analogueCurrent({ trials: 4, steps: 100, units: 1 }, (trial, step) => Math.sin(step / 10)) };
 * ```
 * @param shape - Trials, steps and units.
 * @param value - Returns the current of a trial, step and unit; called in this order.
 * @returns Values `[trial][step][unit]` for a batch's `inputs`.
 * @throws {@link MdglError} `'invalid'` for a shape that is not allowed and a value that is no finite number.
 */
export function analogueCurrent(
  shape: AnalogueShape,
  value: (trial: number, step: number, unit: number) => number
): AnalogueInput {
  record(shape, 'shape', ['trials', 'steps', 'units'])
  const trials = wholeNumber(shape.trials, 'shape.trials', 1)
  const steps = wholeNumber(shape.steps, 'shape.steps', 1)
  const units = wholeNumber(shape.units, 'shape.units', 1)
  callable(value, 'value')
  const analogue = newDoubles(trials * steps * units, 'shape')
  let at = 0
  for (let trial = 0; trial < trials; trial++) {
    for (let step = 0; step < steps; step++) {
      for (let unit = 0; unit < units; unit++) analogue[at++] = finite(value(trial, step, unit), 'value()')
    }
  }
  return { analogue }
}
