import { askEngine } from '../addon/ask-engine.js'
import { native } from '../addon/native.js'
import {
  array,
  flag,
  list,
  nonNegative,
  numbers,
  object,
  oneOf,
  orDefault,
  positive,
  record,
  text,
  wholeNumber,
  within
} from '../support/check.js'
import { invalid } from '../support/error.js'
import { deepFreeze } from '../support/freeze.js'
import { plainCopy, plainText } from '../support/plain.js'
import { drawn } from './connectivity.js'
import { injected } from './currents.js'
import { delays } from './delays.js'
import type {
  CellType,
  Channel,
  Connections,
  InputGain,
  InputPopulation,
  Kernel,
  NetworkDescription,
  Parameter,
  Population,
  Projection,
  PseudoDerivative,
  Readout,
  Sheet,
  Sign,
  WholeDescription,
  WholeProjection
} from './description.js'
import { roundToSteps, timeConstant, timeConstantOrNone } from './duration.js'
import { finiteNumbers, indices } from './number-lists.js'

const MOST_UNITS = 2 ** 24

/** Each neuron model and its parameters, in a description's order. Must agree with the engine's. */
const MODELS: Readonly<Record<Population['model'], readonly ParameterName[]>> = {
  lif: ['membraneTimeConstant', 'threshold', 'refractoryPeriod', 'dampening'],
  alif: [
    'membraneTimeConstant',
    'threshold',
    'refractoryPeriod',
    'dampening',
    'adaptationTimeConstant',
    'adaptationStrength'
  ],
  rate: ['membraneTimeConstant'],
  'cuba-lif': ['membraneTimeConstant', 'synapticTimeConstant', 'threshold', 'refractoryPeriod', 'dampening'],
  'cuba-alif': [
    'membraneTimeConstant',
    'synapticTimeConstant',
    'threshold',
    'refractoryPeriod',
    'dampening',
    'adaptationTimeConstant',
    'adaptationStrength'
  ]
}

/** Default and check of each parameter. */
const PARAMETERS = {
  membraneTimeConstant: { fallback: 20, check: timeConstantOrNone },
  synapticTimeConstant: { fallback: 5, check: timeConstantOrNone },
  threshold: { fallback: 0.01, check: (value, _, path) => positive(value, path) },
  refractoryPeriod: { fallback: 5, check: roundToSteps },
  dampening: { fallback: 0.3, check: (value, _, path) => nonNegative(value, path) },
  adaptationTimeConstant: { fallback: 2000, check: timeConstantOrNone },
  adaptationStrength: { fallback: 1.8, check: (value, _, path) => nonNegative(value, path) }
} satisfies { [name: string]: { fallback: number; check: Check } }

const RATE_TIME_CONSTANT = 100

/** A description in the making: every part checked and complete. */
export interface Draft {
  readonly schema: 'mdgl-network/1'
  readonly dt: number
  readonly seed: number
  readonly conventions?: 'bellec2020'
  readonly inputGain?: InputGain
  readonly pseudoDerivative?: PseudoDerivative
  readonly sheet?: Sheet
  readonly inputs: readonly InputPopulation[]
  readonly populations: readonly Population[]
  readonly readouts: readonly Readout[]
  readonly types?: readonly CellType[]
  readonly projections: readonly WholeProjection[]
  readonly channels?: readonly Channel[]
}

/** A description without parts. */
export function emptyDraft(
  given: Pick<NetworkDescription, 'dt' | 'seed' | 'conventions' | 'inputGain' | 'pseudoDerivative' | 'sheet'>
): Draft {
  return {
    schema: 'mdgl-network/1',
    dt: positive(orDefault(given.dt, 1), 'dt'),
    seed: wholeNumber(orDefault(given.seed, 1), 'seed'),
    ...conventions(given),
    ...pseudoDerivative(given.pseudoDerivative),
    ...sheet(given.sheet),
    inputs: [],
    populations: [],
    readouts: [],
    projections: []
  }
}

/** The usual conventions leave no mark. */
function conventions(given: Pick<NetworkDescription, 'conventions' | 'inputGain'>) {
  const named = oneOf(orDefault(given.conventions, 'mdgl2021'), 'conventions', ['mdgl2021', 'bellec2020'] as const)
  if (named === 'bellec2020') {
    const gains = ['one-minus-alpha', 'one'] as const
    return { conventions: named, inputGain: oneOf(orDefault(given.inputGain, gains[0]), 'inputGain', gains) }
  }
  if (given.inputGain === undefined) return {}
  throw invalid('inputGain', given.inputGain, "nothing without conventions 'bellec2020'")
}

