import type { ProjectionValues as NativeProjection, Observation, PendingBatch } from '#native'
import type { WholeDescription } from '../network/description.js'
import { projectionNames } from '../network/names.js'
import { type RecordingShape, shapeOf } from '../network/recording-shape.js'
import type { CustomRule, RuleContext, Synapses } from '../rule/custom-rule.js'
import { unlessAborted } from '../support/abort.js'
import { ownMemory } from '../support/check.js'
import { invalid } from '../support/error.js'
import { isFloat64Array, isFloatArray } from '../support/recognise.js'
import type { Objective } from '../task/objective.js'
import { askLoss } from './ask-loss.js'
import type { EncodedBatch } from './encode-batch.js'
import type { Session } from './engine-session.js'

/** What a custom rule is asked about, and by whom. */
export interface RuleQuestion {
  readonly rule: CustomRule
  readonly objective: Objective
  readonly description: WholeDescription
  readonly encoded: EncodedBatch
  /** Stops the waiting for a promise of the rule's. */
  readonly signal: AbortSignal | undefined
}

/** A custom rule's answer: S `[trial][step][neuron]`, and the batch that waits for it in the engine. */
export interface RuleAnswer {
  readonly pending: PendingBatch
  readonly signal: Float64Array
}

/** Runs a batch, shows it to a custom rule and checks the answer. */
export async function askRule(session: Session, question: RuleQuestion): Promise<RuleAnswer> {
  const { rule, description, encoded, signal: abort } = question
  const { pending, observation } = await observe(session, question)
  const context = contextOf(observation, encoded, description)
  const answer = Promise.resolve(rule.signal(context))
  const signal = await (abort === undefined ? answer : unlessAborted(answer, abort))
  return { pending, signal: checkSignal(signal, context.shape, rule.name) }
}

async function observe(session: Session, { objective, encoded }: RuleQuestion) {
  if (!objective.custom) return await session.run(engine => engine.observe(encoded.handle))
  const { pending, score } = await askLoss(session, objective, encoded)
  return await session.run(() => pending.observe(score))
}

function contextOf(observation: Observation, encoded: EncodedBatch, description: WholeDescription): RuleContext {
  const { spikes, projections, constants, ...arrays } = observation
  const shape = shapeOf(encoded, description)
  const types = Object.keys(shape.types)
  return Object.freeze({
    shape: Object.freeze(shape),
    types: Object.freeze(types),
    description,
    batch: encoded.batch,
    cells: Object.freeze({ ...constants, type: typeIndices(types, shape) }),
    projections: synapses(projections, description, shape),
    z: dense(spikes, shape),
    ...arrays
  })
}

function typeIndices(types: readonly string[], shape: RecordingShape): Uint32Array {
  const indices = new Uint32Array(shape.neurons)
  for (const [index, name] of types.entries()) {
    for (const neuron of shape.types[name] ?? []) indices[neuron] = index
  }
  return indices
}

/** Triples (trial, step, neuron) as ones among zeros. */
function dense(spikes: Uint32Array, { trials, steps, neurons }: RecordingShape): Uint8Array {
  const z = new Uint8Array(trials * steps * neurons)
  for (let i = 0; i < spikes.length; i += 3) {
    const [trial = 0, step = 0, neuron = 0] = spikes.subarray(i, i + 3)
    z[(trial * steps + step) * neurons + neuron] = 1
  }
  return z
}

/** The engine's projections, which are in the description's order, counted through all populations. */
function synapses(
  values: readonly NativeProjection[],
  description: WholeDescription,
  { populations, readouts }: RecordingShape
): RuleContext['projections'] {
  const inputs = starts(description.inputs)
  const names = projectionNames(description)
  const entries = description.projections.map((projection, i): [string, Synapses] => {
    const { from, to } = projection
    const { pre, post, values: weights, delays } = found(values, names[i] ?? '')
    const stage = Object.hasOwn(inputs, from) ? 'input' : Object.hasOwn(readouts, to) ? 'readout' : 'recurrent'
    const first = stage === 'input' ? inputs[from] : populations[from]?.from
    const target = stage === 'readout' ? readouts[to] : populations[to]
    const delay = delays.length === 1 ? (delays[0] ?? 1) : delays
    const synapses = { stage, delay, pre: moved(pre, first), post: moved(post, target?.from), weights } as const
    return [names[i] ?? '', Object.freeze(synapses)]
  })
  return Object.freeze(Object.fromEntries(entries))
}

function found(values: readonly NativeProjection[], name: string): NativeProjection {
  const projection = values.find(candidate => candidate.name === name)
  if (projection === undefined) throw new Error(`the engine has no projection '${name}'; this is a bug in mdgl`)
  return projection
}

function starts(parts: readonly { readonly name: string; readonly size: number }[]): Record<string, number> {
  let total = 0
  return Object.fromEntries(
    parts.map(({ name, size }) => {
      const start = total
      total += size
      return [name, start]
    })
  )
}

const moved = (indices: Uint32Array, by = 0) => indices.map(index => index + by)

function checkSignal(signal: unknown, { trials, steps, neurons }: RecordingShape, name: string): Float64Array {
  const path = `signal() of rule '${name}'`
  if (!isFloatArray(signal)) {
    throw invalid(path, signal, 'a Float64Array or Float32Array')
  }
  const expected = trials * steps * neurons
  if (ownMemory(signal, path).length !== expected) {
    const shape = `${trials} × ${steps} × ${neurons}`
    throw invalid(path, signal, `${expected} values [trial][step][neuron], ${shape}`)
  }
  const wrong = signal.findIndex(value => !Number.isFinite(value))
  if (wrong >= 0) {
    const step = Math.floor(wrong / neurons)
    const place = `trial ${Math.floor(step / steps)}, step ${step % steps}, neuron ${wrong % neurons}`
    throw invalid(`${path} at ${place}`, signal[wrong], 'a finite number')
  }
  return isFloat64Array(signal) ? signal : Float64Array.from(signal)
}
