import type { Dataset } from 'h5wasm/node'
import type { MdglError } from '../support/error.js'
import { arrayName } from '../support/recognise.js'
import type { EventSample } from './event-set.js'
import { badFile } from './file-error.js'
import { Hdf5Reader } from './hdf5.js'

/** Channels of the artificial cochlea. */
export const CHANNELS = 700

/** More classes than a label may count to. */
const MOST_CLASSES = 2 ** 16

/** What is known of the recordings before any is read. */
export interface HeidelbergContents {
  readonly labels: Uint32Array<ArrayBuffer>
  readonly classes: string[]
}

/** A file of the Spiking Heidelberg Digits' layout, open. */
export class HeidelbergFile {
  readonly contents: HeidelbergContents
  readonly #path: string
  readonly #times: Dataset
  readonly #units: Dataset
  readonly #file: Hdf5Reader

  private constructor(file: Hdf5Reader, path: string) {
    this.#file = file
    this.#path = path
    this.#times = this.#lists('spikes/times')
    this.#units = this.#lists('spikes/units')
    const labels = this.#labels()
    for (const { path: name, shape } of [this.#times, this.#units]) {
      if (shape?.length !== 1 || shape[0] !== labels.length) throw this.#bad(`${name} has not one list a label`)
    }
    this.contents = { labels, classes: this.#classes(labels) }
  }

  /** Reads the labels and the names of the classes. */
  static async open(path: string): Promise<HeidelbergFile> {
    return new HeidelbergFile(await Hdf5Reader.open(path), path)
  }

  recording(index: number): Omit<EventSample, 'label'> {
    const seconds = this.#file.row(this.#times, index)
    const units = this.#file.row(this.#units, index)
    if (!isNumbers(seconds) || !isNumbers(units) || seconds.length !== units.length) {
      throw this.#bad(`recording ${index} has not as many times as units`)
    }
    const times = Float64Array.from(seconds as ArrayLike<number | bigint>, value => Number(value) * 1000)
    if (times.some(time => !(time >= 0 && time < Number.POSITIVE_INFINITY))) {
      throw this.#bad(`recording ${index} has a time that is no number of at least 0`)
    }
    const channels = wholeNumbers(units, CHANNELS)
    if (channels === undefined) throw this.#bad(`recording ${index} has a unit that is not below ${CHANNELS}`)
    return { times, units: channels }
  }

  #lists(name: string): Dataset {
    const dataset = this.#file.dataset(name)
    if (dataset?.metadata.vlen_type === undefined)
      throw this.#bad(`there are no lists ${name} as in the Heidelberg data`)
    return dataset
  }

  #labels(): Uint32Array<ArrayBuffer> {
    const dataset = this.#file.dataset('labels')
    const labels = dataset && this.#file.value(dataset)
    if (!isNumbers(labels)) throw this.#bad('there are no labels as in the Heidelberg data')
    const classes = wholeNumbers(labels, MOST_CLASSES)
    if (classes === undefined) throw this.#bad(`there is a label that is no whole number below ${MOST_CLASSES}`)
    return classes
  }

  #classes(labels: Uint32Array): string[] {
    const dataset = this.#file.dataset('extra/keys')
    const names = dataset && this.#file.value(dataset)
    if (Array.isArray(names)) return names.map(String)
    const count = labels.reduce((most, label) => Math.max(most, label + 1), 0)
    return Array.from({ length: count }, (_, label) => String(label))
  }

  #bad(reason: string): MdglError {
    return badFile(this.#path, reason)
  }
}

/** Numbers as HDF5 has them: of any size, whole or not. */
type Numbers = Uint16Array | Float64Array | BigInt64Array

function isNumbers(value: unknown): value is Numbers {
  return arrayName(value) !== undefined
}

/** The same as whole numbers from 0 to below a bound; nothing where one is not. */
function wholeNumbers(values: Numbers, bound: number): Uint32Array<ArrayBuffer> | undefined {
  const doubles = Float64Array.from(values as ArrayLike<number | bigint>, Number)
  if (doubles.some(value => !(Number.isInteger(value) && value >= 0 && value < bound))) return undefined
  return Uint32Array.from(doubles)
}
