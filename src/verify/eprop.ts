import { Model } from '../model/model.js'
import type { Connections, NetworkDescription } from '../network/description.js'
import { gradients } from '../operations/gradients.js'
import { simulate } from '../operations/simulate.js'
import { train } from '../operations/train.js'
import type { Rule } from '../rule/rule.js'
import { rules } from '../rule/rule.js'
import type { Batch, Loss, Regulariser } from '../task/batch.js'
import type { Optimiser } from '../task/optimiser.js'
import type { Task } from '../task/task.js'
import {
  type AllNorms,
  type EpropFixture,
  type EpropRun,
  type LossSource,
  MATRICES,
  type MatrixName,
  type Norms,
  SOURCES
} from './eprop-fixture.js'
import { everyPair, flatten, NAMES, PROJECTIONS, population } from './network.js'
import { FixtureError } from './shape.js'

/** The largest relative error allowed; TensorFlow's losses were computed in single precision. */
const EPROP_LIMITS = { tensorflow: 1e-6, others: 1e-8 } as const

const OF = { W_in: PROJECTIONS.input, W_rec: PROJECTIONS.recurrent, W_out: PROJECTIONS.output } as const

/** The largest relative errors, where the file has something to compare with. */
export type EpropErrors = {
  /** Of the losses before each update. */
  readonly [source in `loss_${LossSource}`]?: number
} & {
  /** Of the norms of the first gradient (and of W_out's entries), and of the weights after the last update. */
  readonly [norms in `${'gradient' | 'weights'}_${MatrixName}`]?: number
}

/** How one run compares with the file. */
export interface EpropRow {
  readonly fixture: string
  readonly run: string
  readonly precision: 'f64'
  /** Whether the first sequence's spikes and every iteration's number of spikes are the file's. */
  readonly spikes: boolean
  readonly errors: EpropErrors
  readonly limits: typeof EPROP_LIMITS
  readonly passed: boolean
}

/** Trains as the file says, in f64, through the public API: a row for each run. */
export async function verifyEprop(fixture: EpropFixture): Promise<EpropRow[]> {
  const rows: EpropRow[] = []
  for (const run of fixture.runs) {
    const model = Model.create(epropNetwork(fixture), { precision: 'f64' })
    try {
      rows.push(await verifyRun(fixture, run, model))
    } finally {
      model.dispose()
    }
  }
  return rows
}

async function verifyRun(fixture: EpropFixture, run: EpropRun, model: Model): Promise<EpropRow> {
  const begun = await verifyFirst(fixture, run, model)
  const trained = await verifyTraining(fixture, run, model)
  const errors = { ...trained.errors, ...begun.errors }
  const spikes = begun.spikes && trained.spikes
  const passed = spikes && Object.entries(errors).every(([name, error]) => error <= limitOf(name))
  return { fixture: fixture.name, run: run.name, precision: 'f64', spikes, errors, limits: EPROP_LIMITS, passed }
}

/** What is known of a run, or of a part of it. */
type Part = Pick<EpropRow, 'spikes' | 'errors'>

/** The first batch before any update: spikes and gradient. */
async function verifyFirst(fixture: EpropFixture, run: EpropRun, model: Model): Promise<Part> {
  const batch = batchOf(fixture, sequencesOf(fixture, run, 1))
  const options = { loss: lossOf(fixture), regulariser: regulariserOf(fixture) }
  const { projections } = await gradients(model, batch, { rule: ruleOf(fixture), ...options })
  const errors = {
    ...normErrors('gradient', run.gradientNorms, name => projections[OF[name]]?.values),
    ...outputError(fixture, run, projections[OF.W_out])
  }
  return { spikes: fixture.spikes === undefined || equal(await firstSpikes(model, batch), fixture.spikes), errors }
}