/** The triangle leaves no mark. */
function pseudoDerivative(given: NetworkDescription['pseudoDerivative']): { pseudoDerivative?: PseudoDerivative } {
  const path = 'pseudoDerivative'
  if (given === undefined) return {}
  const named = typeof given === 'string' ? { shape: given } : given
  record(named, path, ['shape', 'steepness'])
  const shapes = ['triangular', 'exponential', 'fast-sigmoid', 'arctangent'] as const
  const shape = oneOf(named.shape, typeof given === 'string' ? path : `${path}.shape`, shapes)
  if (named.steepness === undefined) return shape === 'triangular' ? {} : { pseudoDerivative: { shape } }
  if (shape !== 'triangular') {
    return { pseudoDerivative: { shape, steepness: positive(named.steepness, `${path}.steepness`) } }
  }
  throw invalid(`${path}.steepness`, named.steepness, "nothing with shape 'triangular'")
}

/** As large as its cells need, unless it is said. */
function sheet(given: NetworkDescription['sheet']): { sheet?: Sheet } {
  if (given === undefined) return {}
  record(given, 'sheet', ['width', 'height', 'positions', 'spread'])
  const side = (key: 'width' | 'height') =>
    given[key] === undefined ? {} : { [key]: wholeNumber(given[key], `sheet.${key}`, 1, MOST_UNITS) }
  return {
    sheet: {
      ...side('width'),
      ...side('height'),
      positions: oneOf(orDefault(given.positions, 'random'), 'sheet.positions', [
        'random',
        'sorted',
        'shuffled'
      ] as const),
      spread: within(orDefault(given.spread, 0.75), 'sheet.spread', 0, 1)
    }
  }
}

/** Adds an input population. */
export function addInput(draft: Draft, input: InputPopulation): Draft {
  const path = unitsPath(draft, input.name, 'inputs')
  record(input, path, ['name', 'size', 'sign'])
  const size = wholeNumber(input.size, `${path}.size`, 1, MOST_UNITS)
  const part = { name: input.name, size, sign: sign(orDefault(input.sign, 'free'), size, `${path}.sign`) }
  return { ...draft, inputs: [...draft.inputs, part] }
}

/** Adds a recurrent population. */
export function addPopulation(draft: Draft, given: Population): Draft {
  const path = unitsPath(draft, given.name, 'populations')
  const model = oneOf(given.model, `${path}.model`, keysOf(MODELS))
  const foreign = keysOf(PARAMETERS).find(name => Object.hasOwn(given, name) && !MODELS[model].includes(name))
  if (foreign !== undefined) throw invalid(`${path}.${foreign}`, given[foreign], `not with model '${model}'`)
  record(given, path, ['name', 'size', 'model', 'sign', ...MODELS[model], 'noise', 'currents'])
  if (model !== 'lif' && model !== 'alif' && draft.conventions !== undefined) {
    throw invalid(`${path}.model`, model, `with conventions '${draft.conventions}': 'lif' or 'alif'`)
  }
  const size = wholeNumber(given.size, `${path}.size`, 1, MOST_UNITS)
  const parameters = MODELS[model].map(name => {
    const { fallback, check } = PARAMETERS[name]
    const usual = model === 'rate' ? RATE_TIME_CONSTANT : fallback
    const one = (value: unknown, where: string) => check(value, draft.dt, where)
    return [name, parameter(orDefault(given[name], usual), size, `${path}.${name}`, one)] as const
  })
  const part = {
    name: given.name,
    size,
    model,
    sign: sign(orDefault(given.sign, 'free'), size, `${path}.sign`),
    ...Object.fromEntries(parameters),
    ...injected(given, draft.dt, path)
  }
  return { ...draft, populations: [...draft.populations, part] }
}

function keysOf<K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] {
  return Object.keys(table) as K[]
}

/** Adds a readout. */
export function addReadout(draft: Draft, readout: Readout): Draft {
  const path = unitsPath(draft, readout.name, 'readouts')
  record(readout, path, ['name', 'size', 'timeConstant', 'bias'])
  const biased = draft.conventions === undefined
  const part = {
    name: readout.name,
    size: wholeNumber(readout.size, `${path}.size`, 1, MOST_UNITS),
    timeConstant: timeConstantOrNone(orDefault(readout.timeConstant, 20), draft.dt, `${path}.timeConstant`),
    bias: flag(orDefault(readout.bias, biased), `${path}.bias`)
  }
  if (part.bias && !biased) throw invalid(`${path}.bias`, true, `with conventions '${draft.conventions}': false`)
  return { ...draft, readouts: [...draft.readouts, part] }
}

