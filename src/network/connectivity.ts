import { finite, isObject, object, oneOf, orDefault, positive, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { ByTypes, Distance, Distribution, Initialise, Projection } from './description.js'

/** The options of which a drawn projection has exactly one. */
const RULES = ['density', 'probability', 'fixedInDegree', 'fixedOutDegree'] as const
const PROFILES = ['gaussian', 'exponential', 'logistic'] as const
const SCHEMES = ['balanced', 'normal', 'lognormal', 'uniform', 'constant', 'by-type'] as const
const SCALINGS = ['none', 'in-degree'] as const

/** The options of a projection that lists no synapses, copied; the engine checks ranges that depend on the network. */
export function drawn(given: Projection, path: string): Partial<Projection> {
  const rules = RULES.filter(rule => given[rule] !== undefined)
  const [rule] = rules
  if (rule === undefined || rules.length > 1) {
    const value = Object.fromEntries(rules.map(name => [name, given[name]]))
    throw invalid(path, value, `connections, or one of ${RULES.join(', ')}`)
  }
  if (given.distance !== undefined && rule !== 'probability')
    throw invalid(`${path}.distance`, given.distance, 'with probability only')
  const usual: Initialise =
    rule === 'density' ? { scheme: 'balanced' } : { scheme: 'normal', standardDeviation: 1, scaling: 'in-degree' }
  return {
    [rule]: READERS[rule](given[rule], `${path}.${rule}`),
    ...(given.distance !== undefined && { distance: distance(given.distance, `${path}.distance`) }),
    initialise: initialise(orDefault(given.initialise, usual), `${path}.initialise`)
  }
}

const READERS = { density, probability, fixedInDegree: degree, fixedOutDegree: degree }

function density(value: unknown, path: string): number {
  const fraction = finite(value, path)
  if (fraction <= 0 || fraction > 1) throw invalid(path, value, 'a number above 0 and at most 1')
  return fraction
}

function probability(value: unknown, path: string): number | ByTypes<number> {
  return isObject(value) ? byTypes(value as ByTypes<unknown>, path, share) : share(value, path)
}

function share(value: unknown, path: string): number {
  const p = finite(value, path)
  if (p < 0 || p > 1) throw invalid(path, value, 'a probability from 0 to 1')
  return p
}

function degree(value: unknown, path: string): number {
  return wholeNumber(value, path, 1)
}

/** A value for each pair of types, the sender's first. */
function byTypes<T, U>(given: ByTypes<T>, path: string, read: (value: T, path: string) => U): ByTypes<U> {
  return Object.fromEntries(
    Object.entries(object(given, path)).map(([from, row]) => [
      from,
      Object.fromEntries(
        Object.entries(object(row, `${path}.${from}`)).map(([to, value]) => [to, read(value, `${path}.${from}.${to}`)])
      )
    ])
  )
}

function distance(given: Distance, path: string): Distance {
  record(given, path, ['profile', 'width', 'midpoint'])
  const { midpoint } = given
  return {
    profile: oneOf(given.profile, `${path}.profile`, PROFILES),
    width: positive(given.width, `${path}.width`),
    ...(midpoint !== undefined && { midpoint: finite(midpoint, `${path}.midpoint`) })
  }
}

function initialise(given: Initialise, path: string): Initialise {
  object(given, path)
  const scheme = oneOf(given.scheme, `${path}.scheme`, SCHEMES)
  if (scheme !== 'by-type') return distribution(given as Distribution, path)
  record(given as Extract<Initialise, { scheme: 'by-type' }>, path, ['scheme', 'pairs'])
  const { pairs } = given as Extract<Initialise, { scheme: 'by-type' }>
  return { scheme, pairs: byTypes(pairs, `${path}.pairs`, distribution) }
}

/** The numbers that each distribution has. */
const NUMBERS = {
  balanced: [],
  normal: ['standardDeviation'],
  lognormal: ['mean', 'standardDeviation'],
  uniform: ['low', 'high'],
  constant: ['value']
} as const

function distribution(given: Distribution, path: string): Distribution {
  object(given, path)
  const scheme = oneOf(given.scheme, `${path}.scheme`, Object.keys(NUMBERS) as (keyof typeof NUMBERS)[])
  const { mean, scaling } = given as { readonly mean?: unknown; readonly scaling?: unknown }
  const names = NUMBERS[scheme]
  const more = [...(scheme === 'normal' ? ['mean'] : []), ...(scheme === 'balanced' ? [] : ['scaling'])]
  const values = record(given as unknown as Readonly<Record<string, unknown>>, path, ['scheme', ...names, ...more])
  return {
    scheme,
    ...(scheme === 'normal' && mean !== undefined && { mean: finite(mean, `${path}.mean`) }),
    ...Object.fromEntries(names.map(name => [name, number(values[name], `${path}.${name}`)])),
    ...(scaling !== undefined && { scaling: oneOf(scaling, `${path}.scaling`, SCALINGS) })
  } as Distribution
}

const number = (value: unknown, path: string) =>
  path.endsWith('.standardDeviation') ? positive(value, path) : finite(value, path)
