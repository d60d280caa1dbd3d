import { checkIndex, type EventSample, type EventSet } from './event-set.js'
import { readableFile } from './file-error.js'
import { Hdf5Thread } from './hdf5-thread.js'
import { CHANNELS, type HeidelbergContents } from './heidelberg-file.js'

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
  const full = await readableFile(path)
  const thread = new Hdf5Thread(full)
  try {
    return new HeidelbergRecordings(thread, await thread.ask('openHeidelberg', full))
  } catch (error) {
    thread[Symbol.dispose]()
    throw error
  }
}

class HeidelbergRecordings implements EventSet {
  readonly length: number
  readonly units = CHANNELS
  readonly labels: Uint32Array
  readonly classes: readonly string[]
  readonly #thread: Hdf5Thread

  constructor(thread: Hdf5Thread, { labels, classes }: HeidelbergContents) {
    this.#thread = thread
    this.length = labels.length
    this.labels = labels
    this.classes = classes
  }

  async sample(given: number): Promise<EventSample> {
    const index = checkIndex(given, this.length)
    return { label: this.labels[index] ?? 0, ...(await this.#thread.ask('recording', index)) }
  }

  dispose(): void {
    this.#thread[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
