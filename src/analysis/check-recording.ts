import type { Range, RecordingShape } from '../network/recording-shape.js'
import type { Recording } from '../operations/simulate.js'
import { array, object, ownMemory, positive, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import { isUint32Array } from '../support/recognise.js'

/** What the statistics of spikes need of a {@link Recording}. */
export type SpikeRecording = Pick<Recording, 'spikes' | 'shape'>

/** As many as a network may have. */
const MOST_NEURONS = 2 ** 24

/** A checked copy of what is read of a recording: it may come from a file, or from another program. */
export function checkRecording(given: SpikeRecording): SpikeRecording {
  const { spikes, shape } = object(given, 'recording')
  const path = 'recording.spikes'
  if (!isUint32Array(spikes)) throw invalid(path, spikes, 'a Uint32Array')
  if (ownMemory(spikes, path).length % 3 !== 0) throw invalid(path, spikes, 'triples (trial, step, neuron)')
  return { spikes, shape: checkShape(object(shape, 'recording.shape')) }
}

function checkShape(given: RecordingShape): RecordingShape {
  const path = 'recording.shape'
  const units = wholeNumber(given.units ?? 0, `${path}.units`, 0, MOST_NEURONS)
  const steps = wholeNumber(given.steps, `${path}.steps`, 1)
  const neurons = wholeNumber(given.neurons, `${path}.neurons`, 0, MOST_NEURONS)
  const lengths = array(given.lengths, `${path}.lengths`).map((length, trial) =>
    wholeNumber(length, `${path}.lengths[${trial}]`, 0, steps)
  )
  return {
    trials: lengths.length,
    steps,
    lengths,
    dt: positive(given.dt, `${path}.dt`),
    neurons,
    units,
    readouts: each(given.readouts ?? {}, `${path}.readouts`, (range, where) => checkRange(range, units, where)),
    populations: each(given.populations, `${path}.populations`, (range, where) => checkRange(range, neurons, where)),
    types: each(given.types, `${path}.types`, (members, where) =>
      array(members, where).map((member, i) => wholeNumber(member, `${where}[${i}]`, 0, neurons - 1))
    )
  }
}

function checkRange(given: Range, neurons: number, path: string): Range {
  const { from, to } = object(given, path)
  const end = wholeNumber(to, `${path}.to`, 0, neurons)
  return { from: wholeNumber(from, `${path}.from`, 0, end), to: end }
}

function each<T>(given: { readonly [name: string]: T }, path: string, check: (value: T, path: string) => T) {
  const entries = Object.entries(object(given, path))
  return Object.fromEntries(entries.map(([name, value]): [string, T] => [name, check(value, `${path}.${name}`)]))
}
