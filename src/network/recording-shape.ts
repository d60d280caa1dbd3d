import type { NetworkDescription } from './description.js'

/** A range of indices: `from` is the first, `to` the one past the last. */
export interface Range {
  /** First index. */
  readonly from: number
  /** The one past the last. */
  readonly to: number
}

/** The sizes of a recording's arrays, and where each population and readout stands in them. */
export interface RecordingShape {
  /** Number of trials. */
  readonly trials: number
  /** Steps of the longest trial. */
  readonly steps: number
  /** Steps of each trial. */
  readonly lengths: readonly number[]
  /** Step in ms. */
  readonly dt: number
  /** Number of recurrent neurons, all populations together. */
  readonly neurons: number
  /** Number of readout units, all readouts together. */
  readonly units: number
  /** Neurons of each population. */
  readonly populations: { readonly [name: string]: Range }
  /** Neurons of each cell type, ascending; the description's types, or one per population. */
  readonly types: { readonly [name: string]: readonly number[] }
  /** Units of each readout. */
  readonly readouts: { readonly [name: string]: Range }
}

/** The shape of a batch of so many trials and steps on a network. */
export function shapeOf(
  { trials, steps, lengths }: Pick<RecordingShape, 'trials' | 'steps' | 'lengths'>,
  description: NetworkDescription
): RecordingShape {
  const populations = ranges(description.populations)
  const readouts = ranges(description.readouts ?? [])
  return {
    trials,
    steps,
    lengths,
    dt: description.dt ?? 1,
    neurons: populations.total,
    units: readouts.total,
    populations: populations.named,
    types: neuronsOfTypes(description, populations.named),
    readouts: readouts.named
  }
}

function ranges(parts: readonly { readonly name: string; readonly size: number }[]) {
  let total = 0
  const entries = parts.map(({ name, size }): [string, Range] => {
    const from = total
    total += size
    return [name, { from, to: total }]
  })
  return { named: Object.fromEntries(entries), total }
}

/** Neurons by type, counted through all populations. */
function neuronsOfTypes(
  { types, populations }: NetworkDescription,
  ranges: RecordingShape['populations']
): RecordingShape['types'] {
  const partition =
    types ?? populations.map(({ name }) => ({ name, members: [{ population: name, units: undefined }] }))
  const entries = partition.map(({ name, members }): [string, number[]] => {
    const neurons = members.flatMap(({ population, units }) => {
      const { from, to } = ranges[population] ?? { from: 0, to: 0 }
      return Array.from(units ?? Array(to - from).keys(), unit => from + unit)
    })
    return [name, neurons.sort((a, b) => a - b)]
  })
  return Object.fromEntries(entries)
}
