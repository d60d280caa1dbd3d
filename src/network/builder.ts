import { array, isObject, orDefault, withoutKeys } from '../support/check.js'
import { invalid } from '../support/error.js'
import { expandModulation, type Modulation } from './channels.js'
import type {
  Channel,
  Connections,
  Conventions,
  Delay,
  InputGain,
  InputPopulation,
  Lesion,
  Projection,
  PseudoDerivative,
  PseudoDerivativeShape,
  Readout,
  Sheet,
  WholeDescription
} from './description.js'
import { Draft } from './draft.js'
import {
  type AlifOptions,
  alif,
  type CubaAlifOptions,
  type CubaLifOptions,
  cubaAlif,
  cubaLif,
  type LifOptions,
  lif,
  type Neurons,
  type RateOptions,
  rate
} from './neurons.js'
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
  /** Delay of its synapses: see {@link Delay}. Default one step. */
  readonly delay?: Delay
  /** Whether neurons may project to themselves; of a population's projection to itself. Default false. */
  readonly autapses?: boolean
  /** Whether a pair may have several synapses: see {@link Projection}. Default false. */
  readonly multapses?: boolean
  /** Whether training changes it. Default true. */
  readonly plastic?: boolean
}

/** The rules by which synapses are drawn. */
type DrawnBy = 'density' | 'probability' | 'fixedInDegree' | 'fixedOutDegree'

/** A projection whose synapses the engine draws, by exactly one rule, with initial weights. */
export type DrawnProjection = ProjectionBase &
  Readonly<Pick<Projection, 'distance' | 'initialise'>> & {
    /** Not beside a rule that draws. */
    readonly connections?: never
  } & {
    [Rule in DrawnBy]: Readonly<Required<Pick<Projection, Rule>>> &
      Readonly<Partial<Record<Exclude<DrawnBy, Rule>, never>>>
  }[DrawnBy]

/** A projection given synapse by synapse: what else would draw them, or their weights, stays out. */
export interface ListedProjection extends ProjectionBase {
  /** The synapses. */
  readonly connections: Connections
  /** Not with a list. */
  readonly density?: never
  /** Not with a list. */
  readonly probability?: never
  /** Not with a list. */
  readonly distance?: never
  /** Not with a list. */
  readonly fixedInDegree?: never
  /** Not with a list. */
  readonly fixedOutDegree?: never
  /** Not with a list. */
  readonly initialise?: never
}

