import { type Event, event, recurrentMatrix } from './fixture.js'
import { array, FixtureError, field, matrix, number, object, perUnit, type Reader, string, whole } from './shape.js'

/** The schema of files of e-prop as published in 2020. */
export const EPROP_SCHEMA = 'eprop2020-fixture/1'

/** The parameters of the network and its training; times in ms, one per step. */
export interface EpropConfig {
  readonly inputs: number
  readonly neurons: number
  readonly outputs: number
  readonly steps: number
  readonly iterations: number
  readonly membraneTimeConstant: number | number[]
  readonly adaptationTimeConstant: number | number[]
  readonly readoutTimeConstant: number
  readonly adaptationStrength: number | number[]
  readonly threshold: number | number[]
  readonly dampening: number | number[]
  readonly refractoryPeriod: number
  readonly inputGain: 'one-minus-alpha' | 'one'
  readonly loss: 'classification' | 'regression'
  /** Steps at the end of a sequence that count. */
  readonly window: number
  readonly regulariserStrength: number
  /** Target rate per step. */
  readonly targetRate: number
}

/** The optimiser. */
export type EpropOptimiser =
  | { readonly kind: 'gradient-descent'; readonly learningRate: number }
  | {
      readonly kind: 'adam'
      readonly learningRate: number
      readonly beta1: number
      readonly beta2: number
      readonly epsilon: number
    }

/** Norms of a matrix. */
export interface Norms {
  readonly l2: number
  readonly sum: number
}

/** The norms of each matrix. */
export type AllNorms = Readonly<Record<MatrixName, Norms>>

/** The matrices of the file. */
export const MATRICES = ['W_in', 'W_rec', 'W_out'] as const

/** The name of a matrix. */
export type MatrixName = (typeof MATRICES)[number]

/** One training with batches of some size, and what is known of it. */
export interface EpropRun {
  readonly name: string
  readonly batchSize: number
  /** Losses before each update, by where they come from. */
  readonly losses: Readonly<Partial<Record<LossSource, readonly number[]>>>
  /** Of the first batch's gradient. */
  readonly gradientNorms?: AllNorms
  /** The first batch's gradient of W_out. */
  readonly outputGradient?: readonly number[][]
  /** Of the weights after the last update. */
  readonly weightNorms?: AllNorms
  /** Spikes of each sequence of each iteration. */
  readonly spikeCounts?: readonly number[]
}

/** Where losses come from. */
export const SOURCES = ['tensorflow', 'nest', 'oracle'] as const

/** Where a loss comes from. */
export type LossSource = (typeof SOURCES)[number]

/** A file, checked. Matrices are `[pre][post]`, feedback is `[neuron][unit]`. */
export interface EpropFixture {
  readonly name: string
  readonly config: EpropConfig
  readonly optimiser: EpropOptimiser
  readonly weights: {
    readonly input: readonly number[][]
    readonly recurrent: readonly number[][]
    readonly output: readonly number[][]
    readonly feedback: readonly number[][]
  }
  /** Sequence, step, unit. */
  readonly inputs: readonly Event[]
  /** A class, or values laid out `[step][unit]`, a sequence. */
  readonly targets: readonly (number | readonly number[])[]
  /** Step and unit of each, in the first sequence of the first iteration. */
  readonly spikes?: readonly (readonly [step: number, unit: number])[]
  readonly runs: readonly EpropRun[]
}

type Fields = Readonly<Record<string, unknown>>

/** A file from its JSON. */
export function parseEpropFixture(json: unknown): EpropFixture {
  const root = object(json, 'the file')
  const config = field(root, 'config', '', parseConfig)
  const { inputs, neurons, outputs, steps } = config
  const weights = field(root, 'weights', '', object)
  const targets = field(root, 'targets', '', parseTargets(config))
  const spike = event(1, steps, neurons)
  return {
    name: field(root, 'name', '', string),
    config,
    optimiser: field(root, 'optimizer', '', parseOptimiser),
    weights: {
      input: field(weights, 'W_in', 'weights', matrix(inputs, neurons)),
      recurrent: field(weights, 'W_rec', 'weights', recurrentMatrix(neurons)),
      output: field(weights, 'W_out', 'weights', matrix(neurons, outputs)),
      feedback: field(weights, 'W_fb', 'weights', matrix(neurons, outputs))
    },
    inputs: field(root, 'inputs', '', array(event(targets.length, steps, inputs))),
    targets,
    ...optional(root, 'spikes_first_sequence', '', 'spikes', (value, path) =>
      array(array(number, 2))(value, path).map((pair, i): [number, number] => {
        const [, step, unit] = spike([0, ...pair], `${path}[${i}]`)
        return [step, unit]
      })
    ),
    runs: field(root, 'runs', '', parseRuns(config))
  }
}