/** Adds a cell type. */
export function addType(draft: Draft, type: CellType): Draft {
  text(type.name, 'types.name')
  unused(type.name, namesOf(draft.types ?? []), 'types')
  const path = `types.${type.name}`
  record(type, path, ['name', 'members'])
  const members = array(type.members, `${path}.members`).map(member => {
    record(member, `${path}.members`, ['population', 'units'])
    const population = find(draft.populations, member.population, `${path}.population`)
    const where = `${path}.${population.name}`
    const units =
      member.units && Array.from(numbers(member.units, where), unit => wholeNumber(unit, where, 0, population.size - 1))
    return { population: population.name, ...(units !== undefined && { units }) }
  })
  return { ...draft, types: [...(draft.types ?? []), { name: type.name, members }] }
}

/** What a projection has that draws its synapses. */
const DRAWN = ['density', 'probability', 'distance', 'fixedInDegree', 'fixedOutDegree', 'initialise'] as const

/** What pairs a projection may have. */
const PAIRS = ['autapses', 'multapses'] as const

/** Adds a projection. */
export function addProjection(draft: Draft, given: Projection): Draft {
  const [sender, receiver] = [text(given.from, 'projections.from'), text(given.to, 'projections.to')]
  const name = text(orDefault(given.name, `${sender}->${receiver}`), 'projections.name')
  unused(name, namesOf(draft.projections), 'projections')
  const path = `projections.${name}`
  record(given, path, ['name', 'from', 'to', 'connections', ...DRAWN, ...PAIRS, 'delay', 'plastic'])
  const from = find([...draft.inputs, ...draft.populations], given.from, `${path}.from`)
  const fromInput = draft.inputs.some(input => input.name === from.name)
  const to = find([...draft.populations, ...(fromInput ? [] : draft.readouts)], given.to, `${path}.to`)
  const drawnOrListed = synapses(given, from.size, to.size, path)
  const part = {
    name,
    from: from.name,
    to: to.name,
    ...drawnOrListed,
    ...pairs(given, path),
    delay: delays(given.delay, draft.dt, drawnOrListed.connections?.pre.length, `${path}.delay`),
    plastic: flag(orDefault(given.plastic, true), `${path}.plastic`)
  }
  return { ...draft, projections: [...draft.projections, part] }
}

/** Adds a modulatory channel. */
export function addChannel(draft: Draft, channel: Channel): Draft {
  const types = draft.types ?? draft.populations
  const checked = channelBetween(channel, types, 'channels')
  checkKernelTimes(checked.kernel, draft.dt, `channels.${checked.name}.kernel`)
  return { ...draft, channels: [...(draft.channels ?? []), checked] }
}

/** Checks one channel between some types. */
function channelBetween(channel: Channel, types: readonly { name: string }[], parent: string): Channel {
  const path = `${parent}.${text(channel.name, `${parent}.name`)}`
  record(channel, path, ['name', 'from', 'to', 'gain', 'reach', 'kernel'])
  return {
    name: channel.name,
    from: find(types, channel.from, `${path}.from`).name,
    to: find(types, channel.to, `${path}.to`).name,
    ...channelShape(channel, path)
  }
}

/** Checks what a channel does, whatever its types. */
export function channelShape(shape: Pick<Channel, 'gain' | 'reach' | 'kernel'>, path: string) {
  const { gain, reach, kernel } = shape
  const copy = plainCopy({ gain, reach, kernel })
  const complete = () => native.completeChannel(plainText(copy), path)
  return JSON.parse(askEngine({ [path]: copy }, complete)) as Pick<Channel, 'gain' | 'reach' | 'kernel'>
}

/** Refuses time constants of which a step of the network leaves nothing. */
function checkKernelTimes(kernel: Kernel, dt: number, path: string): void {
  if (typeof kernel !== 'object' || !('tauDecay' in kernel)) return
  timeConstant(kernel.tauDecay, dt, `${path}.tauDecay`)
  timeConstantOrNone(kernel.tauRise, dt, `${path}.tauRise`)
}

