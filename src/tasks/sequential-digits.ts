import { poissonRates } from '../encoders/poisson.js'
import { network } from '../network/builder.js'
import type { WholeDescription } from '../network/description.js'
import { nonNegative, orDefault, record } from '../support/check.js'
import type { Batch } from '../task/batch.js'
import { type AskedTrials, askedTrials, drawPermuted } from './asked-trials.js'
import { DIGITS_SPLITS, digits } from './digits.js'
import { lasting } from './lasting.js'
import type { CellNames, PresetContext, PresetTask } from './preset-task.js'

/** The names of the parts of the network of {@link sequentialDigits}. */
export type DigitsNames = CellNames<'pixels', 'digit', 'inhibitory' | 'excitatory'>

/** Options of {@link sequentialDigits}. */
export interface DigitsOptions {
  /** Duration of each row of pixels in ms: at least 0.5, half a step. Default 40. */
  readonly rowDuration?: number
  /** Rate of a white pixel's units in Hz; grey ones fire in proportion. Default 200. */
  readonly peakRate?: number
}

/** Input units for each of the eight pixels of a row. */
const UNITS_PER_PIXEL = 5
/** After the last row, in ms; the loss counts here. */
const ANSWER = 40

/**
 * Sequential digits on real data: which of ten digits is it, when its 8 rows come one after another? 1797 handwritten
 * digits of 8×8 pixels (UCI optical recognition of handwritten digits, CC BY 4.0). A pixel's value sets the Poisson
 * rate of its column's units while its row is shown; then follow 40 ms without input, over which the cross-entropy is
 * averaged: 360 ms.
 *
 * 1437 images are for training, of which the last 180 are kept for validation, and 360 for test, in the
 * file's order. A batch has distinct images of its split until all are used, then begins again. The whole test set:
 * `makeBatch(task, { split: 'test', size: 360, seed })`.
 *
 * Network and optimiser are those of the sequential MNIST published with Bellec et al. 2018: 120 LIF and 100 ALIF
 * cells, τ_a 700 ms, a quarter inhibitory, density 0.12, Adam at 0.01, c = 0.2 at 10 Hz (their 0.1 without our ½).
 * Encoding, batch size and number of iterations are our choice: 5 units per pixel, 40 ms per row, at most 200 Hz; 64 trials, 2000 iterations.
 *
 * @example
 * ```ts
 * const digits = sequentialDigits();
 * const trained = Model.create(digits.network({ seed: 1 }));
 * const test = await makeBatch(digits, { split: 'test', size: 360, seed: 1 });
 * ```
 * @param options - Row duration and peak rate.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed.
 */
export function sequentialDigits(options: DigitsOptions = {}): PresetTask<DigitsNames> {
  record(options, 'options', ['rowDuration', 'peakRate'])
  const code = {
    rowDuration: lasting(orDefault(options.rowDuration, 40), 'options.rowDuration'),
    peakRate: nonNegative(orDefault(options.peakRate, 200), 'options.peakRate')
  }
  return Object.freeze({
    name: 'sequential-digits',
    description: 'Which handwritten digit, row by row?',
    network: digitsNetwork,
    loss: { kind: 'cross-entropy', window: ANSWER },
    regulariser: { strength: 0.2, targetRate: 10 },
    optimiser: { kind: 'adam', learningRate: 0.01, l1: 0.01, rewiring: true },
    iterations: 2000,
    batchSize: 64,
    validateEvery: 10,
    batch: (context: PresetContext) => {
      const asked = askedTrials(context)
      return { ...makeBatch(code, drawImages(asked, context)), ...asked.part }
    }
  } as const)
}

function digitsNetwork({ seed }: { readonly seed: number }): WholeDescription<DigitsNames> {
  return network({ seed })
    .input('pixels', 8 * UNITS_PER_PIXEL, { sign: { excitatory: 31, inhibitory: 9, shuffled: true } })
    .alif('cells', 220, {
      sign: { excitatory: 166, inhibitory: 54 },
      adaptationTimeConstant: 700,
      adaptationStrength: Array.from({ length: 220 }, (_, cell) => (cell < 120 ? 0 : 1.8))
    })
    .readout('digit', 10)
    .type('inhibitory', { cells: { from: 0, to: 54 } })
    .type('excitatory', { cells: { from: 54, to: 220 } })
    .project('pixels', 'cells', { density: 0.12 })
    .project('cells', 'cells', { density: 0.12 })
    .project('cells', 'digit', { density: 0.12 })
    .build()
}

function drawImages(asked: AskedTrials, { split, rng }: PresetContext): number[] {
  const [first, end] = DIGITS_SPLITS[split]
  return drawPermuted(asked, end - first, rng).map(image => first + image)
}

function makeBatch({ rowDuration, peakRate }: Required<DigitsOptions>, images: readonly number[]): Batch<'pixels'> {
  const { rows, columns, maximum, labels, images: pixels } = digits()
  const rates = images.flatMap((image, trial) =>
    Array.from({ length: rows }, (_, row) => {
      const values = (pixels[image] ?? []).slice(row * columns, (row + 1) * columns)
      const window = { trial, from: row * rowDuration, to: (row + 1) * rowDuration, unitsEach: UNITS_PER_PIXEL }
      return poissonRates(
        values.map(value => (value / maximum) * peakRate),
        window
      )
    }).flat()
  )
  const targets = Uint32Array.from(images, image => labels[image] ?? 0)
  return { length: rows * rowDuration + ANSWER, trials: images.length, inputs: { pixels: { rates } }, targets }
}
