import { array, finite, isObject, nonNegative, positive, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { RateSegment } from '../task/batch.js'
import { poissonRates, type TimeWindow } from './poisson.js'

/** As many as a population may have units. */
const MOST_GROUPS = 2 ** 24

/** Tuning curves of a population. */
export interface Tuning {
  /** Number of tuned groups, at least 2; a group has `unitsEach` units of the window. */
  readonly groups: number
  /** The preferred values of the first and the last group; those of the others are evenly spaced between them. */
  readonly range: readonly [number, number]
  /** Standard deviation of the tuning curve, in the unit of the value. */
  readonly width: number
  /** Rate at the preferred value in Hz. */
  readonly peakRate: number
}

/**
 * Population code: group i fires at peakRate · exp(−(value − c_i)²/(2 width²)) Hz, with preferred values c_i evenly
 * spaced over the range.
 *
 * @example
 * ```ts
 * const tuning = { groups: 10, range: [-1, 1], width: 0.2, peakRate: 100 } as const;
 * const rates = populationCode(0.3, tuning, { trial: 0, from: 0, to: 200 });
 * ```
 * @param value - The number to encode.
 * @param tuning - Preferred values, width and peak rate.
 * @param window - Time, trial and first unit.
 * @returns Rate segments for the `rates` of a batch's inputs.
 * @throws {@link MdglError} `'invalid'` for a value, a tuning or a window that is not allowed.
 */
export function populationCode(value: number, tuning: Tuning, window: TimeWindow): RateSegment[] {
  finite(value, 'value')
  record(tuning, 'tuning', ['groups', 'range', 'width', 'peakRate'])
  const groups = wholeNumber(tuning.groups, 'tuning.groups', 2, MOST_GROUPS)
  const [lowest, highest] = ascending(tuning.range)
  const width = positive(tuning.width, 'tuning.width')
  const peakRate = nonNegative(tuning.peakRate, 'tuning.peakRate')
  const rates = Array.from({ length: groups }, (_, group) => {
    const preferred = lowest + ((highest - lowest) * group) / (groups - 1)
    return peakRate * Math.exp(-((value - preferred) ** 2) / (2 * width ** 2))
  })
  return poissonRates(rates, window)
}

function ascending(range: readonly [number, number]): readonly [number, number] {
  const given = isObject(range) && Array.isArray(range) ? array(range, 'tuning.range') : []
  const [lowest, highest] = [finite(given[0], 'tuning.range[0]'), finite(given[1], 'tuning.range[1]')]
  if (lowest >= highest) throw invalid('tuning.range', range, 'two ascending numbers')
  return [lowest, highest]
}
