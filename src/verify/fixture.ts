import { readFile } from 'node:fs/promises'
import type { RuleName } from '../rule/rule.js'
import { array, FixtureError, field, matrix, number, object, perUnit, type Reader, string, whole } from './shape.js'

/** The schema of fixture files that this version reads. */
export const FIXTURE_SCHEMA = 'mdgl-gradient-fixture/1'

/** The rules of a fixture and what they are called here. */
const RULES = {
  bptt: 'bptt',
  eprop: 'eprop',
  mdgl_cell: 'mdgl-cell',
  mdgl: 'mdgl',
  nl_mdgl: 'nl-mdgl',
  on_mdgl: 'on-mdgl'
} as const satisfies Readonly<Record<string, RuleName>>

/** The parameters of a fixture's network and loss; times in steps of 1 ms. */
export interface FixtureConfig {
  readonly inputs: number
  readonly neurons: number
  readonly outputs: number
  readonly steps: number
  readonly trials: number
  readonly types: number
  readonly threshold: number | number[]
  readonly dampening: number | number[]
  readonly refractoryPeriod: number | number[]
  readonly membraneTimeConstant: number | number[]
  readonly adaptationTimeConstant: number | number[]
  readonly adaptationStrength: number | number[]
  readonly readoutTimeConstant: number
  readonly loss: 'classification' | 'regression'
  readonly window: number
  readonly regulariserStrength: number
  /** Target rate per step. */
  readonly targetRate: number
}

/** A matrix's reference values at some of its entries: `at(pre, post)`, or undefined where the file has none. */
export interface Reference {
  at(pre: number, post: number): number | undefined
}

/** The reference gradients of one rule. */
export interface FixtureGradients {
  readonly rule: RuleName
  readonly input: Reference
  readonly recurrent: Reference
  readonly output: Reference
  readonly bias: readonly number[]
}

/** An event: trial, step, unit. */
export type Event = readonly [trial: number, step: number, unit: number]

/** A fixture file, checked. Matrices are `[pre][post]`. */
export interface Fixture {
  readonly name: string
  readonly config: FixtureConfig
  readonly types: readonly number[]
  readonly weights: {
    readonly input: readonly number[][]
    readonly recurrent: readonly number[][]
    readonly output: readonly number[][]
    readonly bias: readonly number[]
  }
  readonly inputs: readonly Event[]
  readonly spikes: readonly Event[]
  /** A class per trial, or values laid out `[trial][step][unit]`. */
  readonly targets: Uint32Array | Float64Array
  readonly loss: { readonly task: number; readonly regulariser: number; readonly total?: number }
  /** The readouts `[trial][unit]` of the last step, where the file has them. */
  readonly lastReadout?: readonly number[][]
  readonly gradients: readonly FixtureGradients[]
}

/**
 * Reads a file of reference gradients.
 *
 * @throws {@link FixtureError} for a file that cannot be read, is no JSON, has another schema or does not fit together.
 */
export async function readFixture(path: string): Promise<Fixture> {
  return parseFixture(await readJson(path))
}

/** The JSON of a file. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new FixtureError(error.code === 'ENOENT' ? 'there is no such file' : `cannot be read (${error.code})`)
  })
  return parseJson(text)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new FixtureError('is not JSON')
  }
}

/** A fixture from its JSON. */
export function parseFixture(json: unknown): Fixture {
  const root = object(json, 'the file')
  checkSchema(root, FIXTURE_SCHEMA)
  const config = field(root, 'config', '', parseConfig)
  const { inputs, neurons, outputs, steps, trials, types } = config
  const weights = field(root, 'weights', '', object)
  const loss = field(root, 'loss', '', object)
  const index = root.gradient_index == null ? undefined : field(root, 'gradient_index', '', object)
  return {
    name: field(root, 'name', '', string),
    config,
    types: field(root, 'types', '', array(whole(0, types), neurons)),
    weights: {
      input: field(weights, 'W_in', 'weights', matrix(inputs, neurons)),
      recurrent: field(weights, 'W_rec', 'weights', recurrentMatrix(neurons)),
      output: field(weights, 'W_out', 'weights', matrix(neurons, outputs)),
      bias: field(weights, 'b_out', 'weights', array(number, outputs))
    },
    inputs: field(root, 'inputs', '', array(event(trials, steps, inputs))),
    spikes: field(root, 'spikes', '', array(event(trials, steps, neurons))),
    targets: field(root, 'targets', '', targets(config)),
    loss: {
      task: field(loss, 'task', 'loss', number),
      regulariser: field(loss, 'regularizer', 'loss', number),
      ...(loss.total !== undefined && { total: field(loss, 'total', 'loss', number) })
    },
    ...(root.y_last !== undefined && { lastReadout: field(root, 'y_last', '', matrix(trials, outputs)) }),
    gradients: field(root, 'gradients', '', allGradients(config, index))
  }
}

