import { toPositiveSteps } from '../network/duration.js'
import { finite, nonNegative, numbers, orDefault, positive, record } from '../support/check.js'
import { invalid } from '../support/error.js'
import { atMostNumbers } from '../support/memory.js'

/** Options of {@link sumOfSines}; the arrays have one entry per sine. */
export interface SinesOptions {
  /** In ms, rounded to whole steps, at least one. */
  readonly duration: number
  /** In Hz. */
  readonly frequencies: ArrayLike<number>
  /** Amplitudes. */
  readonly weights: ArrayLike<number>
  /** In radians. Default 0. */
  readonly phases?: ArrayLike<number>
  /** The network's step in ms. Default 1. */
  readonly dt?: number
}

/**
 * A target curve: Σ_i w_i sin(2π f_i t + φ_i) at t = 0, dt, 2 dt, …
 *
 * @example
 * ```ts
 * const curve = sumOfSines({ duration: 1000, frequencies: [1, 2, 3], weights: [1, 0.5, 0.25] });
 * ```
 * @param options - Duration, frequencies, weights and phases.
 * @returns One value per step.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed and for arrays of different lengths.
 */
export function sumOfSines(options: SinesOptions): Float64Array {
  record(options, 'options', ['duration', 'frequencies', 'weights', 'phases', 'dt'])
  const { dt = 1, duration } = options
  const steps = toPositiveSteps(duration, positive(dt, 'options.dt'), 'options.duration')
  atMostNumbers(steps, 'options.duration')
  const frequencies = Array.from(numbers(options.frequencies, 'options.frequencies'))
  const weights = sameLength(options.weights, frequencies.length, 'options.weights')
  const phases = sameLength(
    orDefault(
      options.phases,
      frequencies.map(() => 0)
    ),
    frequencies.length,
    'options.phases'
  )
  const sines = frequencies.map((frequency, i) => ({
    perStep: (2 * Math.PI * nonNegative(frequency, `options.frequencies[${i}]`) * dt) / 1000,
    weight: finite(weights[i], `options.weights[${i}]`),
    phase: finite(phases[i], `options.phases[${i}]`)
  }))
  const wild = sines.findIndex(({ perStep, phase }) => !Number.isFinite(perStep * steps + phase))
  if (wild >= 0)
    throw invalid(`options.frequencies[${wild}]`, frequencies[wild], 'a frequency whose phase stays finite')
  const most = sines.reduce((sum, { weight }) => sum + Math.abs(weight), 0)
  if (!Number.isFinite(most)) throw invalid('options.weights', weights, 'amplitudes whose sum is finite')
  return Float64Array.from({ length: steps }, (_, step) =>
    sines.reduce((sum, { perStep, weight, phase }) => sum + weight * Math.sin(perStep * step + phase), 0)
  )
}

function sameLength(values: ArrayLike<number>, length: number, path: string): ArrayLike<number> {
  if (numbers(values, path).length !== length) throw invalid(path, values, `as many entries as frequencies (${length})`)
  return values
}
