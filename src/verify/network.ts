import type { Connections, NetworkDescription, Population } from '../network/description.js'
import type { AlifOptions } from '../network/neurons.js'
import type { Batch, Loss, Regulariser } from '../task/batch.js'
import type { Event, Fixture, FixtureConfig } from './fixture.js'

/** Names of the parts of a fixture's network. */
export const NAMES = {
  input: 'input',
  neurons: 'neurons',
  output: 'output'
} as const

/** Names of its projections. */
export const PROJECTIONS = {
  input: `${NAMES.input}->${NAMES.neurons}`,
  recurrent: `${NAMES.neurons}->${NAMES.neurons}`,
  output: `${NAMES.neurons}->${NAMES.output}`
} as const

const STEP_MS = 1
const STEPS_PER_SECOND = 1000 / STEP_MS

/** The constants of a file's neurons, whichever its schema. */
type NeuronConfig = Pick<FixtureConfig, 'neurons'> & Required<Omit<AlifOptions, 'sign' | 'noise' | 'currents'>>

/** The neurons of a file of either schema. */
export function population(config: NeuronConfig): Population {
  return {
    name: NAMES.neurons,
    size: config.neurons,
    model: 'alif',
    threshold: config.threshold,
    dampening: config.dampening,
    refractoryPeriod: config.refractoryPeriod,
    membraneTimeConstant: config.membraneTimeConstant,
    adaptationTimeConstant: config.adaptationTimeConstant,
    adaptationStrength: config.adaptationStrength
  }
}

/** The fixture's network: a synapse wherever a weight is not 0. */
export function fixtureNetwork({ config, types, weights }: Fixture): NetworkDescription {
  const { input, neurons, output } = NAMES
  return {
    schema: 'mdgl-network/1',
    dt: STEP_MS,
    inputs: [{ name: input, size: config.inputs }],
    populations: [population(config)],
    readouts: [{ name: output, size: config.outputs, timeConstant: config.readoutTimeConstant, bias: true }],
    types: Array.from({ length: config.types }, (_, type) => ({
      name: `type ${type}`,
      members: [{ population: neurons, units: indicesOf(types, type) }].filter(({ units }) => units.length > 0)
    })),
    projections: [
      { from: input, to: neurons, connections: nonZero(weights.input) },
      { from: neurons, to: neurons, connections: nonZero(weights.recurrent) },
      { from: neurons, to: output, connections: nonZero(weights.output) }
    ]
  }
}

/** The fixture's trials. */
export function fixtureBatch({ config, inputs, targets }: Fixture): Batch {
  return {
    length: config.steps * STEP_MS,
    trials: config.trials,
    inputs: { [NAMES.input]: { events: flatten(inputs) } },
    targets
  }
}

/** The fixture's loss. */
export function fixtureLoss({ config }: Fixture): Loss {
  return config.loss === 'regression'
    ? { kind: 'squared-error' }
    : { kind: 'cross-entropy', window: config.window * STEP_MS }
}

/** The fixture's regulariser, or null. */
export function fixtureRegulariser({ config }: Fixture): Regulariser | null {
  if (config.regulariserStrength === 0) return null
  return { strength: config.regulariserStrength, targetRate: config.targetRate * STEPS_PER_SECOND }
}

/** Events in order of trial, step and unit, three numbers each. */
export function flatten(events: readonly Event[]): Uint32Array {
  const ordered = events.toSorted(([a, b, c], [d, e, f]) => a - d || b - e || c - f)
  return Uint32Array.from(ordered.flat())
}

function indicesOf(types: readonly number[], type: number): number[] {
  return types.flatMap((own, unit) => (own === type ? [unit] : []))
}

/** Every pair but a neuron with itself, those without a weight among them. */
export function everyPair(matrix: readonly number[][], recurrent: boolean): Connections {
  const pairs = matrix.flatMap((row, pre) => row.map((value, post) => ({ pre, post, value })))
  return listed(recurrent ? pairs.filter(({ pre, post }) => pre !== post) : pairs)
}

function nonZero(matrix: readonly number[][]): Connections {
  const synapses = matrix.flatMap((row, pre) =>
    row.flatMap((value, post) => (value === 0 ? [] : [{ pre, post, value }]))
  )
  return listed(synapses)
}

function listed(synapses: readonly { pre: number; post: number; value: number }[]): Connections {
  return {
    pre: synapses.map(({ pre }) => pre),
    post: synapses.map(({ post }) => post),
    values: synapses.map(({ value }) => value)
  }
}
