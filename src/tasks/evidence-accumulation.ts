import { network } from '../network/builder.js'
import { expandModulation } from '../network/channels.js'
import type { WholeDescription } from '../network/description.js'
import { nonNegative, oneOf, orDefault, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import { deepFreeze } from '../support/freeze.js'
import type { Batch, RateSegment } from '../task/batch.js'
import type { BatchRandom } from '../task/task.js'
import { type AskedTrials, askedTrials, drawPermuted } from './asked-trials.js'
import { type FunctionalType, functionalTypes, type WithFunctionalTypes } from './functional-types.js'
import { lasting, lastingOrNone } from './lasting.js'
import { aloneWithLocal, CONNECTIONS, LOCAL_OPTIMISER, type LocalNames, localNetwork } from './local-connections.js'
import type { PresetContext, PresetTask } from './preset-task.js'

/** Names of the parts of the network of {@link evidenceAccumulation}. */
export interface EvidenceNames {
  /** The input. */
  readonly input: 'cues'
  /** The recurrent population. */
  readonly population: 'cells'
  /** The readout. */
  readonly readout: 'choice'
  /** The cell types. */
  readonly type: 'inhibitory' | 'excitatory'
  /** The projections. */
  readonly projection: 'cues->cells' | 'cells->cells' | 'cells->choice'
}

/**
 * Options of {@link evidenceAccumulation}. Times in ms, rates in Hz per unit; the defaults are those of Fig. 3C. A duration is at least 0.5 ms,
 * which the network rounds to one step; the delay may be 0.
 */
export interface EvidenceOptions {
  /**
   * Cell types: `'two'`, inhibitory and excitatory as in Fig. 3; or `'six'` as in Fig. 1, the same network with types
   * by {@link functionalTypes}. Excitatory cells secrete ligand A, inhibitory ones ligand B, and all types have receptors for
   * both, with the mean weight as gain (the assignment is our choice). Default `'two'`.
   */
  readonly types?: 'two' | 'six'
  /**
   * How cells are connected: `'random'`, or `'local'`, to near cells on a sheet, the network on which diffusing errors were
   * published (only with `types: 'two'`). Default `'random'`.
   */
  readonly connections?: 'random' | 'local'
  /** Number of cues, odd so that one side has more. Default 7. */
  readonly cues?: number
  /** From the start of a cue to that of the next. Default 150. */
  readonly cueInterval?: number
  /** Duration of a cue. Default 100. */
  readonly cueDuration?: number
  /** From the last cue interval to the recall. Default 800, with local connections 850. */
  readonly delay?: number
  /** Duration of the recall signal at the end. Default 150. */
  readonly recallDuration?: number
  /** Rate of a cue's units and of the recall units. Default 40. */
  readonly cueRate?: number
  /** Rate of the noise units throughout. Default 10. */
  readonly noiseRate?: number
}

const LEFT_UNITS = [0, 10] as const
const RIGHT_UNITS = [10, 20] as const
const RECALL_UNITS = [20, 30] as const
const NOISE_UNITS = [30, 40] as const
const MOST_CUES = 15

/**
 * Evidence accumulation (Fig. 3C of Liu et al. 2021; Morcos and Harvey 2016): cues come on the left or on the right,
 * and after a delay a recall signal asks which side had more (class 1: left). In a batch of up to 2^cues trials all patterns are
 * distinct; a larger one continues with a new permutation of all patterns. The network is that of Fig. 3C: 100 cells, the first 50
 * LIF and the others ALIF, 19 inhibitory ones first; 40 inputs, 7 of them inhibitory; two readout units; density 0.1.
 *
 * With `connections: 'local'`, named `'evidence-accumulation-local'`, it is the cue accumulation of LevinaLab/neuromodRNNs: 2050 ms, cross-entropy
 * averaged over the recall, c = 0.005 at 10 Hz, plain Adam at 0.005, and 50 LIF and 50 ALIF cells at random sites of a 10 × 10 sheet, connected with
 * probability 1/(1 + exp(d²/4σ)), with weights of either sign and gains of 1. Differences from that code: the patterns of cues are drawn as above, and
 * the trace has the reset (theirs has none).
 *
 * @example
 * ```ts
 * const short = evidenceAccumulation({ cues: 3, delay: 200 });
 * const trained = Model.create(short.network({ seed: 1 }));
 * ```
 * @param options - Timing and rates; the defaults are the paper's.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed.
 */
export function evidenceAccumulation(
  options?: EvidenceOptions & { readonly types?: 'two'; readonly connections?: 'random' }
): PresetTask<EvidenceNames>
export function evidenceAccumulation(
  options: EvidenceOptions & { readonly connections: 'local' }
): PresetTask<LocalNames>
export function evidenceAccumulation(
  options: EvidenceOptions & { readonly types: 'six' }
): PresetTask<WithFunctionalTypes<EvidenceNames>>
export function evidenceAccumulation(options: EvidenceOptions = {}): PresetTask {
  const timing = complete(options)
  if (timing.connections === 'local') return localTask(timing)
  const six = timing.types === 'six'
  return Object.freeze({
    name: six ? 'evidence-accumulation-six' : 'evidence-accumulation',
    description: `Which side had more cues? Fig. 3C of Liu et al. 2021${six ? ', with six cell types' : ''}.`,
    network: six ? sixTypeNetwork : fig3cNetwork,
    loss: { kind: 'cross-entropy' },
    optimiser: { kind: 'adam', learningRate: 0.0025, l1: 0.01, rewiring: true },
    iterations: 2000,
    batchSize: 64,
    validateEvery: 10,
    batch: (context: PresetContext) => makeBatch(timing, askedTrials(context), context.rng)
  } as const)
}

/** The same cues in the setting of LevinaLab/neuromodRNNs. */
function localTask(timing: Required<EvidenceOptions>): PresetTask {
  return Object.freeze({
    name: 'evidence-accumulation-local',
    description: 'Which side had more cues? Cells on a sheet, with local connections.',
    network: ({ seed }: { readonly seed: number }) => localNetwork(seed, LOCAL),
    loss: { kind: 'cross-entropy', window: timing.recallDuration },
    regulariser: { strength: 0.005, targetRate: 10 },
    optimiser: LOCAL_OPTIMISER,
    iterations: 2000,
    batchSize: 64,
    validateEvery: 10,
    batch: (context: PresetContext) => makeBatch(timing, askedTrials(context), context.rng)
  } as const)
}

const LOCAL = { inputs: 40, adaptationTimeConstant: 2000, gains: { input: 1, recurrent: 1, readout: 1 } }

function fig3cNetwork({ seed }: { readonly seed: number }): WholeDescription<EvidenceNames> {
  const adaptationStrength = Array.from({ length: 100 }, (_, neuron) => (neuron < 50 ? 0 : 1.8))
  return network({ seed })
    .input('cues', 40, { sign: { excitatory: 33, inhibitory: 7, shuffled: true } })
    .alif('cells', 100, { sign: { excitatory: 81, inhibitory: 19 }, adaptationStrength })
    .readout('choice', 2)
    .type('inhibitory', { cells: { from: 0, to: 19 } })
    .type('excitatory', { cells: { from: 19, to: 100 } })
    .project('cues', 'cells', { density: 0.1 })
    .project('cells', 'cells', { density: 0.1 })
    .project('cells', 'choice', { density: 0.1 })
    .build()
}

function sixTypeNetwork(options: { readonly seed: number }): WholeDescription<WithFunctionalTypes<EvidenceNames>> {
  const description = functionalTypes(fig3cNetwork(options))
  const types = (description.types ?? []).map(({ name }) => name)
  const each = <T>(value: (type: FunctionalType) => T) => Object.fromEntries(types.map(type => [type, value(type)]))
  const channels = expandModulation<FunctionalType>({
    ligands: each(type => (type.startsWith('excitatory') ? 'A' : 'B')),
    receptors: each(() => ({ A: 'mean-weight', B: 'mean-weight' }))
  })
  return deepFreeze({ ...description, channels })
}

function complete(options: EvidenceOptions): Required<EvidenceOptions> {
  record(options, 'options', [
    'types',
    'connections',
    'cues',
    'cueInterval',
    'cueDuration',
    'delay',
    'recallDuration',
    'cueRate',
    'noiseRate'
  ])
  const cues = wholeNumber(orDefault(options.cues, 7), 'options.cues', 1, MOST_CUES)
  if (cues % 2 === 0) throw invalid('options.cues', cues, 'an odd number, so that one side has more')
  const cueInterval = lasting(orDefault(options.cueInterval, 150), 'options.cueInterval')
  const cueDuration = lasting(orDefault(options.cueDuration, 100), 'options.cueDuration')
  if (cueDuration > cueInterval) {
    throw invalid('options.cueDuration', cueDuration, `at most the interval between cues, ${cueInterval} ms`)
  }
  const types = oneOf(orDefault(options.types, 'two'), 'options.types', ['two', 'six'] as const)
  const connections = oneOf(orDefault(options.connections, 'random'), 'options.connections', CONNECTIONS)
  const local = connections === 'local'
  if (local) aloneWithLocal(types === 'six', 'options.types', types)
  return {
    types,
    connections,
    cues,
    cueInterval,
    cueDuration,
    delay: lastingOrNone(orDefault(options.delay, local ? 850 : 800), 'options.delay'),
    recallDuration: lasting(orDefault(options.recallDuration, 150), 'options.recallDuration'),
    cueRate: nonNegative(orDefault(options.cueRate, 40), 'options.cueRate'),
    noiseRate: nonNegative(orDefault(options.noiseRate, 10), 'options.noiseRate')
  }
}

function makeBatch(timing: Required<EvidenceOptions>, asked: AskedTrials, rng: BatchRandom): Batch<'cues'> {
  const { cues, cueInterval, delay, recallDuration } = timing
  const length = cues * cueInterval + delay + recallDuration
  // The bits of a pattern's number are its cues, 1 for left.
  const patterns = drawPermuted(asked, 2 ** cues, rng)
  return {
    length,
    trials: asked.trials,
    ...asked.part,
    inputs: { cues: { rates: patterns.flatMap((pattern, trial) => segments(pattern, trial, length, timing)) } },
    targets: Uint32Array.from(patterns, pattern => (leftCues(pattern, cues) * 2 > cues ? 1 : 0))
  }
}

function segments(pattern: number, trial: number, length: number, timing: Required<EvidenceOptions>): RateSegment[] {
  const { cues, cueInterval, cueDuration, recallDuration, cueRate, noiseRate } = timing
  const sides = Array.from({ length: cues }, (_, cue) => ({
    trial,
    units: isLeft(pattern, cue) ? LEFT_UNITS : RIGHT_UNITS,
    from: cue * cueInterval,
    to: cue * cueInterval + cueDuration,
    rate: cueRate
  }))
  return [
    ...sides,
    { trial, units: RECALL_UNITS, from: length - recallDuration, to: length, rate: cueRate },
    { trial, units: NOISE_UNITS, from: 0, to: length, rate: noiseRate }
  ]
}

function leftCues(pattern: number, cues: number): number {
  return Array.from({ length: cues }, (_, cue) => isLeft(pattern, cue)).filter(Boolean).length
}

function isLeft(pattern: number, cue: number): boolean {
  return ((pattern >> cue) & 1) === 1
}
