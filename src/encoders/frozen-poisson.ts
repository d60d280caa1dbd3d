import { toPositiveSteps } from '../network/duration.js'
import { nonNegative, positive, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import { atMostNumbers } from '../support/memory.js'
import { fixedRandom } from '../task/task.js'

/** Options of {@link frozenPoisson}. */
export interface FrozenPoissonOptions {
  /** Number of units. */
  readonly units: number
  /** Duration in ms, rounded to whole steps, at least one. */
  readonly duration: number
  /** Rate of each unit in Hz; at most one event per step. */
  readonly rate: number
  /** Seed of the events: a whole number of at least 0. */
  readonly seed: number
  /** The network's step in ms. Default 1. */
  readonly dt?: number
}

/** Events, for a batch's `inputs`. */
export interface EventInput {
  /** Triples (trial, step, unit) in ascending order. */
  readonly events: Uint32Array
}

/**
 * Frozen Poisson input: events are drawn once, each unit firing in each step with probability rate · dt; every trial of every
 * batch has the same events.
 *
 * @example
 * ```ts
 * const frozen = frozenPoisson({ units: 100, duration: 1000, rate: 50, seed: 1 });
 * const inputs = { noise: frozen(8) }; // eight trials
 * ```
 * @param options - Units, duration, rate and seed.
 * @returns A function that returns the events for a number of trials, for a batch's `inputs`.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed.
 */
export function frozenPoisson(options: FrozenPoissonOptions): (trials: number) => EventInput {
  const events = draw(options)
  return trials => ({ events: repeat(events, wholeNumber(trials, 'trials', 1)) })
}

/** Flat pairs (step, unit). */
function draw(options: FrozenPoissonOptions): number[] {
  record(options, 'options', ['units', 'duration', 'rate', 'seed', 'dt'])
  const { dt = 1 } = options
  const units = wholeNumber(options.units, 'options.units', 1)
  const steps = toPositiveSteps(options.duration, positive(dt, 'options.dt'), 'options.duration')
  const probability = (nonNegative(options.rate, 'options.rate') * dt) / 1000
  if (probability > 1) throw invalid('options.rate', options.rate, `at most one event a step, ${1000 / dt} Hz`)
  atMostNumbers(units * steps, 'options.units × options.duration')
  const random = fixedRandom(options.seed, FROZEN_EVENTS)
  const events: number[] = []
  for (let step = 0; step < steps; step++) {
    for (let unit = 0; unit < units; unit++) {
      if (random.uniform() <= probability) events.push(step, unit)
    }
  }
  return events
}

/** The part of a seed's fixed numbers that frozen events take; targets take part 0. */
const FROZEN_EVENTS = 1

/** Triples (trial, step, unit). */
function repeat(events: readonly number[], trials: number): Uint32Array {
  const count = events.length / 2
  atMostNumbers(trials * count * 3, 'trials')
  const triples = new Uint32Array(trials * count * 3)
  for (let trial = 0; trial < trials; trial++) {
    for (let event = 0; event < count; event++) {
      triples.set([trial, events[2 * event] ?? 0, events[2 * event + 1] ?? 0], (trial * count + event) * 3)
    }
  }
  return triples
}