/** All iterations: losses, numbers of spikes and the weights in the end. */
async function verifyTraining(fixture: EpropFixture, run: EpropRun, model: Model): Promise<Part> {
  const task: Task = {
    name: fixture.name,
    loss: lossOf(fixture),
    batch: ({ iteration }) => batchOf(fixture, sequencesOf(fixture, run, iteration))
  }
  const losses: number[] = []
  let spikes = true
  for await (const { iteration, loss, rate } of train(model, task, {
    rule: ruleOf(fixture),
    regulariser: regulariserOf(fixture),
    optimiser: optimiserOf(fixture),
    iterations: fixture.config.iterations,
    batchSize: run.batchSize,
    validateEvery: 0
  })) {
    losses.push(loss)
    spikes &&= sameCount(fixture, run, iteration, rate)
  }
  const weights = normErrors('weights', run.weightNorms, name => model.weights.get(OF[name]).values)
  return { spikes, errors: { ...lossErrors(run, losses), ...weights } }
}

const limitOf = (error: string) => (error === 'loss_tensorflow' ? EPROP_LIMITS.tensorflow : EPROP_LIMITS.others)

/** The file's network: every pair of cells has a synapse. */
function epropNetwork({ config, weights }: EpropFixture): NetworkDescription {
  const { input, neurons, output } = NAMES
  const between = (from: string, to: string, connections: Connections) => ({ from, to, connections })
  return {
    schema: 'mdgl-network/1',
    dt: 1,
    conventions: 'bellec2020',
    inputGain: config.inputGain,
    inputs: [{ name: input, size: config.inputs }],
    populations: [population(config)],
    readouts: [{ name: output, size: config.outputs, timeConstant: config.readoutTimeConstant }],
    projections: [
      between(input, neurons, everyPair(weights.input, false)),
      between(neurons, neurons, everyPair(weights.recurrent, true)),
      between(neurons, output, everyPair(weights.output, false))
    ]
  }
}

const ruleOf = ({ weights }: EpropFixture): Rule => ({ ...rules.eprop, feedback: { weights: weights.feedback } })

function regulariserOf({ config }: EpropFixture): Regulariser | null {
  if (config.regulariserStrength === 0) return null
  return { strength: config.regulariserStrength, targetRate: config.targetRate * 1000 }
}

const optimiserOf = ({ optimiser }: EpropFixture): Optimiser => ({ ...optimiser, l1: 0, rewiring: false })

const lossOf = ({ config: { loss, window } }: EpropFixture): Loss =>
  loss === 'regression' ? { kind: 'squared-error' } : { kind: 'cross-entropy', window }

/**
 * The sequences of an iteration, from 1: the file's first ones at every iteration, or the next ones where it has as many as the
 * iterations of its largest batches need.
 */
function sequencesOf(
  { config, targets, runs }: EpropFixture,
  { name, batchSize }: EpropRun,
  iteration: number
): number[] {
  const largest = Math.max(...runs.map(run => run.batchSize))
  const first = targets.length === largest * config.iterations ? (iteration - 1) * batchSize : 0
  if (first + batchSize > targets.length) {
    throw new FixtureError(`runs.${name} needs ${first + batchSize} sequences; targets has ${targets.length}`)
  }
  return Array.from({ length: batchSize }, (_, i) => first + i)
}

function batchOf({ config, inputs, targets }: EpropFixture, sequences: readonly number[]): Batch {
  const trialOf = new Map(sequences.map((sequence, trial) => [sequence, trial]))
  const events = inputs.flatMap(([sequence, step, unit]): [number, number, number][] => {
    const trial = trialOf.get(sequence)
    return trial === undefined ? [] : [[trial, step, unit]]
  })
  const chosen = sequences.flatMap(sequence => targets[sequence] ?? [])
  return {
    length: config.steps,
    trials: sequences.length,
    inputs: { [NAMES.input]: { events: flatten(events) } },
    targets: config.loss === 'regression' ? Float64Array.from(chosen) : Uint32Array.from(chosen)
  }
}

