import { expandModulation, type Modulation } from './channels.js'
import { isObject, object, orDefault, record, text } from './check.js'
import type {
  Channel,
  Connections,
  Conventions,
  Initialise,
  InputGain,
  InputPopulation,
  NetworkDescription,
  Population,
  PseudoDerivative,
  PseudoDerivativeShape,
  Readout,
  Sheet
} from './description.js'
import { invalid } from './error.js'
import { guard, native } from './native.js'
import {
  addChannel,
  addInput,
  addPopulation,
  addProjection,
  addReadout,
  addType,
  type Draft,
  emptyDraft,
  find
} from './normalise.js'
import { pack, unpack } from './number-lists.js'

/** Options of {@link network}. */
export interface NetworkOptions {
  /** Step in ms. Default 1. */
  readonly dt?: number
  /** Seed of connectivity and initial weights: a whole number of at least 0. Default 1. */
  readonly seed?: number
  /** Whose equations the network follows. Default `'mdgl2021'`. */
  readonly conventions?: Conventions
  /** What scales the input of a cell; with conventions `'bellec2020'` only. Default `'one-minus-alpha'`. */
  readonly inputGain?: InputGain
  /** The pseudo-derivative of its cells; a shape alone has its own steepness. Default `'triangular'`. */
  readonly pseudoDerivative?: PseudoDerivative | PseudoDerivativeShape
  /** Where its cells sit, for what diffuses. Default: a square with random positions, see {@link Sheet}. */
  readonly sheet?: Sheet
}

/** Options of an input population. */
export type InputOptions = Omit<InputPopulation, 'name' | 'size'>
/** Parameters of LIF neurons. */
export type LifOptions = Omit<AlifOptions, 'adaptationTimeConstant' | 'adaptationStrength'>
/** Parameters of ALIF neurons. */
export type AlifOptions = Omit<CubaAlifOptions, 'synapticTimeConstant'>
/** Parameters of current-based LIF neurons. */
export type CubaLifOptions = Omit<CubaAlifOptions, 'adaptationTimeConstant' | 'adaptationStrength'>
/** Parameters of current-based ALIF neurons. */
export type CubaAlifOptions = Omit<Population, 'name' | 'size' | 'model'>
/** Parameters of rate units. */
export type RateOptions = Pick<Population, 'sign' | 'membraneTimeConstant'>
/** Options of a readout. */
export type ReadoutOptions = Omit<Readout, 'name' | 'size'>

/** Which units of a population belong to a type: all, a list of indices, or a range `[from, to)`. */
export type Units =
  | 'all'
  | readonly number[]
  | {
      /** First unit. */
      readonly from: number
      /** The one past the last. */
      readonly to: number
    }

/** Options common to all projections. */
export interface ProjectionBase {
  /** Unique among projections. Default `from->to`. */
  readonly name?: string
  /**
   * In ms, rounded to whole steps of `dt`, at least one: a spike of step t drives its target at step t + d. Default one step. Only projections
   * between populations have more, up to 10 000 steps; of these, what arrives along a synapse by a modulatory channel meets the
   * eligibility of d steps before.
   */
  readonly delay?: number
  /** Whether training changes it. Default true. */
  readonly plastic?: boolean
}

/** A projection drawn by density. */
export interface DrawnProjection extends ProjectionBase {
  /** Fraction of the pairs to draw (with replacement), in (0, 1]; 1 takes every pair. */
  readonly density: number
  /** Initial weights. Default `{scheme: 'balanced'}`. */
  readonly initialise?: Initialise
  /** Not with a density. */
  readonly connections?: never
}

/** A projection given synapse by synapse. */
export interface ListedProjection extends ProjectionBase {
  /** The synapses. */
  readonly connections: Connections
  /** Not with a list. */
  readonly density?: never
  /** Not with a list. */
  readonly initialise?: never
}

/** Options of a projection: a density or a list. */
export type ProjectionOptions = DrawnProjection | ListedProjection

