import { poissonRates } from '../encoders/poisson.js'
import { network } from '../network/builder.js'
import type { WholeDescription } from '../network/description.js'
import { numbers, object, oneOf, orDefault, ownMemory, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import { isUint8Array } from '../support/recognise.js'
import type { Batch, InputValues } from '../task/batch.js'
import type { Split } from '../task/task.js'
import { askedTrials, drawPermuted } from './asked-trials.js'
import { meanReadoutLoss } from './mean-readout-loss.js'
import type { CellNames, PresetContext, PresetTask } from './preset-task.js'
import { CROSSING_UNITS, countCrossings, writeCrossings } from './threshold-crossings.js'

/** The names of the parts of the network of {@link sequentialMnist}. */
export type MnistNames = CellNames<'pixels', 'digit', 'inhibitory' | 'excitatory'>

/** Bytes and the lengths of their dimensions, as {@link openIdx} reads them. */
export interface ByteArray {
  /** The bytes; the last index runs fastest. */
  readonly data: ArrayLike<number>
  /** Length of each dimension. */
  readonly shape: readonly number[]
}

/** Images and their labels. */
export interface LabelledImages {
  /** Pixels 0 to 255 in a `Uint8Array`, shape `[images, 28, 28]`. */
  readonly images: ByteArray
  /** Digits 0 to 9 in a `Uint8Array`, shape `[images]`. */
  readonly labels: ByteArray
}

/** How {@link sequentialMnist} shows an image. */
export type MnistMode = 'pixels' | 'rows'

/** Options of {@link sequentialMnist}. */
export interface MnistOptions extends LabelledImages {
  /** Images for the split `'test'`. Default: none, and a batch of that split is refused. */
  readonly test?: LabelledImages
  /** Number of images at the start of `images` that are for validation and not for training. Default 5000, as in the tutorial. */
  readonly validation?: number
  /** Pixel by pixel or row by row. Default `'pixels'`. */
  readonly mode?: MnistMode
}

const SIDE = 28
const PIXELS = SIDE * SIDE
/** After the image, in steps: two windows of 28. */
const ANSWER = 2 * SIDE
/** The steps at the end over which the readout is averaged. */
const WINDOW = SIDE
const CLASSES = 10
/** Row by row: how long a row is shown (ms), the units of a column, and the rate of a white pixel (Hz). */
const ROWS = { duration: 20, unitsEach: 3, peakRate: 200 }

/**
 * Sequential MNIST on real data: which of ten digits is it, when its pixels or its rows come one after another? The images are the caller's
 * ({@link openIdx} reads the files of MNIST).
 *
 * Pixel by pixel (`'pixels'`) it is the task of LSNN-official's `tutorial_sequential_mnist_with_LSNN.py`, simplified from Bellec et al. 2018.
 * One pixel per step of 1 ms, y = value/255, as crossings of 40 thresholds θ evenly spaced from 0 to 1: of each θ but the last one unit
 * fires in step i where y_i < θ ≤ y_i+1 (unit 2k of threshold k) and one where y_i ≥ θ > y_i+1 (2k + 1); of θ = 1 a unit (78) fires in every
 * step with y_i = 1. Values are compared as fractions, without rounding. Then come 56 steps in which an 80th unit alone fires, at every one. T = 840.
 *
 * 120 LIF and 100 ALIF cells, τ_m 20, τ_a 700, β 1.8, threshold 0.01, refractory period 5, dampening 0.3; synapses from inputs and cells have
 * delays of 1 to 10 steps, equally likely; 61 of 80 inputs and 166 of 220 cells are excitatory; density 0.12. The loss is the softmax
 * cross-entropy of the readout's mean over the last 28 steps, once per trial. Adam at 0.01, times 0.8 every 2500 iterations, l1 0.01, rewiring
 * across all pairs; the regulariser is the tutorial's 0.1 Σ (f_p − 10 Hz)², here ½ c with c = 0.2; 256 trials, 36 000 iterations. The tutorial
 * publishes about 40 % after 100 iterations, 60 % after 200, above 90 % from 20 000 on and 96 % at best.
 *
 * Row by row (`'rows'`) is not published: the encoding of {@link sequentialDigits}, 28 columns of 3 units with Poisson events of up to 200 Hz, each row
 * shown for 20 ms, then 56 ms without input; network, loss and optimiser are those above, with 64 of 84 inputs excitatory. T = 616.
 *
 * Differences from the tutorial in both: signs, initial weights and readout of Fig. 3C of Liu et al. 2021; a batch has distinct images, drawn anew from
 * its split each time, where the tutorial goes through the images in epochs.
 *
 * @example
 * ```ts
 * const images = { data: new Uint8Array(2 * 784), shape: [2, 28, 28] };
 * const labels = { data: Uint8Array.of(3, 8), shape: [2] };
 * const task = sequentialMnist({ images, labels, validation: 1 });
 * const trained = Model.create(task.network({ seed: 1 }));
 * ```
 * @param options - Images, labels, test images and mode.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed.
 */
export function sequentialMnist(options: MnistOptions): PresetTask<MnistNames> {
  record(options, 'options', ['images', 'labels', 'test', 'validation', 'mode'])
  const mode = oneOf(orDefault(options.mode, 'pixels'), 'options.mode', ['pixels', 'rows'] as const)
  const images = mnistImages(options)
  return mnistTask(mode, async () => images)
}

/** The images of the options, checked and copied. */
export function mnistImages(options: Omit<MnistOptions, 'mode'>): MnistImages {
  const training = imageSet(options, 'options')
  const validation = wholeNumber(orDefault(options.validation, 5000), 'options.validation', 1, training.count - 1)
  const test =
    options.test === undefined
      ? undefined
      : imageSet(record(options.test, 'options.test', ['images', 'labels']), 'options.test')
  return { training, test, validation }
}

/** Checked images: 784 bytes each, and a digit each. */
interface ImageSet {
  readonly count: number
  readonly pixels: Uint8Array
  readonly labels: Uint8Array
}

/** The images of every split. */
export interface MnistImages {
  readonly training: ImageSet
  readonly test: ImageSet | undefined
  /** The first so many of the training images are for validation. */
  readonly validation: number
}

function imageSet({ images, labels }: LabelledImages, path: string): ImageSet {
  const pixels = bytesOf(images, `${path}.images`, [SIDE, SIDE])
  const digits = bytesOf(labels, `${path}.labels`, [])
  const [count = 0] = images.shape
  if (digits.length !== count) {
    throw invalid(`${path}.labels.shape`, labels.shape, `one label for each of ${count} images, [${count}]`)
  }
  const wrong = digits.findIndex(digit => digit >= CLASSES)
  if (wrong >= 0) throw invalid(`${path}.labels.data[${wrong}]`, digits[wrong], 'a digit from 0 to 9')
  return { count, pixels, labels: digits }
}

/** Checks bytes of the shape [any number above 0, …inner]; gives a copy. */
function bytesOf(given: ByteArray, path: string, inner: readonly number[]): Uint8Array {
  const { data, shape } = record(object(given, path), path, ['data', 'shape'])
  const lengths = Array.from(numbers(shape, `${path}.shape`))
  const [count = 0] = lengths
  if (!(Number.isInteger(count) && count > 0) || lengths.slice(1).join() !== inner.join()) {
    throw invalid(`${path}.shape`, shape, `[${['a number of images above 0', ...inner].join(', ')}]`)
  }
  if (!isUint8Array(data)) throw invalid(`${path}.data`, data, 'a Uint8Array')
  const expected = inner.reduce((product, length) => product * length, count)
  const bytes = ownMemory(data, `${path}.data`)
  if (bytes.length !== expected) throw invalid(`${path}.data`, data, `${expected} bytes, as its shape says`)
  return bytes.slice()
}

/** The task of images that are read when a batch is made. */
export function mnistTask(mode: MnistMode, read: () => Promise<MnistImages>): PresetTask<MnistNames> {
  return Object.freeze({
    name: mode === 'pixels' ? 'sequential-mnist' : 'sequential-mnist-rows',
    description: `Which digit of MNIST, ${mode === 'pixels' ? 'pixel by pixel' : 'row by row'}?`,
    network: ({ seed }: { readonly seed: number }) => mnistNetwork(seed, mode),
    loss: meanReadoutLoss(WINDOW),
    regulariser: { strength: 0.2, targetRate: 10 },
    optimiser: {
      kind: 'adam',
      learningRate: 0.01,
      l1: 0.01,
      rewiring: 'all-pairs',
      decay: { factor: 0.8, every: 2500 }
    },
    iterations: 36_000,
    batchSize: 256,
    validateEvery: 100,
    batch: async (context: PresetContext) => makeBatch(mode, await read(), context)
  } as const)
}

function mnistNetwork(seed: number, mode: MnistMode): WholeDescription<MnistNames> {
  const inputs = mode === 'pixels' ? { excitatory: 61, inhibitory: 19 } : { excitatory: 64, inhibitory: 20 }
  const delay = { scheme: 'uniform', low: 1, high: 10 } as const
  return network({ seed })
    .input('pixels', inputs.excitatory + inputs.inhibitory, { sign: { ...inputs, shuffled: true } })
    .alif('cells', 220, {
      sign: { excitatory: 166, inhibitory: 54 },
      adaptationTimeConstant: 700,
      adaptationStrength: Array.from({ length: 220 }, (_, cell) => (cell < 120 ? 0 : 1.8))
    })
    .readout('digit', CLASSES)
    .type('inhibitory', { cells: { from: 0, to: 54 } })
    .type('excitatory', { cells: { from: 54, to: 220 } })
    .project('pixels', 'cells', { density: 0.12, delay })
    .project('cells', 'cells', { density: 0.12, delay })
    .project('cells', 'digit', { density: 0.12 })
    .build()
}

function makeBatch(mode: MnistMode, images: MnistImages, context: PresetContext): Batch<'pixels'> {
  const { set, from, to } = splitOf(images, context.split)
  const asked = askedTrials(context)
  const drawn = drawPermuted(asked, to - from, context.rng).map(image => from + image)
  const shown = drawn.map(image => set.pixels.subarray(image * PIXELS, (image + 1) * PIXELS))
  const [length, pixels] =
    mode === 'pixels' ? [PIXELS + ANSWER, crossings(shown)] : [SIDE * ROWS.duration + ANSWER, rowRates(shown)]
  const targets = Uint32Array.from(drawn, image => set.labels[image] ?? 0)
  return { length, trials: drawn.length, ...asked.part, inputs: { pixels }, targets }
}

function splitOf({ training, test, validation }: MnistImages, split: Split) {
  if (split === 'train') return { set: training, from: validation, to: training.count }
  if (split === 'validation') return { set: training, from: 0, to: validation }
  if (test === undefined) throw invalid('options.test', test, "images and labels, for a batch of the split 'test'")
  return { set: test, from: 0, to: test.count }
}

/** The events of each image, pixel by pixel, and of the unit that asks for the answer. */
function crossings(images: readonly Uint8Array[]): InputValues {
  const count = images.reduce((sum, image) => sum + countCrossings(image) + ANSWER, 0)
  const events = new Uint32Array(3 * count)
  let at = 0
  for (const [trial, image] of images.entries()) {
    at = writeCrossings(image, trial, events, at)
    for (let step = PIXELS; step < PIXELS + ANSWER; step++) {
      events.set([trial, step, CROSSING_UNITS], at)
      at += 3
    }
  }
  return { events }
}

function rowRates(images: readonly Uint8Array[]): InputValues {
  const { duration, unitsEach, peakRate } = ROWS
  const rates = images.flatMap((image, trial) =>
    Array.from({ length: SIDE }, (_, row) =>
      poissonRates(
        Array.from(image.subarray(row * SIDE, (row + 1) * SIDE), value => (value / 255) * peakRate),
        { trial, from: row * duration, to: (row + 1) * duration, unitsEach }
      )
    ).flat()
  )
  return { rates }
}
