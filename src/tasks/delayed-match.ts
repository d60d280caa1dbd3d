import { poissonRates } from '../encoders/poisson.js'
import { network } from '../network/builder.js'
import type { WholeDescription } from '../network/description.js'
import { flag, oneOf, orDefault, record } from '../support/check.js'
import type { Batch } from '../task/batch.js'
import type { BatchRandom } from '../task/task.js'
import { type AskedTrials, askedTrials } from './asked-trials.js'
import { aloneWithLocal, CONNECTIONS, LOCAL_OPTIMISER, type LocalNames, localNetwork } from './local-connections.js'
import type { CellNames, PresetContext, PresetTask } from './preset-task.js'

/** The names of the parts of the network of {@link delayedMatch}. */
export type MatchNames = CellNames<'cues', 'choice', 'inhibitory' | 'excitatory'>

/** Options of {@link delayedMatch}. */
export interface MatchOptions {
  /** The harder setting: 200 + 200 cells, 500 ms between the cues and 500 ms before the decision. Default false. */
  readonly hard?: boolean
  /**
   * How cells are connected: `'random'`, or `'local'`, to near cells on a sheet, the network on which diffusing errors were
   * published; not with `hard`. Default `'random'`.
   */
  readonly connections?: 'random' | 'local'
}

const FIXATION = 50
const CUE = 150
const DECISION = 50
const NOISE_RATE = 10
const CUE_RATE = 40
/** Noise, decision, cue 1 and cue 2 have so many inputs each. */
const POPULATION = 20

/**
 * Delayed match to sample, the setting of the code of LevinaLab/neuromodRNNs (diffusing neuromodulators): were both
 * cues equal (class 1) or not (class 0)? 80 inputs in four populations of 20: noise at 10 Hz throughout, decision at 40
 * Hz in the last 50 ms, cue 1 and cue 2. A cue lasts 150 ms and is 0 or 1 with probability ½; 1 fires its population at
 * 40 Hz, 0 leaves it silent. Fixation 50, cue 1, delay 700, cue 2, decision 50: 1100 ms. The cross-entropy is averaged
 * over the decision window.
 *
 * 50 LIF and 50 ALIF cells, τ_a 1400 ms, threshold 0.03; Adam at 0.005, firing-rate regulariser c = 0.1 at 10 Hz, 64 trials, 2000 iterations. The
 * public runs have this c for BPTT and e-prop, and 0.01 for diffusing errors; MDGL, which they do not have, takes that of e-prop. Differences from
 * that code: the regulariser is ½ c Σ (f_p − f0)² of the mean rate, not the mean over trials of ½ c Σ (f_p,trial − f0)²; signs, types, density and
 * initial weights are those of Fig. 3C of Liu et al. 2021, except that weights from the inputs are normal with standard deviation
 * 1/√(density · inputs), since with balanced ones the cells hardly fire at this threshold.
 *
 * With `connections: 'local'`, named `'delayed-match-local'`, network and optimiser are those of that code, too: cells at random sites of a 10 × 10
 * sheet, connected with probability 1/(1 + exp(d²/4σ)), weights of either sign, gains 0.5, 0.1 and 0.5, plain Adam. Two differences remain: feedback
 * is that of the rule (theirs: the readout's initial weights), and the trace has the reset (theirs has none).
 *
 * @example
 * ```ts
 * const match = delayedMatch();
 * const trained = Model.create(match.network({ seed: 1 }));
 * ```
 * @param options - Which setting.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed.
 */
export function delayedMatch(options?: MatchOptions & { readonly connections?: 'random' }): PresetTask<MatchNames>
export function delayedMatch(options: MatchOptions & { readonly connections: 'local' }): PresetTask<LocalNames>
export function delayedMatch(options: MatchOptions = {}): PresetTask {
  record(options, 'options', ['hard', 'connections'])
  const hard = flag(orDefault(options.hard, false), 'options.hard')
  const local = oneOf(orDefault(options.connections, 'random'), 'options.connections', CONNECTIONS) === 'local'
  if (local) aloneWithLocal(hard, 'options.hard', hard)
  const timing = hard ? { delay: 500, wait: 500 } : { delay: 700, wait: 0 }
  return Object.freeze({
    name: `delayed-match${hard ? '-hard' : ''}${local ? '-local' : ''}`,
    description: 'Were both cues equal?',
    network: ({ seed }: { readonly seed: number }) =>
      local ? localNetwork(seed, LOCAL) : matchNetwork(seed, hard ? 4 : 1),
    loss: { kind: 'cross-entropy', window: DECISION },
    regulariser: { strength: 0.1, targetRate: 10 },
    optimiser: local ? LOCAL_OPTIMISER : OPTIMISER,
    iterations: 2000,
    batchSize: 64,
    validateEvery: 10,
    batch: (context: PresetContext) => makeBatch(timing, askedTrials(context), context.rng)
  } as const)
}

const OPTIMISER = { kind: 'adam', learningRate: 0.005, l1: 0.01, rewiring: true } as const

const LOCAL = {
  inputs: 4 * POPULATION,
  adaptationTimeConstant: 1400,
  gains: { input: 0.5, recurrent: 0.1, readout: 0.5 }
}

function matchNetwork(seed: number, scale: number): WholeDescription<MatchNames> {
  const half = 50 * scale
  const inhibitory = 19 * scale
  return network({ seed })
    .input('cues', 80, { sign: { excitatory: 65, inhibitory: 15, shuffled: true } })
    .alif('cells', 2 * half, {
      sign: { excitatory: 2 * half - inhibitory, inhibitory },
      threshold: 0.03,
      adaptationTimeConstant: 1400,
      adaptationStrength: Array.from({ length: 2 * half }, (_, cell) => (cell < half ? 0 : 1.8))
    })
    .readout('choice', 2)
    .type('inhibitory', { cells: { from: 0, to: inhibitory } })
    .type('excitatory', { cells: { from: inhibitory, to: 2 * half } })
    .project('cues', 'cells', {
      density: 0.1,
      initialise: { scheme: 'normal', standardDeviation: 1 / Math.sqrt(0.1 * 80) }
    })
    .project('cells', 'cells', { density: 0.1 })
    .project('cells', 'choice', { density: 0.1 })
    .build()
}

/** Times in ms: between the cues, and from the second cue to the decision. */
interface Timing {
  readonly delay: number
  readonly wait: number
}

function makeBatch({ delay, wait }: Timing, { from, trials, part }: AskedTrials, rng: BatchRandom): Batch<'cues'> {
  const secondCue = FIXATION + CUE + delay
  const decision = secondCue + CUE + wait
  const length = decision + DECISION
  const cues = Array.from({ length: trials }, (_, trial) => {
    const random = rng.trial(from + trial)
    return [random.integer(2), random.integer(2)] as const
  })
  const rates = cues.flatMap(([first, second], trial) => {
    const at = (from: number, to: number) => ({ trial, from, to, unitsEach: POPULATION })
    return [
      ...poissonRates([NOISE_RATE], at(0, length)),
      ...poissonRates([0, 0, first * CUE_RATE, 0], at(FIXATION, FIXATION + CUE)),
      ...poissonRates([0, 0, 0, second * CUE_RATE], at(secondCue, secondCue + CUE)),
      ...poissonRates([0, CUE_RATE], at(decision, length))
    ]
  })
  const targets = Uint32Array.from(cues, ([first, second]) => (first === second ? 1 : 0))
  return { length, trials, ...part, inputs: { cues: { rates } }, targets }
}