/** Type names: those declared, or else one per population. */
export type TypeNames<Types extends string, Populations extends string> = [Types] extends [never] ? Populations : Types

/** Where a projection from `From` may go: inputs reach populations only. */
export type TargetsOf<
  From extends string,
  Inputs extends string,
  Populations extends string,
  Readouts extends string
> = From extends Inputs ? Populations : Populations | Readouts

/** The name of a projection: its own, or `from->to`. */
export type ProjectionName<From extends string, To extends string, Options> = Options extends {
  /** Its own name. */
  readonly name: infer Name extends string
}
  ? Name
  : `${From}->${To}`

/**
 * Starts a network.
 *
 * @example
 * ```ts
 * const description = network({ seed: 1 })
 *   .input('cues', 40)
 *   .alif('cells', 100)
 *   .readout('choice', 2)
 *   .project('cues', 'cells', { density: 0.1 })
 *   .project('cells', 'cells', { density: 0.1 })
 *   .project('cells', 'choice', { density: 0.1 })
 *   .build();
 * ```
 * @param options - Step, seed, conventions and pseudo-derivative.
 * @returns A builder; its methods return a new builder and leave the old one as it was.
 * @throws {@link MdglError} `'invalid'` for a step that is not above 0, a seed that is not a whole number, unknown conventions, an
 * input gain without the conventions that know one, a pseudo-derivative of unknown shape or a steepness that is not above 0, or an
 * unknown option.
 */
export function network(options: NetworkOptions = {}): NetworkBuilder<never, never, never, never, never> {
  record(options, 'options', ['dt', 'seed', 'conventions', 'inputGain', 'pseudoDerivative', 'sheet'])
  return new NetworkBuilder(emptyDraft(options))
}

/**
 * Builds a {@link NetworkDescription} part by part. Names given so far are known to the type system, a union per kind of part: a
 * misspelt one is a compile error. Every method throws {@link MdglError} `'invalid'` at once for a value that is not allowed.
 * A network that is built in a loop has the type {@link AnyNetworkBuilder}.
 */
export class NetworkBuilder<
  Inputs extends string,
  Populations extends string,
  Readouts extends string,
  Types extends string,
  Projections extends string
