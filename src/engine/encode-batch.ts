import type * as binding from '#native'
import { guard, native } from '../addon/native.js'
import type { WholeDescription } from '../network/description.js'
import { inMs, toSpan, toTrialSteps } from '../network/duration.js'
import {
  array,
  floats,
  isObject,
  list,
  nonNegative,
  numbers,
  object,
  orDefault,
  ownMemory,
  record,
  wholeNumber
} from '../support/check.js'
import { invalid } from '../support/error.js'
import { isUint32Array } from '../support/recognise.js'
import type { Batch, BatchShape, DrawKey, InputValues, RateSegment, TrialRange } from '../task/batch.js'
import { encodeTargets, type Objective } from '../task/objective.js'
import { askedOf, eventStream, type Share, shareOf } from '../task/task.js'

const MOST_TRIALS = 2 ** 20
const SEGMENT_FIELDS = 6
const WINDOW_FIELDS = 4

/** A batch as the engine's copy of it, which shares no memory with it, and the batch itself for custom losses. */
export interface EncodedBatch extends BatchShape {
  readonly batch: Batch
  /** The engine's copy; the job that computes with it uses it up. */
  readonly handle: binding.EncodedBatch
  /** Number of windows of each loss's targets; 0 where a loss has none. */
  readonly windows: readonly number[]
}

/**
 * Checks a batch and, where there is an objective, its targets, and copies both for the engine. Only a process that has a share of a
 * batch may be given its own trials alone.
 */
export function encodeBatch(
  batch: Batch,
  description: WholeDescription,
  objective: Objective | undefined,
  key: DrawKey,
  share?: Share
): EncodedBatch {
  const shape = batchShape(batch, description, objective, share)
  const lengths = Uint32Array.from(shape.lengths)
  const inputs = encodeInputs(batch, description, shape)
  const targets = objective === undefined ? [] : encodeTargets(objective, batch, shape)
  const { range } = shape
  if (range !== undefined && share !== undefined && isEmpty(shareOf(share, range.of))) {
    const none = { inputs: inputs.map(() => ({})), targets: targets.map(() => ({})) }
    const handle = guard(() => new native.EncodedBatch(new Uint32Array(0), none.inputs, none.targets, key))
    return { batch, ...shape, handle, windows: targets.map(() => 0) }
  }
  const handle = guard(() => new native.EncodedBatch(lengths, inputs, targets, key))
  return { batch, ...shape, handle, windows: targets.map(({ windows }) => (windows?.length ?? 0) / WINDOW_FIELDS) }
}

const isEmpty = ({ from, to }: TrialRange) => from === to

/** The key of the events of a single batch. */
export function drawKey(seed: number | undefined, description: WholeDescription): DrawKey {
  const checked = wholeNumber(orDefault(seed, description.seed), 'options.seed')
  return { seed: checked, stream: eventStream('test'), iteration: 0 }
}

/** Checks how many trials a batch has and how long they are; the objective says what its targets are. */
function batchShape(
  batch: Batch,
  description: WholeDescription,
  objective: Objective | undefined,
  share: Share | undefined
): BatchShape {
  record(batch, 'batch', ['length', 'trials', 'inputs', 'targets', 'metadata', 'loss', 'regulariser', 'range'])
  const dt = description.dt
  const trials = countTrials(batch, objective)
  const lengths = trialLengths(batch.length, trials, dt)
  const range = checkRange(batch.range, trials, share)
  return { trials, lengths, steps: lengths.reduce((longest, length) => Math.max(longest, length), 0), dt, range }
}

/** The range of a batch, which is that of the process; undefined without processes that share it, and where it is not told. */
function checkRange(given: TrialRange | undefined, trials: number, share: Share | undefined): TrialRange | undefined {
  if (given === undefined) return undefined
  const { from, to, of } = record(given, 'batch.range', ['from', 'to', 'of'])
  wholeNumber(of, 'batch.range.of', 1, MOST_TRIALS)
  const asked = share === undefined ? { from: 0, to: of, of } : askedOf(share, of)
  if (from !== asked.from || to !== asked.to) {
    const whose = share === undefined ? 'without a collective' : `rank ${share.rank}'s of ${share.size}`
    throw invalid('batch.range', given, `trials ${asked.from} to ${asked.to}, ${whose}`)
  }
  if (trials !== to - from) throw invalid('batch.trials', trials, `the ${to - from} trials of the batch's range`)
  return share && asked
}

/**
 * Checks the inputs of a batch against a network and lays them out for the engine, in the order of the description. Typed
 * arrays are handed on as they are: the engine must copy them before anything else may run.
 */
function encodeInputs(batch: Batch, description: WholeDescription, shape: BatchShape): binding.Input[] {
  const inputs = object(batch.inputs, 'batch.inputs')
  const populations = description.inputs
  refuseUnknown(inputs, populations)
  return populations.map(({ name, size }) =>
    Object.hasOwn(inputs, name) ? encodeInput(inputs[name], size, shape, `batch.inputs.${name}`) : {}
  )
}

function countTrials(batch: Batch, objective: Objective | undefined): number {
  const { length, trials, targets } = batch
  if (trials !== undefined) return wholeNumber(trials, 'batch.trials', 1, MOST_TRIALS)
  if (typeof length !== 'number')
    return wholeNumber(numbers(length, 'batch.length').length, 'batch.trials', 1, MOST_TRIALS)
  const classes = classesOf(targets, objective)
  if (classes !== undefined) return wholeNumber(classes.length, 'batch.trials', 1, MOST_TRIALS)
  throw invalid('batch.trials', trials, 'a number of trials, unless length or class targets give one per trial')
}