/** Step and unit of each spike of the batch's first sequence. */
async function firstSpikes(model: Model, batch: Batch): Promise<[number, number][]> {
  const { spikes } = await simulate(model, batch)
  const triples = Array.from({ length: spikes.length / 3 }, (_, i) => [...spikes.subarray(3 * i, 3 * i + 3)])
  return triples.flatMap(([trial = 0, step = 0, unit = 0]): [number, number][] => (trial === 0 ? [[step, unit]] : []))
}

function equal(found: readonly [number, number][], expected: NonNullable<EpropFixture['spikes']>): boolean {
  const ordered = expected.toSorted(([a, b], [c, d]) => a - c || b - d)
  return found.length === ordered.length && found.every(([step, unit], i) => ordered[i]?.join() === `${step},${unit}`)
}

/** Whether an iteration has as many spikes as the file says of its sequences; `rate` in Hz. */
function sameCount({ config }: EpropFixture, run: EpropRun, iteration: number, rate: number): boolean {
  const { spikeCounts, batchSize } = run
  if (spikeCounts === undefined) return true
  const found = Math.round((rate / 1000) * config.neurons * config.steps * batchSize)
  const own = spikeCounts.slice((iteration - 1) * batchSize, iteration * batchSize)
  return found === own.reduce((sum, count) => sum + count, 0)
}

function lossErrors({ losses }: EpropRun, found: readonly number[]): EpropErrors {
  const known = SOURCES.flatMap(source => {
    const expected = losses[source]
    if (expected === undefined) return []
    return [
      [`loss_${source}`, largest(expected.map((value, i) => relative(found[i], value, Math.abs(value))))] as const
    ]
  })
  return Object.fromEntries(known)
}

function normErrors(
  kind: 'gradient' | 'weights',
  expected: AllNorms | undefined,
  values: (name: MatrixName) => ArrayLike<number> | undefined
): EpropErrors {
  if (expected === undefined) return {}
  const errorOf = (name: MatrixName) => {
    const [found, wanted] = [norms(values(name) ?? []), expected[name]]
    // A sum may cancel.
    const scale = Math.max(Math.abs(wanted.sum), wanted.l2)
    return Math.max(relative(found.l2, wanted.l2, wanted.l2), relative(found.sum, wanted.sum, scale))
  }
  return Object.fromEntries(MATRICES.map(name => [`${kind}_${name}`, errorOf(name)]))
}

/** The error of W_out's first gradient, entry by entry and in its norms. */
function outputError(
  { config }: EpropFixture,
  { outputGradient, gradientNorms }: EpropRun,
  found: { pre: Uint32Array; post: Uint32Array; values: ArrayLike<number> } | undefined
): EpropErrors {
  if (outputGradient === undefined || found === undefined) return {}
  const dense = new Float64Array(config.neurons * config.outputs)
  found.pre.forEach((pre, i) => {
    dense[pre * config.outputs + (found.post[i] ?? 0)] = found.values[i] ?? Number.NaN
  })
  const wanted = outputGradient.flat()
  const scale = largest(wanted.map(Math.abs))
  const entries = largest(wanted.map((value, i) => relative(dense[i], value, scale)))
  const inNorms = normErrors('gradient', gradientNorms, () => found.values).gradient_W_out ?? 0
  return { gradient_W_out: Math.max(entries, inNorms) }
}

function norms(values: ArrayLike<number>): Norms {
  const all = Array.from(values)
  const sum = (numbers: readonly number[]) => numbers.reduce((total, value) => total + value, 0)
  return { l2: Math.sqrt(sum(all.map(value => value * value))), sum: sum(all) }
}

/** What is not there, or is no number, is infinitely wrong. */
function relative(found: number | undefined, expected: number, scale: number): number {
  const difference = Math.abs((found ?? Number.NaN) - expected)
  if (difference === 0) return 0
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference / scale
}

const largest = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0)
