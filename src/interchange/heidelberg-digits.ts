import type { Dataset } from 'h5wasm/node'
import { MdglError } from '../error.js'
import { checkIndex, type EventSample, type EventSet } from './event-set.js'
import { badFile } from './file-error.js'
import { Hdf5Reader } from './hdf5.js'

/** Channels of the artificial cochlea. */
const CHANNELS = 700

/**
 * Opens a file of the Spiking Heidelberg Digits or the Spiking Speech Commands (`shd_train.h5`, `ssc_test.h5`, unpacked): spoken
 * words as the events of 700 channels of an artificial cochlea. Only labels are read at once; each recording is read from the disk when it
 * is asked for.
 *
 * Layout: `spikes/times` (s) and `spikes/units`, a list for each recording, `labels`, and the names of the classes in `extra/keys`.
 * Source: Cramer, Stradmann, Schemmel and Zenke 2020, https://compneuro.net/datasets/.
 *
 * @example
 * ```ts
 * async function spokenDigits(path: string): Promise<Task> {
 *   const recordings = await openSpikingHeidelbergDigits(path);
 *   return {
 *     name: 'spoken-digits',
 *     loss: { kind: 'cross-entropy', window: 100 },
 *     batchSize: 32,
 *     iterations: 1000,
 *     batch: async ({ size, rng }) => {
 *       const drawn = Array.from({ length: size }, (_, trial) => rng.trial(trial).integer(recordings.length));
 *       const samples = await Promise.all(drawn.map(index => recordings.sample(index)));
 *       const ear = binnedEvents(samples, { duration: 1000 });
 *       return { length: 1000, inputs: { ear }, targets: samples.map(({ label }) => label) };
 *     }
 *   };
 * }
 * ```
 * @param path - The file, not compressed.
 * @returns The recordings; dispose of them to close the file.
 * @throws {@link MdglError} `'file'` for a file that is damaged or of another layout; the system's own error where it cannot be read.
 */
export async function openSpikingHeidelbergDigits(path: string | URL): Promise<EventSet> {
  const file = await Hdf5Reader.open(path)
  try {
    return new HeidelbergRecordings(file, String(path))
  } catch (error) {
    file[Symbol.dispose]()
    throw error
  }
}

class HeidelbergRecordings implements EventSet {
  readonly length: number
  readonly units = CHANNELS
  readonly labels: Uint32Array
  readonly classes: readonly string[]
  readonly #path: string
  readonly #times: Dataset
  readonly #units: Dataset
  #file: Hdf5Reader | undefined

  constructor(file: Hdf5Reader, path: string) {
    this.#file = file
    this.#path = path
    this.#times = this.#lists(file, 'spikes/times')
    this.#units = this.#lists(file, 'spikes/units')
    this.labels = this.#labels(file)
    this.length = this.labels.length
    for (const { path: name, shape } of [this.#times, this.#units]) {
      if (shape?.length !== 1 || shape[0] !== this.length) throw this.#bad(`${name} has not one list a label`)
    }
    this.classes = this.#classes(file)
  }

  async sample(given: number): Promise<EventSample> {
    if (this.#file === undefined) throw new MdglError({ code: 'disposed', message: `${this.#path} was closed.` })
    const index = checkIndex(given, this.length)
    const seconds = this.#file.row(this.#times, index)
    const units = this.#file.row(this.#units, index)
    if (!isNumbers(seconds) || !isNumbers(units) || seconds.length !== units.length) {
      throw this.#bad(`recording ${index} has not as many times as units`)
    }
    const times = Float64Array.from(seconds as ArrayLike<number>, value => value * 1000)
    if (times.some(time => !(time >= 0 && time < Number.POSITIVE_INFINITY))) {
      throw this.#bad(`recording ${index} has a time that is no number of at least 0`)
    }
    if (units.some(unit => unit < 0 || unit >= CHANNELS)) {
      throw this.#bad(`recording ${index} has a unit that is not below ${CHANNELS}`)
    }
    return { label: this.labels[index] ?? 0, times, units: Uint32Array.from(units as ArrayLike<number>) }
  }

  dispose(): void {
    this.#file?.[Symbol.dispose]()
    this.#file = undefined
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #lists(file: Hdf5Reader, name: string): Dataset {
    const dataset = file.dataset(name)
    if (dataset?.metadata.vlen_type === undefined)
      throw this.#bad(`there are no lists ${name} as in the Heidelberg data`)
    return dataset
  }

  #labels(file: Hdf5Reader): Uint32Array {
    const dataset = file.dataset('labels')
    const labels = dataset && file.value(dataset)
    if (!isNumbers(labels)) throw this.#bad('there are no labels as in the Heidelberg data')
    return Uint32Array.from(labels as ArrayLike<number>, Number)
  }

  #classes(file: Hdf5Reader): string[] {
    const dataset = file.dataset('extra/keys')
    const names = dataset && file.value(dataset)
    if (Array.isArray(names)) return names.map(String)
    const count = this.labels.reduce((most, label) => Math.max(most, label + 1), 0)
    return Array.from({ length: count }, (_, label) => String(label))
  }

  #bad(reason: string): MdglError {
    return badFile(this.#path, reason)
  }
}

function isNumbers(value: unknown): value is Uint16Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
}