const parseConfig: Reader<EpropConfig> = (value, path) => {
  const config = object(value, path)
  const get = <T>(name: string, reader: Reader<T>) => field(config, name, path, reader)
  const neurons = get('n_rec', whole(1))
  const steps = get('n_steps', whole(1))
  const loss = get('loss', lossKind)
  const window = get('learning_window', whole(1, steps + 1))
  if (loss === 'regression' && window !== steps) {
    throw new FixtureError(`${path}.learning_window is ${window}; expected ${steps}, all steps, for a regression`)
  }
  checkFlags(config, path, loss)
  return {
    inputs: get('n_in', whole(1)),
    neurons,
    outputs: get('n_out', whole(1)),
    steps,
    iterations: get('n_iterations', whole(1)),
    membraneTimeConstant: get('tau_m', perUnit(number, neurons)),
    // Without a number there is no adaptation.
    adaptationTimeConstant: config.tau_a == null ? 1 : get('tau_a', perUnit(number, neurons)),
    readoutTimeConstant: get('tau_out', number),
    adaptationStrength: get('beta', strengths(neurons, config.tau_a != null)),
    threshold: get('thr', perUnit(number, neurons)),
    dampening: get('gamma', perUnit(number, neurons)),
    refractoryPeriod: refractoryPeriod(config, path),
    inputGain: get('input_scale', inputGain),
    loss,
    window,
    regulariserStrength: get('c_reg', number),
    targetRate: get('f_target_per_step', number)
  }
}

/** What this version cannot do otherwise. */
function checkFlags(config: Fields, path: string, loss: EpropConfig['loss']): void {
  for (const [name, expected] of [
    ['reset_term_in_trace', false],
    ['state_reset_each_sequence', true],
    ['autapses', false],
    ['readout_bias', false],
    ['gradient_divided_by_window', loss === 'classification']
  ] as const) {
    if (config[name] !== undefined && config[name] !== expected) {
      throw new FixtureError(`${path}.${name} is ${config[name]}; this version runs ${expected} alone`)
    }
  }
}

const lossKind: Reader<EpropConfig['loss']> = (value, path) => {
  const text = string(value, path)
  const kind = (['classification', 'regression'] as const).find(kind => text.startsWith(kind))
  if (kind === undefined) throw new FixtureError(`${path} is '${text}'; expected 'classification …' or 'regression …'`)
  return kind
}

const inputGain: Reader<EpropConfig['inputGain']> = (value, path) => {
  if (value === '1-alpha') return 'one-minus-alpha'
  if (Number(value) === 1) return 'one'
  throw new FixtureError(`${path} is ${JSON.stringify(value)}; expected '1-alpha' or '1'`)
}

const strengths =
  (neurons: number, adapting: boolean): Reader<number | number[]> =>
  (value, path) => {
    const given = perUnit(number, neurons)(value, path)
    if (!adapting && [given].flat().some(beta => beta !== 0)) {
      throw new FixtureError(`${path} is not 0; expected 0 without config.tau_a`)
    }
    return given
  }

/** A period of n steps blocks n − 1, one of 0 none. */
function refractoryPeriod(config: Fields, path: string): number {
  const blocked = field(config, 'refractory_steps_blocked', path, whole(0))
  if (config.t_ref_nest_ms === undefined) return blocked === 0 ? 0 : blocked + 1
  const period = field(config, 't_ref_nest_ms', path, whole(0))
  if (Math.max(0, period - 1) !== blocked) {
    throw new FixtureError(
      `${path}.t_ref_nest_ms is ${period}, which does not block ${blocked} steps but one fewer than it has`
    )
  }
  return period
}

const parseOptimiser: Reader<EpropOptimiser> = (value, path) => {
  const given = object(value, path)
  const learningRate = field(given, 'eta', path, number)
  const type = field(given, 'type', path, string)
  if (type === 'gradient_descent') return { kind: 'gradient-descent', learningRate }
  if (type !== 'adam') throw new FixtureError(`${path}.type is '${type}'; expected 'gradient_descent' or 'adam'`)
  const get = (names: readonly string[], fallback: number) => {
    const name = names.find(name => given[name] !== undefined)
    return name === undefined ? fallback : field(given, name, path, number)
  }
  return {
    kind: 'adam',
    learningRate,
    beta1: get(['beta_1', 'beta1', 'b1'], 0.9),
    beta2: get(['beta_2', 'beta2', 'b2'], 0.999),
    epsilon: get(['epsilon', 'eps'], 1e-8)
  }
}

