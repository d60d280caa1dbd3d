import { nonNegative, numbers, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { RateSegment } from '../task/batch.js'

/**
 * A window of time in one trial, and the units that an encoder drives. Times are in ms, which a batch rounds to whole steps; a batch refuses a window
 * with a length above 0 that rounds to no step.
 */
export interface TimeWindow {
  /** The trial. */
  readonly trial: number
  /** Start. */
  readonly from: number
  /** End, at least the start. */
  readonly to: number
  /** The first unit. Default 0. */
  readonly firstUnit?: number
  /** How many units share each value. Default 1. */
  readonly unitsEach?: number
}

/**
 * Poisson input by rates: group i of `unitsEach` neighbouring units fires at `rates[i]` Hz within the window. The engine draws
 * the events.
 *
 * @example
 * ```ts
 * // Two populations of 20 units for 100 ms of trial 3: the first at 40 Hz, the second silent.
 * const rates = poissonRates([40, 0], { trial: 3, from: 0, to: 100, unitsEach: 20 });
 * const inputs = { cues: { rates } };
 * ```
 * @param rates - One rate per group of units, in Hz.
 * @param window - Time, trial and first unit.
 * @returns Rate segments for the `rates` of a batch's inputs; groups at 0 Hz have none.
 * @throws {@link MdglError} `'invalid'` for a negative rate and for a window that is not allowed.
 */
export function poissonRates(rates: ArrayLike<number>, window: TimeWindow): RateSegment[] {
  record(window, 'window', ['trial', 'from', 'to', 'firstUnit', 'unitsEach'])
  const { trial, from, to, firstUnit = 0, unitsEach = 1 } = window
  wholeNumber(trial, 'window.trial')
  wholeNumber(firstUnit, 'window.firstUnit')
  wholeNumber(unitsEach, 'window.unitsEach', 1)
  if (nonNegative(from, 'window.from') > nonNegative(to, 'window.to')) {
    throw invalid('window.to', to, `at least the window's start, ${from} ms`)
  }
  return Array.from(numbers(rates, 'rates'), (rate, group) => {
    const first = firstUnit + group * unitsEach
    return { trial, units: [first, first + unitsEach] as const, from, to, rate: nonNegative(rate, `rates[${group}]`) }
  }).filter(({ rate }) => rate > 0)
}
