import { poissonRates } from '../encoders/poisson.js'
import { network } from '../network/builder.js'
import type { WholeDescription } from '../network/description.js'
import { orDefault, positive, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Batch, ClassWindow } from '../task/batch.js'
import type { BatchRandom, Random } from '../task/task.js'
import { type AskedTrials, askedTrials } from './asked-trials.js'
import { lasting } from './lasting.js'
import type { CellNames, PresetContext, PresetTask } from './preset-task.js'

/** The names of the parts of the network of {@link storeRecall}. */
export type StoreRecallNames = CellNames<'symbols', 'bit', 'inhibitory' | 'excitatory'>

/** Options of {@link storeRecall}. */
export interface StoreRecallOptions {
  /** The length of a sequence in symbols: at least 3. Default 12. */
  readonly symbols?: number
  /** Expected number of symbols before a store, and between a store and its recall. Default 6. */
  readonly expectedDelay?: number
  /** Duration of a symbol in ms, at least 0.5, half a step. Default 200. */
  readonly symbolDuration?: number
}

const RATE = 50
/** Inputs for each of: bit 0, bit 1, store, recall. */
const POPULATION = 25

/**
 * Store-recall (Bellec et al. 2018, "Long short-term memory and learning-to-learn in networks of spiking neurons", and
 * the code published with it and with the first preprint of e-prop, arXiv 1901.09049v1): a stream of random bits, 200 ms each; a
 * store command comes with a bit that has to be kept, and a recall command asks for it while no bit is shown. Each symbol is a store
 * with probability 1/7; after a store each symbol is a recall with this probability, and so on; a recall never follows a store at once. 100
 * inputs in four populations of 25 (bit 0, bit 1, store, recall) fire at 50 Hz. Sequences have 12 symbols and at least one store
 * and recall; a sequence that ends with a bit in store is drawn again. The loss is that of the e-prop code: the mean
 * cross-entropy over every step of every recall. Accuracy is the fraction of recalls that are right.
 *
 * From the e-prop code: 60 LIF and 40 ALIF cells, β 1.7, τ_a 1200 ms, Adam, 128 trials. Differences from it: a recall that would follow a store
 * at once comes a symbol later, where that code draws the whole sequence again; an answer is the summed readout of a
 * recall's steps; signs (81 excitatory, 19 inhibitory), types, density, threshold and everything else are those of Fig. 3C of Liu et al. 2021
 * (there: all to all, weights of either sign, threshold 0.03), Adam at 0.005 (there 0.002), c = 0.01 at 10 Hz, 1000 iterations
 * (there 300).
 *
 * @example
 * ```ts
 * const recall = storeRecall();
 * const trained = Model.create(recall.network({ seed: 1 }));
 * ```
 * @param options - Symbols, their duration and the expected delay.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed.
 */
export function storeRecall(options: StoreRecallOptions = {}): PresetTask<StoreRecallNames> {
  const stream = complete(options)
  return Object.freeze({
    name: 'store-recall',
    description: 'Keep a bit until it is asked for.',
    network: storeRecallNetwork,
    loss: { kind: 'cross-entropy', window: 'targets' },
    regulariser: { strength: 0.01, targetRate: 10 },
    optimiser: { kind: 'adam', learningRate: 0.005, l1: 0.01, rewiring: true },
    iterations: 1000,
    batchSize: 128,
    validateEvery: 10,
    batch: (context: PresetContext) => makeBatch(stream, askedTrials(context), context.rng)
  } as const)
}

function storeRecallNetwork({ seed }: { readonly seed: number }): WholeDescription<StoreRecallNames> {
  return network({ seed })
    .input('symbols', 100, { sign: { excitatory: 81, inhibitory: 19, shuffled: true } })
    .alif('cells', 100, {
      sign: { excitatory: 81, inhibitory: 19 },
      adaptationTimeConstant: 1200,
      adaptationStrength: Array.from({ length: 100 }, (_, cell) => (cell < 60 ? 0 : 1.7))
    })
    .readout('bit', 2)
    .type('inhibitory', { cells: { from: 0, to: 19 } })
    .type('excitatory', { cells: { from: 19, to: 100 } })
    .project('symbols', 'cells', { density: 0.1 })
    .project('cells', 'cells', { density: 0.1 })
    .project('cells', 'bit', { density: 0.1 })
    .build()
}

function complete(options: StoreRecallOptions): Required<StoreRecallOptions> {
  record(options, 'options', ['symbols', 'expectedDelay', 'symbolDuration'])
  const symbols = wholeNumber(orDefault(options.symbols, 12), 'options.symbols', 3, MOST_SYMBOLS)
  const expectedDelay = positive(orDefault(options.expectedDelay, 6), 'options.expectedDelay')
  if (expectedDelay > symbols) {
    throw invalid('options.expectedDelay', expectedDelay, `at most the number of symbols, ${symbols}`)
  }
  const symbolDuration = lasting(orDefault(options.symbolDuration, 200), 'options.symbolDuration')
  return { symbols, expectedDelay, symbolDuration }
}

const MOST_SYMBOLS = 1000

/** One symbol of the stream. A recall shows no bit. */
interface StreamSymbol {
  readonly command: 'none' | 'store' | 'recall'
  readonly bit: 0 | 1
}

function makeBatch(
  stream: Required<StoreRecallOptions>,
  { from, trials: count, part }: AskedTrials,
  rng: BatchRandom
): Batch<'symbols'> {
  const { symbolDuration } = stream
  const trials = Array.from({ length: count }, (_, trial) => drawSequence(stream, rng.trial(from + trial)))
  const rates = trials.flatMap((sequence, trial) =>
    sequence.flatMap(({ command, bit }, at) =>
      poissonRates(
        [
          command !== 'recall' && bit === 0,
          command !== 'recall' && bit === 1,
          command === 'store',
          command === 'recall'
        ].map(active => (active ? RATE : 0)),
        { trial, from: at * symbolDuration, to: (at + 1) * symbolDuration, unitsEach: POPULATION }
      )
    )
  )
  return {
    length: stream.symbols * symbolDuration,
    trials: count,
    ...part,
    inputs: { symbols: { rates } },
    targets: trials.flatMap((sequence, trial) => recalls(sequence, trial, symbolDuration))
  }
}

/** What each recall of a sequence asks for, and when. */
function recalls(sequence: readonly StreamSymbol[], trial: number, symbolDuration: number): ClassWindow[] {
  const windows: ClassWindow[] = []
  let stored = 0
  for (const [at, { command, bit }] of sequence.entries()) {
    if (command === 'store') stored = bit
    if (command !== 'recall') continue
    windows.push({ trial, from: at * symbolDuration, to: (at + 1) * symbolDuration, class: stored })
  }
  return windows
}

/** A stream whose last command is a recall; another is drawn again. */
function drawSequence(stream: Required<StoreRecallOptions>, random: Random): readonly StreamSymbol[] {
  for (;;) {
    const sequence = drawStream(stream, random)
    if (sequence.findLast(({ command }) => command !== 'none')?.command === 'recall') return sequence
  }
}

function drawStream({ symbols, expectedDelay }: Required<StoreRecallOptions>, random: Random): StreamSymbol[] {
  const sequence: StreamSymbol[] = []
  let stored = false
  while (sequence.length < symbols) {
    const bit = random.integer(2) as 0 | 1
    const due = random.uniform() <= 1 / (1 + expectedDelay) && sequence.at(-1)?.command !== 'store'
    sequence.push({ command: due ? (stored ? 'recall' : 'store') : 'none', bit })
    if (due) stored = !stored
  }
  return sequence
}
