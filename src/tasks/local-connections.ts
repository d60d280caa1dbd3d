import { network } from '../network/builder.js'
import type { WholeDescription } from '../network/description.js'
import { invalid } from '../support/error.js'
import type { CellNames } from './preset-task.js'

/** The names of the parts of a network whose connections are local, of {@link delayedMatch} and {@link evidenceAccumulation}. */
export type LocalNames = CellNames<'cues', 'choice', 'lif' | 'alif'>

/** Gains of the initial weights. */
interface Gains {
  readonly input: number
  readonly recurrent: number
  readonly readout: number
}

/** Cells in a row of the sheet, and rows. */
const SIDE = 10
const CELLS = SIDE * SIDE
/** Of 1/(1 + exp(d²/4σ)), d in units of the sheet's side. */
const SIGMA = 0.012
const DENSITY = 0.1

/**
 * The network of LevinaLab/neuromodRNNs (Barretto-Bittar et al., arXiv 2603.08949): 50 LIF and 50 ALIF cells at random sites of a 10 × 10 sheet with
 * wrapped edges, threshold 0.03, weights of either sign. Two cells at distance d, in units of the sheet's side, have a synapse with probability
 * 1/(1 + exp(d²/4σ)), σ = 0.012; inputs and readout have one with probability 0.1 (theirs: exactly a tenth of the pairs). Weights are normal
 * with standard deviation gain · √(2/senders), as theirs (he_normal of Flax, which cuts it off at two deviations; ours does not).
 */
export function localNetwork(
  seed: number,
  { inputs, adaptationTimeConstant, gains }: LocalOptions
): WholeDescription<LocalNames> {
  const initialise = (gain: number, senders: number) =>
    ({ scheme: 'normal', standardDeviation: gain * Math.sqrt(2 / senders) }) as const
  return network({ seed, sheet: { width: SIDE, height: SIDE } })
    .input('cues', inputs)
    .alif('cells', CELLS, {
      threshold: 0.03,
      adaptationTimeConstant,
      adaptationStrength: Array.from({ length: CELLS }, (_, cell) => (cell < CELLS / 2 ? 0 : 1.8))
    })
    .readout('choice', 2)
    .type('lif', { cells: { from: 0, to: CELLS / 2 } })
    .type('alif', { cells: { from: CELLS / 2, to: CELLS } })
    .project('cues', 'cells', { probability: DENSITY, initialise: initialise(gains.input, inputs) })
    .project('cells', 'cells', {
      probability: 1,
      distance: { profile: 'logistic-squared', width: SIDE * Math.sqrt(4 * SIGMA) },
      initialise: initialise(gains.recurrent, CELLS)
    })
    .project('cells', 'choice', { probability: DENSITY, initialise: initialise(gains.readout, CELLS) })
    .build()
}

interface LocalOptions {
  readonly inputs: number
  /** τ_a, as `alif` has it. */
  readonly adaptationTimeConstant: number
  readonly gains: Gains
}

/** The optimiser of that code: plain Adam. */
export const LOCAL_OPTIMISER = { kind: 'adam', learningRate: 0.005, l1: 0, rewiring: false } as const

/** Where the cells' connections lead. */
export const CONNECTIONS = ['random', 'local'] as const

/** Refuses what local connections do not go with. */
export function aloneWithLocal(given: boolean, path: string, value: unknown): void {
  if (given) throw invalid(path, value, "nothing else than the default with connections 'local'")
}
