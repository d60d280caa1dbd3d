import { frozenPoisson } from '../encoders/frozen-poisson.js'
import { network } from '../network/builder.js'
import { oneOf, record, wholeNumber } from '../support/check.js'
import { fixedRandom, type Random } from '../task/task.js'
import { askedTrials } from './asked-trials.js'
import type { CellNames, PresetContext, PresetTask } from './preset-task.js'
import { sumOfSines } from './sum-of-sines.js'

/** The published settings of {@link patternGeneration}. */
export type PatternVariant = 'bellec2020' | 'lif400'

/** Options of {@link patternGeneration}. */
export interface PatternOptions {
  /** The setting. Default `'bellec2020'`. */
  readonly variant?: PatternVariant
  /** Seed of the frozen input and of the target, which all runs share: a whole number of at least 0. Default 1. */
  readonly patternSeed?: number
}

/** The names of the parts of the networks of {@link patternGeneration}: `'bellec2020'` has the one type `cells`. */
export type PatternNames = CellNames<'noise', 'pattern', 'cells' | 'inhibitory' | 'excitatory'>

/**
 * Pattern generation: driven by one frozen realisation of Poisson input, the readout has to follow a sum of sines. The loss
 * is ½ Σ_t (y − y*)²; {@link normalisedError} is the error relative to the target.
 *
 * - `'bellec2020'`: Bellec et al. 2020 and their code. 100 LIF cells, all to all, of either sign; 100 inputs at 50 Hz
 *   for 1000 ms; sines of periods 1000, 500, 333 and 200 ms, amplitudes U(0.5, 2), phases U(0, 2π), shifted to start at
 *   0 and scaled to max |·| = 1; one trial, gradient descent at 1e−4, c = 300 at 10 Hz. The publication used random feedback
 *   (rule `eprop-random`). All cells have one type with a mean weight near 0, so that MDGL differs little from e-prop.
 * - `'lif400'`: the setting of the code of LevinaLab/neuromodRNNs (diffusing neuromodulators). 400 LIF cells, density
 *   0.1; 100 inputs at 50 Hz for 2000 ms; sines of 0.5, 1, 2, 3 and 4 Hz, weights U(0, 1) normalised to sum 1, mean
 *   removed; Adam at 0.01, c = 0.01 at 10 Hz, 8 trials. Differences from that code: Dale's law with a fifth of the cells
 *   inhibitory, so that mean weights of types are not 0, and the balanced initial weights of Liu et al. 2021.
 *
 * @example
 * ```ts
 * const pattern = patternGeneration();
 * const trained = Model.create(pattern.network({ seed: 1 }));
 * ```
 * @param options - The variant and the seed of the pattern.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed.
 */
export function patternGeneration(options: PatternOptions = {}): PresetTask<PatternNames> {
  record(options, 'options', ['variant', 'patternSeed'])
  const { variant = 'bellec2020', patternSeed = 1 } = options
  oneOf(variant, 'options.variant', ['bellec2020', 'lif400'] as const)
  wholeNumber(patternSeed, 'options.patternSeed')
  const preset = variant === 'bellec2020' ? bellec2020 : lif400
  const frozen = frozenPoisson({ units: 100, duration: preset.duration, rate: 50, seed: patternSeed })
  const target = preset.target(fixedRandom(patternSeed))
  return Object.freeze({
    name: preset.name,
    description: 'Follow a sum of sines, driven by frozen noise.',
    network: preset.network,
    loss: { kind: 'squared-error' },
    regulariser: preset.regulariser,
    optimiser: preset.optimiser,
    iterations: 2000,
    batchSize: preset.batchSize,
    validateEvery: 10,
    batch: (context: PresetContext) => {
      const { trials, part } = askedTrials(context)
      const inputs = { noise: frozen(trials) }
      return { length: preset.duration, trials, ...part, inputs, targets: repeated(target, trials) }
    }
  } as const)
}

const bellec2020 = {
  name: 'pattern-generation',
  duration: 1000,
  batchSize: 1,
  optimiser: { kind: 'gradient-descent', learningRate: 1e-4, l1: 0, rewiring: false },
  regulariser: { strength: 300, targetRate: 10 },
  target(random: Random) {
    const curve = sumOfSines({
      duration: 1000,
      frequencies: [1000, 500, 333, 200].map(period => 1000 / period),
      weights: Array.from({ length: 4 }, () => 0.5 + 1.5 * random.uniform()),
      phases: Array.from({ length: 4 }, () => 2 * Math.PI * random.uniform())
    })
    const shifted = curve.map(value => value - (curve[0] ?? 0))
    const highest = shifted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    return shifted.map(value => value / highest)
  },
  network({ seed }: { readonly seed: number }) {
    const normal = { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.1 } } as const
    return network({ seed })
      .input('noise', 100)
      .lif('cells', 100, { membraneTimeConstant: 30, threshold: 0.03, refractoryPeriod: 0 })
      .readout('pattern', 1, { timeConstant: 30, bias: false })
      .project('noise', 'cells', normal)
      .project('cells', 'cells', normal)
      .project('cells', 'pattern', normal)
      .build()
  }
} as const

const lif400 = {
  name: 'pattern-generation-lif400',
  duration: 2000,
  batchSize: 8,
  optimiser: { kind: 'adam', learningRate: 0.01, l1: 0.01, rewiring: true },
  regulariser: { strength: 0.01, targetRate: 10 },
  target(random: Random) {
    const drawn = Array.from({ length: 5 }, () => random.uniform())
    const sum = drawn.reduce((total, weight) => total + weight, 0)
    const weights = drawn.map(weight => weight / sum)
    const curve = sumOfSines({ duration: 2000, frequencies: [0.5, 1, 2, 3, 4], weights })
    const mean = curve.reduce((total, value) => total + value, 0) / curve.length
    return curve.map(value => value - mean)
  },
  network({ seed }: { readonly seed: number }) {
    return network({ seed })
      .input('noise', 100, { sign: { excitatory: 80, inhibitory: 20, shuffled: true } })
      .lif('cells', 400, {
        sign: { excitatory: 320, inhibitory: 80 },
        membraneTimeConstant: 30,
        threshold: 0.03,
        refractoryPeriod: 2
      })
      .readout('pattern', 1, { timeConstant: 30 })
      .type('inhibitory', { cells: { from: 0, to: 80 } })
      .type('excitatory', { cells: { from: 80, to: 400 } })
      .project('noise', 'cells', { density: 0.1 })
      .project('cells', 'cells', { density: 0.1 })
      .project('cells', 'pattern', { density: 0.1 })
      .build()
  }
} as const

function repeated(curve: Float64Array, trials: number): Float64Array {
  const all = new Float64Array(curve.length * trials)
  for (let trial = 0; trial < trials; trial++) all.set(curve, trial * curve.length)
  return all
}