/** The file's schema must be one of those. */
export function checkSchema(root: Readonly<Record<string, unknown>>, ...known: readonly string[]): void {
  const { schema } = root
  if (typeof schema === 'string' && known.includes(schema)) return
  const names = known.map(name => `"${name}"`).join(' and ')
  throw new FixtureError(`has schema ${JSON.stringify(schema) ?? 'none'}; this version reads ${names}`)
}

const parseConfig: Reader<FixtureConfig> = (value, path) => {
  const config = object(value, path)
  const get = <T>(name: string, reader: Reader<T>) => field(config, name, path, reader)
  const neurons = get('n_rec', whole(1))
  const loss = get('loss', string)
  if (loss !== 'classification' && loss !== 'regression') {
    throw new FixtureError(`${path}.loss is '${loss}'; expected 'classification' or 'regression'`)
  }
  return {
    inputs: get('n_in', whole(1)),
    neurons,
    outputs: get('n_out', whole(1)),
    steps: get('n_steps', whole(1)),
    trials: get('n_trials', whole(1)),
    types: get('n_types', whole(1)),
    threshold: get('thr', perUnit(number, neurons)),
    dampening: get('gamma', perUnit(number, neurons)),
    refractoryPeriod: get('n_ref', perUnit(whole(0), neurons)),
    membraneTimeConstant: get('tau_m', perUnit(number, neurons)),
    adaptationTimeConstant: get('tau_a', perUnit(number, neurons)),
    adaptationStrength: get('beta', perUnit(number, neurons)),
    readoutTimeConstant: get('tau_out', number),
    loss,
    window: loss === 'regression' ? 1 : get('window', whole(1)),
    regulariserStrength: get('c_reg', number),
    targetRate: get('f0', number)
  }
}

/** A neuron has no synapse on itself: there is no such network here. */
export function recurrentMatrix(neurons: number): Reader<number[][]> {
  return (value, path) => {
    const rows = matrix(neurons, neurons)(value, path)
    const autapse = rows.findIndex((row, i) => row[i] !== 0)
    if (autapse >= 0)
      throw new FixtureError(`${path}[${autapse}][${autapse}] is not 0: a neuron cannot project to itself`)
    return rows
  }
}

/** An event within so many trials, steps and units. */
export function event(trials: number, steps: number, units: number): Reader<Event> {
  const ends = [trials, steps, units]
  return (value, path) => {
    const triple = array(number, 3)(value, path)
    const [trial = 0, step = 0, unit = 0] = triple.map((entry, i) => whole(0, ends[i])(entry, `${path}[${i}]`))
    return [trial, step, unit]
  }
}

function targets({ loss, trials, steps, outputs }: FixtureConfig): Reader<Uint32Array | Float64Array> {
  if (loss === 'classification') {
    return (value, path) => Uint32Array.from(array(whole(0, outputs), trials)(value, path))
  }
  return (value, path) => Float64Array.from(array(matrix(steps, outputs), trials)(value, path).flat(2))
}

function allGradients(
  config: FixtureConfig,
  index: Readonly<Record<string, unknown>> | undefined
): Reader<FixtureGradients[]> {
  return (value, path) => {
    const entries = Object.entries(object(value, path))
    if (entries.length === 0) throw new FixtureError(`${path} is empty; expected at least one rule`)
    return entries.map(([name, entry]) => parseGradients(name, object(entry, `${path}.${name}`), config, index))
  }
}

function parseGradients(
  name: string,
  from: Readonly<Record<string, unknown>>,
  { inputs, neurons, outputs }: FixtureConfig,
  index: Readonly<Record<string, unknown>> | undefined
): FixtureGradients {
  const path = `gradients.${name}`
  if (!isFixtureRule(name)) {
    throw new FixtureError(`${path} is no rule that is known here (${Object.keys(RULES).join(', ')})`)
  }
  const get = (matrixName: string, rows: number, columns: number) =>
    index === undefined || matrixName === 'W_out'
      ? dense(field(from, matrixName, path, matrix(rows, columns)))
      : listed(from, matrixName, path, field(index, matrixName, 'gradient_index', array(pair(rows, columns))))
  return {
    rule: RULES[name],
    input: get('W_in', inputs, neurons),
    recurrent: get('W_rec', neurons, neurons),
    output: get('W_out', neurons, outputs),
    bias: field(from, 'b_out', path, array(number, outputs))
  }
}

const isFixtureRule = (name: string): name is keyof typeof RULES => Object.hasOwn(RULES, name)

function pair(rows: number, columns: number): Reader<readonly [number, number]> {
  return (value, path) => {
    const [pre, post] = array(number, 2)(value, path)
    return [whole(0, rows)(pre, `${path}[0]`), whole(0, columns)(post, `${path}[1]`)]
  }
}

const dense = (rows: readonly number[][]): Reference => ({ at: (pre, post) => rows[pre]?.[post] })

function listed(
  from: Readonly<Record<string, unknown>>,
  name: string,
  path: string,
  index: readonly (readonly [number, number])[]
): Reference {
  const values = field(from, name, path, array(number, index.length))
  const byPair = new Map(index.map(([pre, post], i) => [`${pre},${post}`, values[i]]))
  return { at: (pre, post) => byPair.get(`${pre},${post}`) }
}
