import { inMs, type Span, stepsIn, toSpan } from '../network/duration.js'
import type { RecordingShape } from '../network/recording-shape.js'
import { nonNegative, record } from '../support/check.js'
import { invalid } from '../support/error.js'
import { checkRecording, type SpikeRecording } from './check-recording.js'

/** Which part of every trial counts, in ms from its start, rounded to whole steps, at least one. */
export interface SpikeWindow {
  /** Start. Default 0. */
  readonly from?: number
  /** End; trials that are shorter count to their own. Default: each trial's end. */
  readonly to?: number
}

/** One number for each neuron, and for the neurons of each population and type. */
export interface ByNeurons {
  /** Each neuron, all populations together in their order. */
  readonly cells: readonly (number | null)[]
  /** Each population. */
  readonly populations: { readonly [name: string]: number | null }
  /** Each cell type. */
  readonly types: { readonly [name: string]: number | null }
  /** All neurons. */
  readonly all: number | null
}

/** The spikes within a window. */
export interface SpikeTrains {
  readonly shape: RecordingShape
  /** The steps at which a neuron fired in a trial, ascending: `[trial][neuron]`. */
  readonly steps: readonly (readonly number[])[][]
  /** First step of the window. */
  readonly first: number
  /** How many steps of each trial are within the window. */
  readonly lengths: readonly number[]
}

/**
 * Sorts a recording's spikes by trial and neuron.
 *
 * @throws {@link MdglError} `'invalid'` for a window that is not allowed or of which no trial has a step.
 */
export function spikeTrains(recording: SpikeRecording, window: SpikeWindow): SpikeTrains {
  const { spikes, shape } = checkRecording(recording)
  record(window, 'window', ['from', 'to'])
  const { from: first, to: end } = windowSteps(window, shape)
  const lengths = shape.lengths.map(length => Math.max(0, Math.min(length, end) - first))
  if (lengths.every(length => length === 0)) {
    throw invalid(
      'window',
      window,
      `a window that has a step of a trial: from below ${inMs(shape.steps, shape.dt)} ms, and to above it`
    )
  }
  const steps = shape.lengths.map(() => Array.from({ length: shape.neurons }, (): number[] => []))
  for (let i = 0; i < spikes.length; i += 3) {
    const [trial, step, neuron] = [spikes[i] ?? 0, spikes[i + 1] ?? 0, spikes[i + 2] ?? 0]
    if (step >= first && step < first + (lengths[trial] ?? 0)) steps[trial]?.[neuron]?.push(step)
  }
  return { shape, steps, first, lengths }
}

/** First step of a window, and the one past its last. */
function windowSteps({ from = 0, to }: SpikeWindow, { steps, dt }: RecordingShape): Span {
  if (to !== undefined) return toSpan({ from, to }, dt, 'window')
  return { from: stepsIn(nonNegative(from, 'window.from'), dt), to: steps }
}

/** Applies a function to the neurons of each population and type, and to all. */
export function groups<T>({ neurons, populations, types }: RecordingShape, of: (neurons: readonly number[]) => T) {
  const each = (entries: [string, readonly number[]][]) =>
    Object.fromEntries(entries.map(([name, members]): [string, T] => [name, of(members)]))
  return {
    populations: each(Object.entries(populations).map(([name, { from, to }]) => [name, range(from, to)])),
    types: each(Object.entries(types)),
    all: of(range(0, neurons))
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