> {
  readonly #draft: Draft

  /** Use {@link network}. */
  constructor(draft: Draft) {
    this.#draft = draft
  }

  /**
   * Adds an input population.
   *
   * @param name - Unique among inputs, populations and readouts.
   * @param size - Number of units.
   * @param options - Sign of the outgoing weights.
   */
  input<Name extends string>(
    name: Name,
    size: number,
    options: InputOptions = {}
  ): NetworkBuilder<Inputs | Name, Populations, Readouts, Types, Projections> {
    return new NetworkBuilder(addInput(this.#draft, { ...partOptions(options, ['name', 'size', 'model']), name, size }))
  }

  /**
   * Adds leaky integrate-and-fire neurons.
   *
   * @param name - Unique among inputs, populations and readouts.
   * @param size - Number of neurons.
   * @param options - Parameters, each a number or one value per neuron.
   */
  lif<Name extends string>(
    name: Name,
    size: number,
    options: LifOptions = {}
  ): NetworkBuilder<Inputs, Populations | Name, Readouts, Types, Projections> {
    return new NetworkBuilder(
      addPopulation(this.#draft, { ...partOptions(options, ['name', 'size', 'model']), name, size, model: 'lif' })
    )
  }

  /**
   * Adds LIF neurons whose threshold adapts.
   *
   * @param name - Unique among inputs, populations and readouts.
   * @param size - Number of neurons.
   * @param options - Parameters, each a number or one value per neuron; an adaptation strength of 0 makes a neuron LIF.
   */
  alif<Name extends string>(
    name: Name,
    size: number,
    options: AlifOptions = {}
  ): NetworkBuilder<Inputs, Populations | Name, Readouts, Types, Projections> {
    return new NetworkBuilder(
      addPopulation(this.#draft, { ...partOptions(options, ['name', 'size', 'model']), name, size, model: 'alif' })
    )
  }

  /**
   * Adds current-based LIF neurons, whose input is a synaptic current that decays; see {@link Population}.
   *
   * @example
   * ```ts
   * const description = network().cubaLif('cells', 60, { synapticTimeConstant: 10 }).build();
   * ```
   * @param name - Unique among inputs, populations and readouts.
   * @param size - Number of neurons.
   * @param options - Parameters, each a number or one value per neuron; a synaptic time constant of 0 makes a neuron LIF.
   */
  cubaLif<Name extends string>(
    name: Name,
    size: number,
    options: CubaLifOptions = {}
  ): NetworkBuilder<Inputs, Populations | Name, Readouts, Types, Projections> {
    return new NetworkBuilder(
      addPopulation(this.#draft, { ...partOptions(options, ['name', 'size', 'model']), name, size, model: 'cuba-lif' })
    )
  }

  /**
   * Adds current-based LIF neurons whose threshold adapts; see {@link Population}.
   *
   * @param name - Unique among inputs, populations and readouts.
   * @param size - Number of neurons.
   * @param options - Parameters, each a number or one value per neuron; an adaptation strength of 0 makes a neuron current-based LIF.
   */
  cubaAlif<Name extends string>(
    name: Name,
    size: number,
    options: CubaAlifOptions = {}
  ): NetworkBuilder<Inputs, Populations | Name, Readouts, Types, Projections> {
    return new NetworkBuilder(
      addPopulation(this.#draft, { ...partOptions(options, ['name', 'size', 'model']), name, size, model: 'cuba-alif' })
    )
  }

  /**
   * Adds leaky ReLU units, which send max(0, v) and no spikes; see {@link Population}.
   *
   * @param name - Unique among inputs, populations and readouts.
   * @param size - Number of units.
   * @param options - Sign and membrane time constant (default 100 ms), a number or one value per unit.
   */
  rate<Name extends string>(
    name: Name,
    size: number,
    options: RateOptions = {}
  ): NetworkBuilder<Inputs, Populations | Name, Readouts, Types, Projections> {
    return new NetworkBuilder(
      addPopulation(this.#draft, { ...partOptions(options, ['name', 'size', 'model']), name, size, model: 'rate' })
    )
  }

  /**
   * Adds a leaky readout.
   *
   * @param name - Unique among inputs, populations and readouts.
   * @param size - Number of units.
   * @param options - Time constant and bias.
   */
  readout<Name extends string>(
    name: Name,
    size: number,
    options: ReadoutOptions = {}
  ): NetworkBuilder<Inputs, Populations, Readouts | Name, Types, Projections> {
    return new NetworkBuilder(
      addReadout(this.#draft, { ...partOptions(options, ['name', 'size', 'model']), name, size })
    )
  }

  /**
   * Adds a cell type. Once there is one, the types together must hold every neuron exactly once; without any, every
   * population is a type of its own name.
   *
   * @param name - Unique among types.
   * @param members - Units of each population; `{}` for an empty type.
   */
  type<Name extends string>(
    name: Name,
    members: { readonly [P in Populations]?: Units }
  ): NetworkBuilder<Inputs, Populations, Readouts, Types | Name, Projections> {
    object(members, `types.${text(name, 'types.name')}`)
    const listed = Object.entries<Units | undefined>(members).map(([population, units]) =>
      this.#members(name, population, orDefault(units, 'all'))
    )
    return new NetworkBuilder(addType(this.#draft, { name, members: listed }))
  }

  /**
   * Adds synapses from one population to another.
   *
   * @param from - An input or a population.
   * @param to - A population, or a readout (from populations only).
   * @param options - A density or a list of connections, and more.
   */
  project<
    From extends Inputs | Populations,
    To extends TargetsOf<From, Inputs, Populations, Readouts>,
    const Options extends ProjectionOptions
  >(
    from: From,
    to: To,
    options: Options
  ): NetworkBuilder<Inputs, Populations, Readouts, Types, Projections | ProjectionName<From, To, Options>> {
    return new NetworkBuilder(addProjection(this.#draft, { ...partOptions(options, ['from', 'to']), from, to }))
  }

  /**
   * Adds a neuromodulatory channel. Without any, a network has a mean-weight channel along the synapses for every
   * ordered pair of types.
   *
   * @param channel - Secreting type, receiving type, gain (default `'mean-weight'`), reach (default `'synaptic'`) and kernel
   * (default `'none'`).
   */
  channel(
    channel: Pick<Channel<TypeNames<Types, Populations>>, 'from' | 'to'> & Partial<Channel>
  ): NetworkBuilder<Inputs, Populations, Readouts, Types, Projections> {
    object(channel, 'channels')
    const { from, to, name = `${from}->${to}`, gain = 'mean-weight', reach = 'synaptic', kernel = 'none' } = channel
    return new NetworkBuilder(addChannel(this.#draft, { ...channel, from, to, name, gain, reach, kernel }))
  }

  /**
   * Adds the channels that ligands and receptors make; see {@link expandModulation}.
   *
   * @param modulation - Which type secretes which ligand, and which type bears which receptors.
   */
  modulation(
    modulation: Modulation<TypeNames<Types, Populations>>
  ): NetworkBuilder<Inputs, Populations, Readouts, Types, Projections> {
    return new NetworkBuilder(expandModulation(modulation).reduce(addChannel, this.#draft))
  }

  /**
   * Finishes the description.
   *
   * @returns Plain JSON with every default filled in, deeply frozen; its {@link Connections} are copies.
   * @throws {@link MdglError} `'invalid'` where the parts do not fit together, for instance types that are no partition.
   */
  build(): NetworkDescription<{
    /** Its inputs. */
    input: Inputs
    /** Its populations. */
    population: Populations
    /** Its readouts. */
    readout: Readouts
    /** Its cell types. */
    type: TypeNames<Types, Populations>
    /** Its projections. */
    projection: Projections
  }> {
    const { json, lists } = pack(this.#draft)
    guard(() => native.checkNetwork({ json, lists }))
    return unpack({ json, lists: lists.map(list => list.slice()) }) as NetworkDescription<never>
  }

  #members(type: string, name: string, units: Units) {
    const population = find(this.#draft.populations, name, `types.${type}`)
    const path = `types.${type}.${name}`
    if (units === 'all') return { population: name }
    if (isList(units)) return { population: name, units }
    if (!isObject(units)) throw invalid(path, units, "'all', an array of units, or a range")
    record(units, path, ['from', 'to'])
    return { population: name, units: range(units.from, units.to, population.size, path) }
  }
}

/**
 * A builder of parts whose names the compiler does not know: the type of a network that is built in a loop. Every name is
 * allowed; one that is misspelt is an error when the program runs.
 *
 * @example
 * ```ts
 * const layers = ['L23', 'L4', 'L5', 'L6'];
 * let builder: AnyNetworkBuilder = network({ seed: 1 });
 * for (const layer of layers) builder = builder.lif(layer, 20);
 * for (const from of layers) for (const to of layers) builder = builder.project(from, to, { density: 0.1 });
 * const description = builder.build();
 * ```
 */
export type AnyNetworkBuilder = NetworkBuilder<string, string, string, string, string>

/** The options of a part, without what the method and its other arguments say. */
function partOptions<O extends object>(options: O, said: readonly string[]): O {
  object(options, 'options')
  const twice = said.find(key => Object.hasOwn(options, key))
  if (twice !== undefined)
    throw invalid(`options.${twice}`, Reflect.get(options, twice), 'nothing: the method gives it')
  return options
}

function isList(units: Units): units is readonly number[] {
  return isObject(units) && Array.isArray(units)
}

function range(from: number, to: number, size: number, path: string): number[] {
  const valid = Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= size
  const given = typeof from === 'number' && typeof to === 'number' ? `${from} to ${to}` : { from, to }
  if (!valid) throw invalid(path, given, `an ascending range within 0 to ${size}`)
  return Array.from({ length: to - from }, (_, i) => from + i)
}
