import { FLOAT_NOISE, stepAt, toTrialSteps } from '../network/duration.js'
import { array, numbers, object, orDefault, positive, record } from '../support/check.js'
import { invalid } from '../support/error.js'
import { atMostNumbers } from '../support/memory.js'
import { isFloat32Array } from '../support/recognise.js'
import { narrowed, type WideIntegers } from '../support/wide-integers.js'
import type { EventInput } from './frozen-poisson.js'
import { ordered, type StepsAndUnits } from './order-events.js'

/** Options of {@link binnedEvents}. */
export interface BinnedEventsOptions {
  /** How much of each recording counts, in ms from its start, rounded to whole steps, at least one; later events are left out. */
  readonly duration: number
  /** The network's step in ms. Default 1. */
  readonly dt?: number
}

/** Events at any times, for example a recording of an {@link EventSet}, or arrays from NumPy and HDF5. */
export interface TimedEvents {
  /** Time of each event in ms, in any order. */
  readonly times: ArrayLike<number> | BigInt64Array | BigUint64Array
  /** The unit of each event. */
  readonly units: ArrayLike<number> | BigInt64Array | BigUint64Array
}

/**
 * Sorts recorded events into steps of the network: an event at time t falls into step ⌊t/dt⌋. Times and `dt` are read as the decimals that were written,
 * so that 0.3 ms is the start of step 3 at a `dt` of 0.1 (a division of floats gives 2); times in a `Float32Array` are read as decimals of
 * seven digits. Every event counts, also several of a unit in one step.
 *
 * @example
 * ```ts
 * const recorded = { times: [0.2, 0.9, 7.5], units: [3, 3, 0] }; // ms
 * const { events } = binnedEvents([recorded], { duration: 10 });
 * console.log(events); // (0, 0, 3) twice, (0, 7, 0)
 * ```
 * @param trials - The recordings, one per trial.
 * @param options - Duration and step.
 * @returns Events, for a batch's `inputs`.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed, a time that is no number of at least 0, a unit that is no whole
 * number, or a recording with more times than units.
 */
export function binnedEvents(trials: readonly TimedEvents[], options: BinnedEventsOptions): EventInput {
  record(options, 'options', ['duration', 'dt'])
  const dt = positive(orDefault(options.dt, 1), 'options.dt')
  const steps = toTrialSteps(options.duration, dt, 'options.duration')
  const parts = array(trials, 'trials').map((trial, i) => ordered(bin(trial, { dt, steps }, `trials[${i}]`)))
  const count = parts.reduce((sum, part) => sum + part.steps.length, 0)
  atMostNumbers(3 * count, 'trials')
  const events = new Uint32Array(3 * count)
  let at = 0
  for (const [trial, part] of parts.entries()) {
    for (let i = 0; i < part.steps.length; i++) {
      events[at++] = trial
      events[at++] = part.steps[i] ?? 0
      events[at++] = part.units[i] ?? 0
    }
  }
  return { events }
}

const MOST = 2 ** 32

/** The events of a recording that come within so many steps, in its order. */
function bin(given: TimedEvents, { dt, steps }: { dt: number; steps: number }, path: string): StepsAndUnits {
  object(given, path)
  const times = numbersOf(given.times, `${path}.times`)
  const units = numbersOf(given.units, `${path}.units`)
  const { length } = times
  if (length !== units.length) throw invalid(`${path}.units`, units, `as many as times (${length})`)
  const noise = isFloat32Array(times) ? FLOAT_NOISE : undefined
  const binned = { steps: new Uint32Array(length), units: new Uint32Array(length) }
  let count = 0
  for (let i = 0; i < length; i++) {
    const time = times[i]
    const unit = units[i]
    if (typeof time !== 'number' || !(time >= 0)) throw invalid(`${path}.times[${i}]`, time, 'a number of at least 0')
    if (typeof unit !== 'number' || !Number.isInteger(unit) || unit < 0 || unit >= MOST) {
      throw invalid(`${path}.units[${i}]`, unit, 'a whole number of at least 0')
    }
    const step = stepAt(time, dt, noise)
    if (step >= steps) continue
    binned.steps[count] = step
    binned.units[count] = unit
    count += 1
  }
  return { steps: binned.steps.subarray(0, count), units: binned.units.subarray(0, count) }
}

const numbersOf = (values: ArrayLike<number> | WideIntegers, path: string) => numbers(narrowed(values, path), path)
