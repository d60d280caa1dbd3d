import { finite, wholeNumber } from '../support/check.js'
import { allocated, atMostNumbers, newDoubles } from '../support/memory.js'
import { readTensor, type Tensor, type TensorOptions, type TensorValues } from '../support/tensor.js'
import type { AnalogueInput } from './analogue-current.js'
import type { EventInput } from './frozen-poisson.js'

/** A count above this is no number of events in a step. */
const MOST_REPEATS = 2 ** 16

/**
 * Converts a dense tensor to events: an entry is the number of events of a unit in a step of a trial, usually 0 or 1.
 *
 * @example
 * ```ts
 * const spikes = new Uint8Array(100 * 4 * 40); // of snnTorch: time, trial, unit
 * spikes[0] = 1;
 * const cues = denseEvents(spikes, { layout: 'time-trial-unit', shape: [100, 4, 40] });
 * const batch = { length: 100, trials: 4, inputs: { cues } };
 * ```
 * @param values - Whole numbers, flat or nested.
 * @param options - The order of the dimensions and, for a flat array, their lengths.
 * @returns Events `(trial, step, unit)` in ascending order, for a batch's `inputs`.
 * @throws {@link MdglError} `'invalid'` for a shape that does not fit and for an entry that is no whole number of at least 0.
 */
export function denseEvents(values: TensorValues, options: TensorOptions = {}): EventInput {
  const tensor = readTensor(values, options)
  let count = 0
  eachEntry(tensor, value => {
    count += wholeNumber(value, 'values[…]', 0, MOST_REPEATS)
  })
  atMostNumbers(3 * count, 'values')
  const events = allocated(`${count} events`, 'values', () => new Uint32Array(3 * count))
  let at = 0
  eachEntry(tensor, (value, trial, step, unit) => {
    for (let repeat = 0; repeat < value; repeat++) {
      events[at++] = trial
      events[at++] = step
      events[at++] = unit
    }
  })
  return { events }
}

/**
 * Converts a dense tensor to analogue currents: one value per trial, step and unit, multiplied by the input weights like the 1 of an event.
 *
 * @example
 * ```ts
 * const drive = denseCurrents([[[0.1], [0.2], [0.3]]]); // one trial, three steps, one unit
 * ```
 * @param values - Finite numbers, flat or nested.
 * @param options - The order of the dimensions and, for a flat array, their lengths.
 * @returns Values `[trial][step][unit]`, for a batch's `inputs`.
 * @throws {@link MdglError} `'invalid'` for a shape that does not fit and for an entry that is no finite number.
 */
export function denseCurrents(values: TensorValues, options: TensorOptions = {}): AnalogueInput {
  const tensor = readTensor(values, options)
  const analogue = newDoubles(tensor.values.length, 'values')
  let at = 0
  eachEntry(tensor, value => {
    analogue[at++] = finite(value, 'values[…]')
  })
  return { analogue }
}

/** Goes through a tensor by trial, step and unit. */
function eachEntry(
  { values, trials, steps, units, trialStride, stepStride }: Tensor,
  visit: (value: number, trial: number, step: number, unit: number) => void
): void {
  for (let trial = 0; trial < trials; trial++) {
    for (let step = 0; step < steps; step++) {
      const from = trial * trialStride + step * stepStride
      for (let unit = 0; unit < units; unit++) visit(values[from + unit] as number, trial, step, unit)
    }
  }
}
