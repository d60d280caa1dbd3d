import type { Batch } from './batch.js'
import { flag } from './check.js'
import { expandRuleFor } from './conventions.js'
import type { NetworkDescription } from './description.js'
import { checkOptions, type RunOptions, withSession } from './engine-session.js'
import { invalid } from './error.js'
import { drawKey, packBatch } from './evaluate.js'
import type { Losses, Regulariser } from './loss.js'
import { type InputNames, type Model, nativeModel } from './model.js'
import { makeObjective } from './objective.js'
import type { Precision, Values } from './precision.js'
import type { Rule, RuleName } from './rule.js'

/** Options of {@link simulate}. */
export interface SimulateOptions extends RunOptions {
  /** Whether to record membrane voltages. Default false. */
  readonly voltage?: boolean | undefined
  /** With a loss: the rule whose learning and modulatory signals are recorded. */
  readonly rule?: RuleName | Rule | undefined
  /** With a rule: the loss from which the signals come. */
  readonly loss?: Losses | undefined
  /** Firing-rate regulariser, part of the learning signal. Default none. */
  readonly regulariser?: Regulariser | null | undefined
  /** Seed of the input events that the engine draws. Default: the network's seed. */
  readonly seed?: number | undefined
}

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
  /** Neurons of each cell type, ascending; the description's types, or one a population. */
  readonly types: { readonly [name: string]: readonly number[] }
  /** Units of each readout. */
  readonly readouts: { readonly [name: string]: Range }
}

/** What a network did. Steps beyond a shorter trial's end mean nothing. */
export interface Recording<P extends Precision = Precision> {
  /** Spikes, triples `(trial, step, neuron)` in ascending order. */
  readonly spikes: Uint32Array
  /** Membrane voltages v `[trial][step][neuron]`, if asked for. */
  readonly voltage?: Values<P>
  /** Readouts y `[trial][step][unit]`. */
  readonly readout: Values<P>
  /** Learning signal L `[trial][step][neuron]`, with a rule. */
  readonly learningSignal?: Values<P>
  /** Modulatory signal Γ `[trial][step][neuron]`, with a rule: entry t is what meets the eligibility trace of step t − 1. */
  readonly modulatorySignal?: Values<P>
  /** Sizes and names. */
  readonly shape: RecordingShape
}

/**
 * Runs a batch and records what the network did.
 *
 * @param model - The model; it is not changed.
 * @param batch - The batch; targets are needed with a rule only.
 * @param options - What to record.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad options and batches, `'memory'`, `'disposed'`; the signal's
 * reason when aborted.
 */
export async function simulate<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>>,
  options: SimulateOptions = {}
): Promise<Recording<P>> {
  nativeModel(model)
  checkOptions(options, ['voltage', 'rule', 'loss', 'regulariser', 'seed'])
  const { description } = model
  const { plan, objective } = makePlan(options, description)
  const { packed, ...size } = packBatch(batch, description, objective, drawKey(options.seed, description))
  const voltage = flag(options.voltage ?? false, 'options.voltage')
  return await withSession(model, plan, options, async session => {
    const recorded = await session.run(engine => engine.simulate(packed, voltage))
    return { ...recorded, shape: shapeOf(size, description) } as Recording<P>
  })
}

function makePlan({ rule, loss, regulariser }: SimulateOptions, description: NetworkDescription) {
  if ((rule === undefined) !== (loss === undefined)) {
    throw invalid('options', { rule, loss }, 'rule and loss together, or neither')
  }
  if (rule === undefined || loss === undefined) return { plan: { training: false } }
  const objective = makeObjective(loss, regulariser, description)
  if (objective.custom)
    throw invalid('options.loss', loss, 'a built-in loss; signals of custom losses are not recorded yet')
  return {
    objective,
    plan: { objective: objective.json, rule: JSON.stringify(expandRuleFor(description, rule)), training: false }
  }
}

function shapeOf(
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
