import { array, finite, nonNegative, orDefault, record } from '../support/check.js'
import type { Population } from './description.js'
import { inMs, timeConstantOrNone, toSpan } from './duration.js'

/** The currents of a population, checked; times of steps are rounded. */
export function injected(
  { noise, currents }: Population,
  dt: number,
  path: string
): Pick<Population, 'noise' | 'currents'> {
  return {
    ...(noise !== undefined && { noise: noiseCurrent(noise, dt, `${path}.noise`) }),
    ...(currents !== undefined && { currents: stepCurrents(currents, dt, `${path}.currents`) })
  }
}

function noiseCurrent(given: NonNullable<Population['noise']>, dt: number, path: string) {
  record(given, path, ['mean', 'standardDeviation', 'timeConstant'])
  return {
    mean: finite(orDefault(given.mean, 0), `${path}.mean`),
    standardDeviation: nonNegative(given.standardDeviation, `${path}.standardDeviation`),
    timeConstant: timeConstantOrNone(given.timeConstant, dt, `${path}.timeConstant`)
  }
}

function stepCurrents(given: NonNullable<Population['currents']>, dt: number, path: string) {
  return array(given, path).map((current, i) => {
    const own = `${path}[${i}]`
    record(current, own, ['from', 'to', 'amplitude'])
    const { from, to } = toSpan(current, dt, own)
    return { from: inMs(from, dt), to: inMs(to, dt), amplitude: finite(current.amplitude, `${own}.amplitude`) }
  })
}