/** A whole description from plain JSON: every part checked, defaults filled in, frozen. */
export function normalise(given: NetworkDescription): WholeDescription {
  record(given, 'description', [
    'schema',
    'dt',
    'seed',
    'conventions',
    'inputGain',
    'pseudoDerivative',
    'sheet',
    'inputs',
    'populations',
    'readouts',
    'types',
    'projections',
    'channels'
  ])
  oneOf(given.schema, 'description.schema', ['mdgl-network/1'] as const)
  let draft = emptyDraft(given)
  draft = each(given.inputs, 'inputs').reduce(addInput, draft)
  draft = each(given.populations, 'populations').reduce(addPopulation, draft)
  draft = each(given.readouts, 'readouts').reduce(addReadout, draft)
  if (given.types !== undefined) draft = each(given.types, 'types').reduce(addType, { ...draft, types: [] })
  draft = each(given.projections, 'projections').reduce(addProjection, draft)
  if (given.channels !== undefined)
    draft = each(given.channels, 'channels').reduce(addChannel, { ...draft, channels: [] })
  return deepFreeze(draft)
}

/** The entry of a name, or an error that lists the names there are. */
export function find<T extends { readonly name: string }>(parts: readonly T[], name: string, path: string): T {
  const part = parts.find(candidate => candidate.name === name)
  if (part === undefined) throw invalid(path, name, list(namesOf(parts)))
  return part
}

type ParameterName = keyof typeof PARAMETERS
type Check = (value: unknown, dt: number, path: string) => number

function each<T>(parts: readonly T[] | undefined, path: string): readonly T[] {
  if (parts === undefined) return []
  return array(parts, `description.${path}`).map((part, i) => object(part, `description.${path}[${i}]`))
}

function unitsPath(draft: Draft, name: string, kind: string): string {
  text(name, `${kind}.name`)
  unused(name, namesOf([...draft.inputs, ...draft.populations, ...draft.readouts]), kind)
  return `${kind}.${name}`
}

function unused(name: string, taken: readonly string[], kind: string): void {
  if (taken.includes(name)) throw invalid(`${kind}.name`, name, `a name not taken yet; taken are ${list(taken)}`)
}

function namesOf(parts: readonly { readonly name?: string | undefined }[]): string[] {
  return parts.flatMap(part => (part.name === undefined ? [] : [part.name]))
}

function parameter(
  value: Parameter,
  size: number,
  path: string,
  check: (value: unknown, path: string) => number
): Parameter {
  if (typeof value !== 'object' || value === null) return check(value, path)
  const values = numbers(value, path)
  if (values.length !== size) throw invalid(path, value, `one number, or an array of ${size} (one per neuron)`)
  return Array.from(values, (entry, i) => check(entry, `${path}[${i}]`))
}

function sign(value: Sign, size: number, path: string): Sign {
  if (value === 'free' || value === 'excitatory' || value === 'inhibitory') return value
  if (typeof value !== 'object' || value === null) {
    throw invalid(path, value, "'free', 'excitatory', 'inhibitory', {excitatory, inhibitory} or a sign a unit")
  }
  if (Array.isArray(value)) {
    if (value.length !== size) throw invalid(path, value, `an array of ${size} signs (one per unit)`)
    return array(value, path).map((entry, i) => oneOf(entry, `${path}[${i}]`, [1, -1, 0] as const))
  }
  const counts = record(value as Exclude<Sign, string | readonly unknown[]>, path, [
    'excitatory',
    'inhibitory',
    'shuffled'
  ])
  const excitatory = wholeNumber(counts.excitatory, `${path}.excitatory`)
  const inhibitory = wholeNumber(counts.inhibitory, `${path}.inhibitory`)
  if (excitatory + inhibitory !== size) {
    throw invalid(path, value, `excitatory + inhibitory = ${size}, the population's size`)
  }
  return { excitatory, inhibitory, shuffled: flag(orDefault(counts.shuffled, false), `${path}.shuffled`) }
}

function synapses(given: Projection, pre: number, post: number, path: string): Partial<Projection> {
  if (given.connections === undefined) return drawn(given, path)
  const beside = DRAWN.find(name => given[name] !== undefined)
  if (beside !== undefined)
    throw invalid(`${path}.${beside}`, given[beside], 'nothing with connections, which have values of their own')
  return { connections: connections(given.connections, pre, post, `${path}.connections`) }
}

/** What is as usual leaves no mark. */
function pairs(given: Projection, path: string): Partial<Pick<Projection, (typeof PAIRS)[number]>> {
  const asked = PAIRS.filter(key => flag(orDefault(given[key], false), `${path}.${key}`))
  return Object.fromEntries(asked.map(key => [key, true]))
}

function connections(given: Connections, pre: number, post: number, path: string): Connections {
  record(given, path, ['pre', 'post', 'values'])
  const senders = indices(given.pre, pre, `${path}.pre`)
  return {
    pre: senders,
    post: indices(given.post, post, `${path}.post`, senders.length),
    values: finiteNumbers(given.values, `${path}.values`, senders.length)
  }
}
