import type { Range, RecordingShape } from '../network/recording-shape.js'
import type { Recording } from '../operations/simulate.js'
import { oneOf, ownMemory, record } from '../support/check.js'
import { invalid } from '../support/error.js'
import { allocated, atMostNumbers } from '../support/memory.js'
import type { Precision, Values } from '../support/precision.js'
import { isFloat32Array, isFloatArray } from '../support/recognise.js'
import { checkLayout, type DenseTensor, placesOf, type TensorLayout, type TensorPlaces } from '../support/tensor.js'
import { checkRecording } from './check-recording.js'

export type { DenseTensor }

/** What a {@link Recording} holds for each step. */
export type RecordedName = 'spikes' | 'voltage' | 'readout' | 'learningSignal' | 'modulatorySignal'

const NAMES: readonly RecordedName[] = ['spikes', 'voltage', 'readout', 'learningSignal', 'modulatorySignal']

/** Options of {@link denseRecording}. */
export interface DenseRecordingOptions {
  /** The order of the dimensions. Default `'trial-time-unit'`. */
  readonly layout?: TensorLayout | undefined
  /** The population, or of `'readout'` the readout, whose units are wanted. Default: all, in the order of the description. */
  readonly of?: string | undefined
}

/**
 * A part of a recording as a dense tensor, for libraries that step through time, for NumPy and for plots. Spikes are 0 or 1. Steps beyond a
 * shorter trial's end are 0.
 *
 * @example
 * ```ts
 * const recording = await simulate(model, batch);
 * const { data, shape } = denseRecording(recording, 'spikes', { layout: 'time-trial-unit', of: 'cells' });
 * await writeNpy('spikes.npy', { data, shape });
 * ```
 * @param recording - From {@link simulate}.
 * @param name - The part; it must have been recorded.
 * @param options - The order of the dimensions, and whose units.
 * @returns The numbers, of the recording's precision, and their shape.
 * @throws {@link MdglError} `'invalid'` for a part that was not recorded, an unknown population or readout, and options that are not allowed.
 */
export function denseRecording<P extends Precision>(
  recording: Recording<P>,
  name: 'spikes',
  options?: DenseRecordingOptions
): DenseTensor<Uint8Array>
export function denseRecording<P extends Precision>(
  recording: Recording<P>,
  name: Exclude<RecordedName, 'spikes'>,
  options?: DenseRecordingOptions
): DenseTensor<Values<P>>
export function denseRecording(
  recording: Recording,
  name: RecordedName,
  options: DenseRecordingOptions = {}
): DenseTensor<Uint8Array | Values> {
  oneOf(name, 'name', NAMES)
  record(options, 'options', ['layout', 'of'])
  const { spikes, shape } = checkRecording(recording)
  const { from, to } = rangeOf(name, shape, options.of)
  const layout = checkLayout(options.layout)
  const places = placesOf(layout, shape.trials, shape.steps, to - from)
  const place = (trial: number, step: number) => trial * places.trialStride + step * places.stepStride
  if (name === 'spikes') {
    const data = zeros(places, count => new Uint8Array(count))
    for (let i = 0; i < spikes.length; i += 3) {
      const [trial, step, neuron] = [spikes[i] ?? 0, spikes[i + 1] ?? 0, spikes[i + 2] ?? 0]
      if (trial >= shape.trials || step >= shape.steps) {
        throw invalid(`recording.spikes[${i}]`, [trial, step, neuron], 'a trial and a step of the recording')
      }
      if (neuron >= from && neuron < to) data[place(trial, step) + neuron - from] = 1
    }
    return { data, shape: places.shape, layout }
  }
  const { [name]: values } = recording
  const width = name === 'readout' ? shape.units : shape.neurons
  if (!isFloatArray(values)) throw invalid(`recording.${name}`, values, 'what simulate was asked to record')
  if (ownMemory(values, `recording.${name}`).length !== shape.trials * shape.steps * width) {
    throw invalid(`recording.${name}`, values, `${shape.trials * shape.steps * width} values [trial][step][unit]`)
  }
  const data = zeros(places, count => (isFloat32Array(values) ? new Float32Array(count) : new Float64Array(count)))
  for (const [trial, length] of shape.lengths.entries()) {
    for (let step = 0; step < length; step++) {
      const row = (trial * shape.steps + step) * width
      data.set(values.subarray(row + from, row + to), place(trial, step))
    }
  }
  return { data, shape: places.shape, layout }
}

/** Zeros at all places of a tensor. */
function zeros<T>({ shape }: TensorPlaces, make: (count: number) => T): T {
  const count = shape.reduce((product, length) => product * length, 1)
  atMostNumbers(count, 'recording')
  return allocated(`${count} numbers`, 'recording', () => make(count))
}

function rangeOf(part: RecordedName, shape: RecordingShape, name: unknown): Range {
  const [ranges, to] = part === 'readout' ? [shape.readouts, shape.units] : [shape.populations, shape.neurons]
  if (name === undefined) return { from: 0, to }
  const range = ranges[oneOf(name, 'options.of', Object.keys(ranges))]
  return range ?? { from: 0, to }
}