/** The class targets of a readout, one per trial. Windows are no list of trials, and values none either. */
function classesOf(targets: Batch['targets'], objective: Objective | undefined): ArrayLike<unknown> | undefined {
  const terms = objective?.terms ?? []
  const judged = terms.find(({ kind }) => kind === 'cross-entropy')
  if (!isObject(targets)) return undefined
  if (isList(targets)) {
    const valued = terms.some(({ kind }) => kind === 'squared-error')
    return !valued && isClasses(targets, judged !== undefined) ? targets : undefined
  }
  const named = targets as { readonly [readout: string]: unknown }
  const own = judged && Object.hasOwn(named, judged.readout.name) ? named[judged.readout.name] : undefined
  return isObject(own) && isList(own) && isClasses(own, true) ? own : undefined
}

const isList = (value: object): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)

/** Floats are classes only where nothing else is asked for: a custom loss gets what the task gives. */
function isClasses(targets: ArrayLike<unknown>, only: boolean): boolean {
  if (Array.isArray(targets)) return !array(targets, 'batch.targets').some(target => typeof target === 'object')
  return only || !/^Float/.test(String((targets as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]))
}

function trialLengths(length: Batch['length'], trials: number, dt: number): number[] {
  if (typeof length === 'number') return new Array<number>(trials).fill(toTrialSteps(length, dt, 'batch.length'))
  if (!isObject(length)) throw invalid('batch.length', length, 'a duration in ms, or one for each trial')
  const values = numbers(length, 'batch.length')
  if (values.length !== trials)
    throw invalid('batch.length', values, `one duration, or one for each of ${trials} trials`)
  return Array.from(values, (value, trial) => toTrialSteps(value, dt, `batch.length[${trial}]`))
}

function refuseUnknown(inputs: Batch['inputs'], populations: readonly { readonly name: string }[]): void {
  const names = populations.map(population => population.name)
  const unknown = Object.keys(inputs).find(name => !names.includes(name))
  if (unknown !== undefined) throw invalid('batch.inputs', unknown, list(names))
}

function encodeInput(input: InputValues | undefined, units: number, shape: BatchShape, path: string): binding.Input {
  if (input === undefined) return {}
  record(input as Partial<Record<'rates' | 'events' | 'analogue', unknown>>, path, ['rates', 'events', 'analogue'])
  if (Object.keys(input).length !== 1) throw invalid(path, input, "an object with one of 'rates', 'events', 'analogue'")
  if ('rates' in input) return { rates: encodeRates(input.rates, units, shape, `${path}.rates`) }
  if ('events' in input) return { events: encodeEvents(input.events, `${path}.events`) }
  return { analogue: floats(input.analogue, `${path}.analogue`) }
}

function encodeRates(segments: readonly RateSegment[], units: number, shape: BatchShape, path: string): Float64Array {
  const given = array(segments, path)
  const packed = new Float64Array(given.length * SEGMENT_FIELDS)
  for (const [i, segment] of given.entries()) {
    packed.set(encodeSegment(segment, units, shape, `${path}[${i}]`), i * SEGMENT_FIELDS)
  }
  return packed
}

function encodeSegment(segment: RateSegment, units: number, shape: BatchShape, path: string): number[] {
  record(segment, path, ['trial', 'units', 'from', 'to', 'rate'])
  const trial = wholeNumber(segment.trial, `${path}.trial`, 0, shape.trials - 1)
  const pair = numbers(segment.units, `${path}.units`)
  if (pair.length !== 2) throw invalid(`${path}.units`, pair, 'a pair: the first unit and the one past the last')
  const first = wholeNumber(pair[0], `${path}.units[0]`, 0, units)
  const end = wholeNumber(pair[1], `${path}.units[1]`, first, units)
  const { from, to } = toSpan(segment, shape.dt, path)
  const length = shape.lengths[trial] ?? 0
  if (to > length) throw invalid(`${path}.to`, segment.to, `at most the trial's end, ${inMs(length, shape.dt)} ms`)
  return [trial, first, end, from, to, nonNegative(segment.rate, `${path}.rate`)]
}

function encodeEvents(events: Uint32Array | readonly (readonly number[])[], path: string): Uint32Array {
  if (isUint32Array(events)) {
    if (ownMemory(events, path).length % 3 !== 0) throw invalid(path, events, 'triples (trial, step, unit)')
    return events
  }
  if (!isObject(events) || !Array.isArray(events)) {
    throw invalid(path, events, 'a Uint32Array or an array of triples (trial, step, unit)')
  }
  const listed = array<readonly number[]>(events, path)
  const packed = new Uint32Array(listed.length * 3)
  for (const [i, given] of listed.entries()) {
    const triple = numbers(given, `${path}[${i}]`)
    if (triple.length !== 3) throw invalid(`${path}[${i}]`, given, 'a triple (trial, step, unit)')
    packed.set(
      Array.from(triple, (value, j) => wholeNumber(value, `${path}[${i}][${j}]`, 0, 2 ** 32 - 1)),
      i * 3
    )
  }
  return packed
}
