import { analogueCurrent } from '../encoders/analogue-current.js'
import { network } from '../network/builder.js'
import type { WholeDescription } from '../network/description.js'
import { toSteps } from '../network/duration.js'
import { oneOf, orDefault, record } from '../support/check.js'
import type { Batch } from '../task/batch.js'
import type { BatchRandom } from '../task/task.js'
import { type AskedTrials, askedTrials } from './asked-trials.js'
import type { CellNames, PresetContext, PresetTask } from './preset-task.js'

/** The names of the parts of the network of {@link delayedXor}. */
export type XorNames = CellNames<'cues', 'choice', 'inhibitory' | 'excitatory'>

/** Options of {@link delayedXor}. */
export interface XorOptions {
  /** Spiking cells, or the leaky ReLU units of the publication. Default `'spiking'`. */
  readonly units?: 'spiking' | 'rate'
  /** Time between the two cues in ms, rounded to whole steps of 1 ms: 0, or at least 0.5. Default 700. */
  readonly delay?: number
}

const CUE = 100
const BASELINE = 0.02
const BUMP = { height: 2, deviation: 25 }
const NOISE = 0.01

/**
 * Delayed XOR, the task of ModProp (Liu et al. 2022 and their code): were both cues equal (class 1) or not (class 0)?
 * Cue 100, delay 700, cue 100 ms. Two analogue inputs, one per cue: a baseline of 0.02 with normal noise of standard
 * deviation 0.01, and for a cue of 1 (probability ½) a Gaussian bump of peak 2.02 and standard deviation 25 ms in the
 * middle of the cue's window. Cross-entropy at the last step; 32 trials, 3000 iterations, learning rate times 0.8 every
 * 300.
 *
 * `units: 'rate'`, named `'delayed-xor-rate'`, has the published cells: 120 leaky ReLU units, τ 100 ms, 97 excitatory and 23 inhibitory, all to all, with
 * Adam at 5e−4. Differences from that code: balanced initial weights of spectral radius 1, the readout's filter of 20 ms, and no l2. The default is
 * a spiking variant: 60 LIF and 60 ALIF cells of these signs, τ_a 700 ms, everything else as in Fig. 3C of Liu et al. 2021;
 * normal weights of standard deviation 0.1 from the inputs, so that a bump drives the cells and the baseline does not;
 * Adam at 0.0025 and a firing-rate regulariser of c = 0.01 at 10 Hz in place of l2.
 *
 * @example
 * ```ts
 * const xor = delayedXor();
 * const trained = Model.create(xor.network({ seed: 1 }));
 * ```
 * @param options - The delay.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed.
 */
export function delayedXor(options: XorOptions = {}): PresetTask<XorNames> {
  record(options, 'options', ['delay', 'units'])
  const units = oneOf(orDefault(options.units, 'spiking'), 'options.units', ['spiking', 'rate'] as const)
  const delay = toSteps(orDefault(options.delay, 700), 1, 'options.delay')
  return Object.freeze({
    ...(units === 'rate' ? RATE : SPIKING),
    loss: { kind: 'cross-entropy' },
    iterations: 3000,
    batchSize: 32,
    validateEvery: 10,
    batch: (context: PresetContext) => makeBatch(delay, askedTrials(context), context.rng)
  } as const)
}

const DECAY = { factor: 0.8, every: 300 }

const SPIKING = {
  name: 'delayed-xor',
  description: 'Were both cues equal? Analogue inputs.',
  network: spikingNetwork,
  regulariser: { strength: 0.01, targetRate: 10 },
  optimiser: { kind: 'adam', learningRate: 0.0025, l1: 0.01, rewiring: true, decay: DECAY }
} as const

const RATE = {
  name: 'delayed-xor-rate',
  description: 'Were both cues equal? Leaky ReLU units.',
  network: rateNetwork,
  optimiser: { kind: 'adam', learningRate: 0.0005, l1: 0.01, rewiring: true, decay: DECAY }
} as const

function rateNetwork({ seed }: { readonly seed: number }): WholeDescription<XorNames> {
  return network({ seed })
    .input('cues', 2, { sign: 'excitatory' })
    .rate('cells', 120, { sign: { excitatory: 97, inhibitory: 23 } })
    .readout('choice', 2)
    .type('inhibitory', { cells: { from: 0, to: 23 } })
    .type('excitatory', { cells: { from: 23, to: 120 } })
    .project('cues', 'cells', { density: 1 })
    .project('cells', 'cells', { density: 1 })
    .project('cells', 'choice', { density: 1 })
    .build()
}

function spikingNetwork({ seed }: { readonly seed: number }): WholeDescription<XorNames> {
  return network({ seed })
    .input('cues', 2, { sign: 'excitatory' })
    .alif('cells', 120, {
      sign: { excitatory: 97, inhibitory: 23 },
      adaptationTimeConstant: 700,
      adaptationStrength: Array.from({ length: 120 }, (_, cell) => (cell < 60 ? 0 : 1.8))
    })
    .readout('choice', 2)
    .type('inhibitory', { cells: { from: 0, to: 23 } })
    .type('excitatory', { cells: { from: 23, to: 120 } })
    .project('cues', 'cells', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.1 } })
    .project('cells', 'cells', { density: 0.1 })
    .project('cells', 'choice', { density: 0.1 })
    .build()
}

function makeBatch(delay: number, { from, trials: count, part }: AskedTrials, rng: BatchRandom): Batch<'cues'> {
  const steps = CUE + delay + CUE
  const starts = [0, CUE + delay]
  const trials = Array.from({ length: count }, (_, trial) => {
    const random = rng.trial(from + trial)
    return { random, cues: [random.integer(2), random.integer(2)] as const }
  })
  const cues = analogueCurrent({ trials: count, steps, units: 2 }, (trial, step, unit) => {
    const { random, cues } = trials[trial] as (typeof trials)[number]
    const bump = cues[unit] === 1 ? gaussian(step - (starts[unit] ?? 0)) : 0
    return BASELINE + bump + NOISE * random.normal()
  })
  const targets = Uint32Array.from(trials, ({ cues: [first, second] }) => (first === second ? 1 : 0))
  return { length: steps, trials: count, ...part, inputs: { cues }, targets }
}

/** The bump at a step of its cue's window, and 0 outside. */
function gaussian(step: number): number {
  if (step < 0 || step >= CUE) return 0
  return BUMP.height * Math.exp(-((step - CUE / 2) ** 2) / (2 * BUMP.deviation ** 2))
}