/** Options of a projection: how its synapses are drawn, or a list of them. */
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
  return new NetworkBuilder(Draft.begin(options))
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
    const own = withoutKeys(options, ['name', 'size', 'model'])
    return new NetworkBuilder(this.#draft.add('inputs', { ...own, name, size }))
  }

  /**
   * Adds neurons of a model: {@link lif}, {@link alif}, {@link cubaLif}, {@link cubaAlif} or {@link rate}.
   *
   * @example
   * ```ts
   * const slow = alif({ adaptationTimeConstant: 500, sign: 'excitatory' });
   * const description = network().population('L4', 50, slow).population('L5', 50, slow).build();
   * ```
   * @param name - Unique among inputs, populations and readouts.
   * @param size - Number of neurons.
   * @param neurons - The model and its parameters.
   */
  population<Name extends string>(
    name: Name,
    size: number,
    neurons: Neurons
  ): NetworkBuilder<Inputs, Populations | Name, Readouts, Types, Projections> {
    const own = withoutKeys(neurons, ['name', 'size'], 'neurons')
    return new NetworkBuilder(this.#draft.add('populations', { ...own, name, size }))
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
    return this.population(name, size, lif(options))
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
    return this.population(name, size, alif(options))
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
    return this.population(name, size, cubaLif(options))
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
    return this.population(name, size, cubaAlif(options))
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
    return this.population(name, size, rate(options))
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
    const own = withoutKeys(options, ['name', 'size', 'model'])
    return new NetworkBuilder(this.#draft.add('readouts', { ...own, name, size }))
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
    const all = ([population, units]: [string, Units | undefined]) => [population, orDefault(units, 'all')]
    // What is no object the engine refuses.
    const given =
      isObject(members) && !Array.isArray(members)
        ? Object.fromEntries(Object.entries<Units | undefined>(members).map(all))
        : members
    return new NetworkBuilder(this.#draft.add('types', { name, members: given }))
  }

  /**
   * Adds synapses from one population to another, or from each of several to each of several, a projection per pair.
   *
   * @example
   * ```ts
   * const layers = ['L4', 'L5'] as const;
   * const description = network({ seed: 1 })
   *   .input('cues', 10).population('L4', 20, lif()).population('L5', 20, lif()).readout('choice', 2)
   *   .project('cues', layers, { density: 0.5 })
   *   .project(layers, layers, { density: 0.1 })
   *   .project(layers, 'choice', { density: 1 })
   *   .build();
   * ```
   * @param from - Inputs or populations.
   * @param to - Populations, or readouts (from populations only).
   * @param options - `density`, `probability`, `fixedInDegree`, `fixedOutDegree` or a list of connections, and more; a `name` for a single
   * pair only.
   */
  project<
    From extends Inputs | Populations,
    To extends TargetsOf<From, Inputs, Populations, Readouts>,
    const Options extends ProjectionOptions
  >(
    from: From | readonly From[],
    to: To | readonly To[],
    options: Options
  ): NetworkBuilder<Inputs, Populations, Readouts, Types, Projections | ProjectionName<From, To, Options>> {
    const own = withoutKeys(options, ['from', 'to'])
    const [senders, receivers] = [listed(from, 'from'), listed(to, 'to')]
    if (own.name !== undefined && senders.length * receivers.length > 1) {
      throw invalid('options.name', own.name, 'nothing: several projections cannot have one name')
    }
    const pairs = senders.flatMap(sender => receivers.map(receiver => ({ from: sender, to: receiver })))
    return new NetworkBuilder(pairs.reduce((draft, pair) => draft.add('projections', { ...own, ...pair }), this.#draft))
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
    return new NetworkBuilder(this.#draft.add('channels', channel))
  }

  /**
   * Adds the channels that ligands and receptors make; see {@link expandModulation}.
   *
   * @param modulation - Which type secretes which ligand, and which type bears which receptors.
   */
  modulation(
    modulation: Modulation<TypeNames<Types, Populations>>
  ): NetworkBuilder<Inputs, Populations, Readouts, Types, Projections> {
    const channels = expandModulation(modulation)
    return new NetworkBuilder(channels.reduce((draft, channel) => draft.add('channels', channel), this.#draft))
  }

  /**
   * Silences synapses from the start; see {@link Lesion}. {@link Model.lesion} does so later.
   *
   * @example
   * ```ts
   * const description = network({ seed: 1 })
   *   .input('cues', 10).lif('pyr', 40).lif('pv', 10).readout('choice', 2)
   *   .project('cues', 'pyr', { probability: 0.5 })
   *   .project(['pyr', 'pv'], ['pyr', 'pv'], { probability: 0.1 })
   *   .project('pyr', 'choice', { probability: 1 })
   *   .lesion({ from: 'pv', to: 'pyr' })
   *   .build();
   * ```
   * @param lesion - A projection, cell types of sender and receiver, or single pairs of a projection.
   */
  lesion(
    lesion: Lesion<Projections, TypeNames<Types, Populations>>
  ): NetworkBuilder<Inputs, Populations, Readouts, Types, Projections> {
    return new NetworkBuilder(this.#draft.add('lesions', lesion))
  }

  /**
   * Finishes the description.
   *
   * @returns Plain JSON with every default filled in, deeply frozen; its {@link Connections} are copies.
   * @throws {@link MdglError} `'invalid'` where the parts do not fit together, for instance types that are no partition.
   */
  build(): WholeDescription<{
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
    return this.#draft.describe() as WholeDescription<never>
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

/** A name, or several of them. */
function listed<Name extends string>(names: Name | readonly Name[], path: string): readonly Name[] {
  if (!isObject(names)) return [names]
  const given = array<Name>(names, path)
  if (given.length === 0) throw invalid(path, names, 'at least one name')
  return given
}
