import { array, numbers, object, orDefault, positive, record } from '../check.js'
import { toPositiveSteps } from '../duration.js'
import { invalid } from '../error.js'
import type { EventInput } from './frozen-poisson.js'

/** Options of {@link binnedEvents}. */
export interface BinnedEventsOptions {
  /** How much of each recording counts, in ms from its start, rounded to whole steps; later events are left out. */
  readonly duration: number
  /** The network's step in ms. Default 1. */
  readonly dt?: number
}

/** Events at any times, as {@link EventSet} gives them. */
export interface TimedEvents {
  /** Time of each event in ms, in any order. */
  readonly times: ArrayLike<number>
  /** The unit of each event. */
  readonly units: ArrayLike<number>
}

/**
 * Recorded events in steps of the network: one at time t falls into step ⌊t/dt⌋. Several of a unit in one step count as many times.
 *
 * @example
 * ```ts
 * const recorded = { times: [0.2, 0.9, 7.5], units: [3, 3, 0] }; // ms
 * const { events } = binnedEvents([recorded], { duration: 10 });
 * console.log(events); // (0, 0, 3) twice, (0, 7, 0)
 * ```
 * @param trials - The recordings, one a trial.
 * @param options - Duration and step.
 * @returns Events, for a batch's `inputs`.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed, a time that is no number of at least 0, a unit that is no whole
 * number, or a recording with more times than units.
 */
export function binnedEvents(trials: readonly TimedEvents[], options: BinnedEventsOptions): EventInput {
  record(options, 'options', ['duration', 'dt'])
  const dt = positive(orDefault(options.dt, 1), 'options.dt')
  const steps = toPositiveSteps(options.duration, dt, 'options.duration')
  const parts = array(trials, 'trials').map((trial, i) => binTrial(trial, i, { dt, steps }))
  const events = new Uint32Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    events.set(part, at)
    at += part.length
  }
  return { events }
}

const MOST = 2 ** 32

function binTrial(given: TimedEvents, trial: number, { dt, steps }: { dt: number; steps: number }): Uint32Array {
  const path = `trials[${trial}]`
  object(given, path)
  const times = numbers(given.times, `${path}.times`)
  const units = numbers(given.units, `${path}.units`)
  if (times.length !== units.length) throw invalid(`${path}.units`, units, `as many as times (${times.length})`)
  const pairs: [step: number, unit: number][] = []
  for (let i = 0; i < times.length; i++) {
    const [time, unit] = [times[i], units[i]]
    if (typeof time !== 'number' || !(time >= 0)) throw invalid(`${path}.times[${i}]`, time, 'a number of at least 0')
    if (typeof unit !== 'number' || !Number.isInteger(unit) || unit < 0 || unit >= MOST) {
      throw invalid(`${path}.units[${i}]`, unit, 'a whole number of at least 0')
    }
    const step = Math.floor(time / dt)
    if (step < steps) pairs.push([step, unit])
  }
  pairs.sort(([step, unit], [otherStep, otherUnit]) => step - otherStep || unit - otherUnit)
  return Uint32Array.from(pairs.flatMap(([step, unit]) => [trial, step, unit]))
}
