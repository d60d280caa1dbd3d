import { wholeNumber } from '../support/check.js'

/** One labelled recording: what fired, and when. */
export interface EventSample {
  /** Its class. */
  readonly label: number
  /** Time of each event in ms from the recording's start. */
  readonly times: Float64Array
  /** The unit of each event. */
  readonly units: Uint32Array
}

/** Labelled recordings of events that are read from the disk one by one, when they are asked for. */
export interface EventSet extends Disposable {
  /** Number of recordings. */
  readonly length: number
  /** Number of units that events may come from: the size of an input population. */
  readonly units: number
  /** The class of each recording. */
  readonly labels: Uint32Array
  /** The name of each class. */
  readonly classes: readonly string[]
  /**
   * Reads one recording.
   *
   * @param index - Its number, from 0.
   * @throws {@link MdglError} `'invalid'` for a number that there is not, `'file'` for a file that is damaged, `'disposed'`; the system's
   * own error where it cannot be read.
   */
  sample(index: number): Promise<EventSample>
  /** Closes what is open. Later samples, and of HDF5 those that are being read, throw `'disposed'`; a second call does nothing. */
  dispose(): void
}

/** The number of a recording. */
export function checkIndex(index: number, length: number): number {
  return wholeNumber(index, 'index', 0, length - 1)
}
