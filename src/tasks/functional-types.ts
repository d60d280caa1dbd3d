import { Model } from '../model/model.js'
import type {
  CellType,
  Names,
  NamesOf,
  NetworkDescription,
  Population,
  WholeDescription
} from '../network/description.js'
import { completeDescription } from '../network/draft.js'
import { invalid } from '../support/error.js'

const SIGNS = ['inhibitory', 'excitatory'] as const
const MODELS = ['regular', 'adaptive'] as const
const ROLES = ['internal', 'output'] as const

/** The cell types that {@link functionalTypes} makes; a type without cells is left out. */
export type FunctionalType = `${'inhibitory' | 'excitatory'}-${'regular' | 'adaptive'}-${'internal' | 'output'}`

/** The names of a network whose types are functional. */
export type WithFunctionalTypes<N extends Names> = {
  readonly [K in keyof Names]: K extends 'type' ? FunctionalType : N[K]
}

/**
 * Returns the same network, synapse by synapse, with finer cell types: inhibitory or excitatory (the sign of a cell's weights),
 * regular or adaptive (whether its threshold adapts), internal or output (whether it has a synapse on a readout). In
 * the network of Fig. 3C, where every inhibitory cell is regular, they are six: those of Fig. 1 of Liu et al. 2021.
 * Connectivity is drawn from the description's seed to see which cells are output cells.
 *
 * @example
 * ```ts
 * const sixTypes = functionalTypes(evidenceAccumulation().network({ seed: 1 }));
 * console.log(sixTypes.types?.map(({ name }) => name));
 * ```
 * @param description - A network in which every cell has a sign, given in the description.
 * @returns The description with these types in place of its own.
 * @throws {@link MdglError} `'invalid'` for a description that is not allowed, has channels (they name its old types)
 * or cells whose sign is free or shuffled.
 */
export function functionalTypes<const D extends NetworkDescription>(
  description: D
): WholeDescription<WithFunctionalTypes<NamesOf<D>>> {
  const given = completeDescription(description)
  if (given.channels !== undefined) {
    throw invalid('description.channels', given.channels, 'none; they name types that are replaced')
  }
  const outputs = outputCells(given)
  const cells = given.populations.flatMap(population =>
    Array.from({ length: population.size }, (_, unit) => ({
      population: population.name,
      unit,
      sign: signOf(population, unit),
      model: modelOf(population, unit),
      role: outputs.has(key(population.name, unit)) ? 'output' : 'internal'
    }))
  )
  const types = SIGNS.flatMap(sign =>
    MODELS.flatMap(model =>
      ROLES.map(role => {
        const own = cells.filter(cell => cell.sign === sign && cell.model === model && cell.role === role)
        return { name: `${sign}-${model}-${role}`, members: membersOf(own) }
      })
    )
  )
  const inhabited = types.filter(({ members }) => members.length > 0)
  return completeDescription({ ...given, types: inhabited }) as WholeDescription<WithFunctionalTypes<NamesOf<D>>>
}

interface Cell {
  readonly population: string
  readonly unit: number
}

const key = (population: string, unit: number) => JSON.stringify([population, unit])

/** The cells with a synapse on a readout. */
function outputCells(description: NetworkDescription): ReadonlySet<string> {
  const readouts = new Set(description.readouts?.map(({ name }) => name))
  using model = Model.create(description)
  const onReadouts = model.description.projections?.filter(({ to }) => readouts.has(to)) ?? []
  return new Set(
    onReadouts.flatMap(({ name, from, to }) =>
      Array.from(model.weights.get(name ?? `${from}->${to}`).pre, unit => key(from, unit))
    )
  )
}

function signOf({ name, sign }: Population, unit: number): (typeof SIGNS)[number] {
  if (sign === 'excitatory' || sign === 'inhibitory') return sign
  const path = `description.populations.${name}.sign`
  if (sign === undefined || sign === 'free') throw invalid(path, 'free', 'a sign for every cell')
  if ('inhibitory' in sign) {
    if (sign.shuffled === true) throw invalid(path, sign, 'signs that are not shuffled')
    return unit < sign.inhibitory ? 'inhibitory' : 'excitatory'
  }
  const own = sign[unit]
  if (own === 0) throw invalid(`${path}[${unit}]`, own, '1 or -1')
  return own === -1 ? 'inhibitory' : 'excitatory'
}

/** Only adaptive models have a strength, and a checked description has every parameter of its models. */
function modelOf({ adaptationStrength = 0 }: Population, unit: number): (typeof MODELS)[number] {
  const strength = typeof adaptationStrength === 'number' ? adaptationStrength : adaptationStrength[unit]
  return strength === 0 ? 'regular' : 'adaptive'
}

function membersOf(cells: readonly Cell[]): CellType['members'] {
  const populations = [...new Set(cells.map(({ population }) => population))]
  return populations.map(population => ({
    population,
    units: cells.filter(cell => cell.population === population).map(({ unit }) => unit)
  }))
}
