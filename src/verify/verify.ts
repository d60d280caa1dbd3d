import { Model } from '../model/model.js'
import type { Evaluation } from '../operations/evaluate.js'
import { gradients } from '../operations/gradients.js'
import { simulate } from '../operations/simulate.js'
import type { RuleName } from '../rule/rule.js'
import type { Precision } from '../support/precision.js'
import type { Fixture, Reference } from './fixture.js'
import {
  fixtureBatch,
  fixtureLoss,
  fixtureNetwork,
  fixtureRegulariser,
  flatten,
  NAMES,
  PROJECTIONS
} from './network.js'
import { FixtureError } from './shape.js'

/** The largest relative error allowed. */
const LIMITS: Readonly<Record<Precision, number>> = { f64: 1e-9, f32: 1e-4 }

/** Relative errors of the loss, of the last readout and of each gradient, relative to the largest entry. */
export interface Errors {
  /** The worst of task, regulariser and total. */
  readonly loss: number
  /** Where the file has the readouts of the last step. */
  readonly y_last?: number
  readonly W_in: number
  readonly W_rec: number
  readonly W_out: number
  readonly b_out: number
}

/** How one rule at one precision compares with the file. */
export interface Row {
  readonly fixture: string
  readonly rule: RuleName
  readonly precision: Precision
  /** Whether every spike is where the file has one, and nowhere else. */
  readonly spikes: boolean
  readonly errors: Errors
  readonly limit: number
  readonly passed: boolean
}

/** Holds a fixture against the engine: a row for each rule and precision. */
export async function verifyFixture(fixture: Fixture): Promise<Row[]> {
  const rows: Row[] = []
  for (const precision of ['f64', 'f32'] as const) rows.push(...(await verifyAt(fixture, precision)))
  return rows
}

async function verifyAt(fixture: Fixture, precision: Precision): Promise<Row[]> {
  const model = Model.create(fixtureNetwork(fixture), { precision })
  try {
    return await rowsOf(fixture, model, precision)
  } finally {
    model.dispose()
  }
}

async function rowsOf(fixture: Fixture, model: Model, precision: Precision): Promise<Row[]> {
  model.bias.set(NAMES.output, Float64Array.from(fixture.weights.bias))
  const batch = fixtureBatch(fixture)
  const options = { loss: fixtureLoss(fixture), regulariser: fixtureRegulariser(fixture) }
  const limit = LIMITS[precision]

  const { spikes: found, readout } = await simulate(model, batch)
  const spikes = equal(found, flatten(fixture.spikes))
  const last = fixture.lastReadout && { y_last: relative(lastSteps(readout, fixture), fixture.lastReadout.flat()) }
  const rows: Row[] = []
  for (const reference of fixture.gradients) {
    const { evaluation, projections, bias } = await gradients(model, batch, { rule: reference.rule, ...options })
    const errors = {
      loss: lossError(evaluation, fixture.loss),
      ...last,
      W_in: synapseError(projections[PROJECTIONS.input], reference.input, 'W_in'),
      W_rec: synapseError(projections[PROJECTIONS.recurrent], reference.recurrent, 'W_rec'),
      W_out: synapseError(projections[PROJECTIONS.output], reference.output, 'W_out'),
      b_out: relative(bias[NAMES.output] ?? [], reference.bias)
    }
    const passed = spikes && Object.values(errors).every(error => error <= limit)
    rows.push({ fixture: fixture.name, rule: reference.rule, precision, spikes, errors, limit, passed })
  }
  return rows
}

function lossError({ loss, regulariser }: Evaluation, reference: Fixture['loss']): number {
  const { task, total = reference.task + reference.regulariser } = reference
  return Math.max(
    relative([loss], [task]),
    relative([regulariser], [reference.regulariser]),
    relative([loss + regulariser], [total])
  )
}

/** The readouts of each trial's last step. */
function lastSteps(readout: ArrayLike<number>, { config: { trials, steps, outputs } }: Fixture): number[] {
  return Array.from({ length: trials * outputs }, (_, i) => {
    const trial = Math.floor(i / outputs)
    return readout[((trial + 1) * steps - 1) * outputs + (i % outputs)] ?? Number.NaN
  })
}

/** The gradient of a projection, synapse by synapse. */
interface Synapses {
  readonly pre: Uint32Array
  readonly post: Uint32Array
  readonly values: ArrayLike<number>
}

/** Compares wherever the network has a synapse and the file a value. */
function synapseError(found: Synapses | undefined, reference: Reference, name: string): number {
  if (found === undefined) throw new FixtureError(`${name} has no gradient`)
  const synapses = Array.from(found.pre, (pre, i) => ({
    own: found.values[i] ?? Number.NaN,
    at: reference.at(pre, found.post[i] ?? -1)
  }))
  const known = synapses.filter(({ at }) => at !== undefined)
  if (known.length === 0 && synapses.length > 0)
    throw new FixtureError(`${name} has a gradient at none of its synapses`)
  return relative(
    known.map(({ own }) => own),
    known.map(({ at }) => at ?? Number.NaN)
  )
}

/** The largest difference over the largest reference value; where that is 0, anything else than 0 is infinitely wrong. */
function relative(found: ArrayLike<number>, reference: readonly number[]): number {
  const scale = reference.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
  const difference = reference.reduce((largest, value, i) => {
    const own = Math.abs((found[i] ?? Number.NaN) - value)
    return Number.isNaN(own) ? Number.POSITIVE_INFINITY : Math.max(largest, own)
  }, 0)
  return difference === 0 ? 0 : difference / scale
}

function equal(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