function parseTargets({ loss, steps, outputs }: EpropConfig): Reader<(number | number[])[]> {
  return (value, path) => {
    const given = array<unknown>(item => item)(value, path)
    if (given.length === 0) throw new FixtureError(`${path} is empty; expected a target for each sequence`)
    if (loss === 'classification') return given.map((item, i) => classOf(item, `${path}[${i}]`, outputs))
    return sequencesOf(given, steps).map((item, i) => valuesOf(item, `${path}[${i}]`, steps, outputs))
  }
}

/** A class, or its unit vector. */
function classOf(value: unknown, path: string, outputs: number): number {
  if (!Array.isArray(value)) return whole(0, outputs)(value, path)
  const units = array(whole(0, 2), outputs)(value, path)
  if (units.filter(unit => unit === 1).length !== 1) throw new FixtureError(`${path} has not one 1; expected a class`)
  return units.indexOf(1)
}

/** The only sequence stands without a bracket around it. */
function sequencesOf(given: readonly unknown[], steps: number): readonly unknown[] {
  const [first] = given
  const single = !Array.isArray(first) || (given.length === steps && first.length !== steps)
  return single ? [given] : given
}

/** `[step][unit]`, or `[step]` of the only unit. */
function valuesOf(value: unknown, path: string, steps: number, outputs: number): number[] {
  const step: Reader<number[]> = (item, at) =>
    Array.isArray(item) ? array(number, outputs)(item, at) : [oneUnit(outputs)(item, at)]
  return array(step, steps)(value, path).flat()
}

function oneUnit(outputs: number): Reader<number> {
  return (value, path) => {
    if (outputs > 1) throw new FixtureError(`${path} is one number; expected ${outputs}, one per unit`)
    return number(value, path)
  }
}

function parseRuns(config: EpropConfig): Reader<EpropRun[]> {
  return (value, path) => {
    const entries = Object.entries(object(value, path))
    if (entries.length === 0) throw new FixtureError(`${path} is empty; expected at least one run`)
    return entries.map(([name, run]) => parseRun(name, object(run, `${path}.${name}`), `${path}.${name}`, config))
  }
}

function parseRun(name: string, run: Fields, path: string, config: EpropConfig): EpropRun {
  const batchSize = Number(/^batch_([1-9]\d*)$/.exec(name)?.[1])
  if (!Number.isSafeInteger(batchSize)) throw new FixtureError(`${path} is no 'batch_' and a number of sequences`)
  const published = run.expected_loss == null ? {} : field(run, 'expected_loss', path, object)
  const losses = array(number, config.iterations)
  const known = {
    ...optional(published, 'tensorflow', `${path}.expected_loss`, 'tensorflow', losses),
    ...optional(published, 'nest', `${path}.expected_loss`, 'nest', losses),
    ...optional(run, 'oracle_loss', path, 'oracle', losses)
  }
  if (Object.keys(known).length === 0) throw new FixtureError(`${path} has no losses; expected some to compare with`)
  return {
    name,
    batchSize,
    losses: known,
    ...optional(run, 'first_update_gradient_norms', path, 'gradientNorms', parseNorms),
    ...optional(run, 'first_update_gradient_W_out', path, 'outputGradient', matrix(config.neurons, config.outputs)),
    ...optional(run, 'final_weight_norms', path, 'weightNorms', parseNorms),
    ...optional(run, 'spikes_per_sequence', path, 'spikeCounts', counts(config.iterations * batchSize))
  }
}

const parseNorms: Reader<AllNorms> = (value, path) => {
  const all = object(value, path)
  const norms: Reader<Norms> = (entry, at) => {
    const both = object(entry, at)
    return { l2: field(both, 'l2', at, number), sum: field(both, 'sum', at, number) }
  }
  const of = (name: MatrixName) => field(all, name, path, norms)
  return { W_in: of('W_in'), W_rec: of('W_rec'), W_out: of('W_out') }
}

/** One number a sequence, in brackets by iteration or not. */
function counts(length: number): Reader<number[]> {
  return (value, path) => array(whole(0), length)(Array.isArray(value) ? value.flat() : value, path)
}

/** A field that may be absent or null, under a name of its own. */
function optional<T, K extends string>(
  from: Fields,
  name: string,
  path: string,
  as: K,
  reader: Reader<T>
): { readonly [key in K]?: T } {
  return from[name] == null ? {} : ({ [as]: field(from, name, path, reader) } as { readonly [key in K]: T })
}
