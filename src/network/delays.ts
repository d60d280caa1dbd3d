import { isObject, oneOf, orDefault, positive, record } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Delay, DelayDistribution, NumberList } from './description.js'
import { inMs, timeConstant, toPositiveSteps } from './duration.js'
import { finiteNumbers } from './number-lists.js'

/** The numbers of each distribution. */
const NUMBERS = { uniform: ['low', 'high'], normal: ['mean', 'standardDeviation'] } as const

/**
 * A projection's delays with every duration rounded to whole steps; the engine checks their range and what the projection joins.
 *
 * @param listed - The number of its listed synapses; nothing where they are drawn.
 */
export function delays(given: Delay | undefined, dt: number, listed: number | undefined, path: string): Delay {
  const rounded = (value: unknown, where: string) => inMs(toPositiveSteps(value, dt, where), dt)
  if (!isObject(given)) return rounded(orDefault(given, dt), path)
  if (isNumberList(given)) {
    if (listed === undefined) {
      throw invalid(path, given, 'one delay, or a distribution: only synapses of connections have a list of them')
    }
    const list = finiteNumbers(given, path, listed)
    list.forEach((value, i) => {
      list[i] = rounded(value, `${path}[${i}]`)
    })
    return list
  }
  return distribution(given, dt, rounded, path)
}

function distribution(
  given: DelayDistribution,
  dt: number,
  rounded: (value: unknown, path: string) => number,
  path: string
): DelayDistribution {
  const scheme = oneOf(given.scheme, `${path}.scheme`, Object.keys(NUMBERS) as (keyof typeof NUMBERS)[])
  const values = record(given as unknown as Readonly<Record<string, unknown>>, path, ['scheme', ...NUMBERS[scheme]])
  if (scheme === 'uniform') {
    return { scheme, low: rounded(values.low, `${path}.low`), high: rounded(values.high, `${path}.high`) }
  }
  const standardDeviation = positive(values.standardDeviation, `${path}.standardDeviation`)
  return { scheme, mean: timeConstant(values.mean, dt, `${path}.mean`), standardDeviation }
}

/** Whether delays are a list, one per synapse. */
export function isNumberList(delay: Delay): delay is NumberList {
  return Array.isArray(delay) || ArrayBuffer.isView(delay)
}
