/** The names of a network's parts, as types. A misspelt name is a compile error. */
export interface Names {
  /** Input populations. */
  readonly input: string
  /** Recurrent populations. */
  readonly population: string
  /** Readouts. */
  readonly readout: string
  /** Cell types. */
  readonly type: string
  /** Projections. */
  readonly projection: string
}

/** The names of a description. */
export type NamesOf<D> = D extends WholeDescription<infer N> ? N : D extends NetworkDescription<infer N> ? N : Names

/** One value for all neurons of a population, or one for each. */
export type Parameter = number | readonly number[]

/**
 * The sign of a population's outgoing weights (Dale's law).
 *
 * `'free'` (default): either sign. `{excitatory: n, inhibitory: m}`: so many units of each, inhibitory ones first
 * unless `shuffled`. An array: 1, −1 or 0 (free) for each unit.
 */
export type Sign =
  | 'free'
  | 'excitatory'
  | 'inhibitory'
  | {
      /** Number of excitatory units. */
      readonly excitatory: number
      /** Number of inhibitory units. */
      readonly inhibitory: number
      /** Whether the order is drawn from the network's seed. Default false. */
      readonly shuffled?: boolean
    }
  | readonly (1 | -1 | 0)[]

/** A population of input units. */
export interface InputPopulation<Name extends string = string> {
  /** Unique among inputs, populations and readouts. */
  readonly name: Name
  /** Number of units. */
  readonly size: number
  /** Sign of the outgoing weights. Default `'free'`. */
  readonly sign?: Sign
}

/**
 * A population of recurrent neurons.
 *
 * With α = exp(−dt/τ_m), ρ = exp(−dt/τ_a):
 * v_t = α v_t−1 + (1−α) I_t − thr z_t−1, b_t = ρ b_t−1 + (1−ρ) z_t−1, and a spike z_t = 1 where
 * v_t > thr + β b_t outside the refractory period. Its pseudo-derivative is (γ/thr) max(0, 1 − |v − A|/thr).
 * Source: Liu et al. 2021; Bellec et al. 2020. {@link Conventions} says what is otherwise with `'bellec2020'`.
 *
 * Current-based neurons, `'cuba-lif'` and `'cuba-alif'`, are fed by a synaptic current that decays, with α_s = exp(−dt/τ_s):
 * c_t = α_s c_t−1 + I_t, v_t = α v_t−1 + (1−α) c_t − thr z_t−1, and all else as of LIF or of ALIF. The currents of spikes add up: one spike brings
 * 1/(1−α_s) times as much charge as to a LIF neuron with the same weights. They are the neurons of most simulators and neuromorphic
 * chips, NIR's `CubaLIF`. `'cuba-alif'` knows no channel of kernel `'membrane'`, and neither goes with conventions `'bellec2020'`.
 *
 * A `'rate'` unit does not spike: v_t = α v_t−1 + (1−α) I_t, and z_t = max(0, v_t) is what it sends, a leaky ReLU unit (Liu et al. 2022). Its
 * derivative ψ_t is that of z_t, so that BPTT's gradient is exact. Rate units may stand beside spiking ones. A network that has any
 * knows no firing-rate regulariser, no channel of kernel `'membrane'`, and of the estimators only `'backward'`; its firing rates count
 * spikes alone.
 */
export interface Population<Name extends string = string> {
  /** Unique among inputs, populations and readouts. */
  readonly name: Name
  /** Number of neurons. */
  readonly size: number
  /** Leaky integrate-and-fire, the same with an adaptive threshold, a leaky ReLU unit, or the first two fed by a synaptic current. */
  readonly model: 'lif' | 'alif' | 'rate' | 'cuba-lif' | 'cuba-alif'
  /** Sign of the outgoing weights. Default `'free'`. */
  readonly sign?: Sign
  /** τ_m in ms, not rounded: at least half a step, or 0, with which a cell has no memory (α 0). Default 20, of rate units 100. */
  readonly membraneTimeConstant?: Parameter
  /** τ_s in ms, not rounded: at least half a step, or 0, with which a current has no memory (α_s 0); current-based models only. Default 5. */
  readonly synapticTimeConstant?: Parameter
  /** thr, dimensionless; not of rate units, as the next two. Default 0.01. */
  readonly threshold?: Parameter
  /** In ms, rounded to whole steps: 0 or at least one; n steps block n, with conventions `'bellec2020'` n − 1. Default 5. */
  readonly refractoryPeriod?: Parameter
  /** γ. Default 0.3. */
  readonly dampening?: Parameter
  /** τ_a in ms, not rounded: at least half a step, or 0 (ρ 0); `'alif'` and `'cuba-alif'` only. Default 2000. */
  readonly adaptationTimeConstant?: Parameter
  /** β, dimensionless, at least 0; `'alif'` and `'cuba-alif'` only; 0 makes a neuron one that does not adapt. Default 1.8. */
  readonly adaptationStrength?: Parameter
  /** A current that fluctuates. Default: none. */
  readonly noise?: NoiseCurrent
  /** Currents that flow for some time of every trial; several at a time add up. Default: none. */
  readonly currents?: readonly StepCurrent[]
}

/**
 * A current that fluctuates, an Ornstein–Uhlenbeck process of its own in each neuron and trial, added to I_t. With a = exp(−dt/τ) and independent
 * standard normal ξ: n_0 = μ + σ ξ_0, n_t = μ + a (n_t−1 − μ) + σ √(1−a²) ξ_t, so that mean, standard deviation and autocorrelation a^k are
 * the same at every step. It drives the membrane; a current-based neuron does not filter it. It is drawn from the seed that draws a
 * batch's events, and the same whatever the number of threads.
 */
export interface NoiseCurrent {
  /** μ, in the unit of a weight. Default 0. */
  readonly mean?: number
  /** σ, at least 0. */
  readonly standardDeviation: number
  /** τ in ms, not rounded: at least half a step, or 0, with which every step is independent. */
  readonly timeConstant: number
}

/** A current that is added to I_t of each neuron of a population from one time of every trial to another. */
export interface StepCurrent {
  /** Start in ms, rounded to whole steps. */
  readonly from: number
  /** End in ms, rounded to whole steps: the first step without it. */
  readonly to: number
  /** Its size, in the unit of a weight: that of a synapse which brings an event in every step. */
  readonly amplitude: number
}

/** A leaky readout: y_t = κ-filtered Σ W_out z_t + bias, with κ = exp(−dt/τ_out). */
export interface Readout<Name extends string = string> {
  /** Unique among inputs, populations and readouts. */
  readonly name: Name
  /** Number of units. */
  readonly size: number
  /** τ_out in ms, not rounded: at least half a step, or 0, with which y_t is Σ W_out z_t + bias (κ 0). Default 20. */
  readonly timeConstant?: number
  /** Whether the units have a plastic bias, which starts at 0. Default true; with conventions `'bellec2020'` always false. */
  readonly bias?: boolean
}

/** A named set of neurons; the types together are a partition of the recurrent neurons. */
export interface CellType<Name extends string = string, PopulationName extends string = string> {
  /** Unique among types. */
  readonly name: Name
  /** Its neurons; may be none. */
  readonly members: readonly {
    /** The population. */
    readonly population: PopulationName
    /** Indices in it. Default: all. */
    readonly units?: readonly number[]
  }[]
}

/** A value for each pair of cell types: by the type of the sender, then by that of the receiver. */
export interface ByTypes<T> {
  readonly [from: string]: { readonly [to: string]: T }
}

/** What a drawn weight is divided by. */
export interface Scaled {
  /**
   * `'in-degree'` divides each weight by the square root of the number of synapses that its receiver has in the projection. Default
   * `'none'`.
   */
  readonly scaling?: 'none' | 'in-degree'
}

/** Independent draws of single weights. Where the sender's sign is fixed, a value's size is taken and has that sign. */
export type Distribution =
  | ({
      /** Normal values. */
      readonly scheme: 'normal'
      /** Default 0. */
      readonly mean?: number
      /** Standard deviation, above 0. */
      readonly standardDeviation: number
    } & Scaled)
  | ({
      /** Log-normal values. */
      readonly scheme: 'lognormal'
      /** Mean of the values themselves (not of their logarithm), above 0. */
      readonly mean: number
      /** Standard deviation of the values themselves, above 0. */
      readonly standardDeviation: number
    } & Scaled)
  | ({
      /** Values of equal probability between two bounds. */
      readonly scheme: 'uniform'
      /** The smallest. */
      readonly low: number
      /** The largest, above `low`. */
      readonly high: number
    } & Scaled)
  | ({
      /** One value for all. */
      readonly scheme: 'constant'
      /** The value. */
      readonly value: number
    } & Scaled)

/** Initial weights of a drawn projection. */
export type Initialise =
  | {
      /**
       * The authors' balanced matrix, scaled to spectral radius 1, then masked. Its columns are those of one square matrix over the
       * senders, so that receivers share columns where there are more of them than senders: weights are not independent.
       */
      readonly scheme: 'balanced'
    }
  | Distribution
  | {
      /** Another distribution for each pair of types. */
      readonly scheme: 'by-type'
      /** The distributions; every pair of types that has synapses needs one. */
      readonly pairs: ByTypes<Distribution>
    }

/**
 * A factor of a probability that depends on the distance d of two cells on the {@link Sheet}, in sites, the shorter way round where
 * edges meet: exp(−d²/2w²) (`'gaussian'`), exp(−d/w) (`'exponential'`), 1/(1 + exp((d − m)/w)) (`'logistic'`),
 * 1/(1 + exp(d²/w²)) (`'logistic-squared'`: Barretto-Bittar et al., arXiv 2603.08949).
 */
export interface Distance {
  /** Its shape. */
  readonly profile: 'gaussian' | 'exponential' | 'logistic' | 'logistic-squared'
  /** w, in sites, above 0. */
  readonly width: number
  /** m, in sites, at least 0; of a logistic profile only. */
  readonly midpoint?: number
}

/** A list of numbers: an array, or a typed array over memory that is neither shared nor detached. */
export type NumberList =
  | readonly number[]
  | Float64Array
  | Float32Array
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Uint8Array

/**
 * An explicit list of synapses, in any order, no pair twice unless the projection has `multapses`. Long lists should be typed arrays, which reach the engine as they are.
 *
 * In a description of {@link NetworkBuilder.build}, and in {@link Model.description}, `pre` and `post` are each a Uint32Array, `values` a
 * Float64Array, whatever they were given as. JavaScript cannot freeze the entries of typed arrays, so each description has copies of its
 * own: changing them changes no model and no other description. `JSON.stringify` writes them as lists of numbers.
 */
export interface Connections {
  /** Presynaptic indices: whole numbers from 0 to below the size of the sending population. */
  readonly pre: NumberList
  /** Postsynaptic indices, as many: whole numbers from 0 to below the size of the receiving population. */
  readonly post: NumberList
  /** Weights, as many: finite numbers, of the sign of their sender. −0 counts as 0. */
  readonly values: NumberList
}

/**
 * Delays of a projection's synapses: one for all, one per synapse in the order of {@link Connections}, or drawn from the network's seed. A delay
 * is rounded to whole steps of `dt`, from one to 10 000: with d steps a spike of step t drives its target at step t + d. An input event
 * of step t acts at step t + d − 1, with one step in its own, as without a delay. Projections to readouts have one step.
 *
 * What arrives along a synapse by a modulatory channel meets the eligibility of d steps before. Estimators that carry influences forwards
 * (`'rtrl'`, `'snap1'`, `'uoro'`, `'kf-rtrl'`) know no delay of more than one step.
 */
export type Delay = number | NumberList | DelayDistribution

/**
 * Delays drawn independently, one for each pair of units: which other pairs have a synapse does not change it. {@link Weights.delays} tells them.
 */
export type DelayDistribution =
  | {
      /** Every number of steps from `low` to `high`, both included, with the same probability. */
      readonly scheme: 'uniform'
      /** In ms, rounded to whole steps, at least one. */
      readonly low: number
      /** In ms, rounded to whole steps, at least `low`. */
      readonly high: number
    }
  | {
      /** Normal delays, rounded to whole steps; one of less than half a step is drawn again. */
      readonly scheme: 'normal'
      /** In ms, not rounded, at least half a step. */
      readonly mean: number
      /** In the same unit, above 0. */
      readonly standardDeviation: number
    }

/** Synapses from one population to another, drawn or listed. */
export interface Projection<Name extends string = string, From extends string = string, To extends string = string> {
  /** Unique among projections. Default `from->to`. */
  readonly name?: Name
  /** Presynaptic input or population. */
  readonly from: From
  /** Postsynaptic population, or readout. */
  readonly to: To
  /**
   * Fraction of the pairs to draw, in (0, 1], as the paper's authors do: ⌊density · pairs⌋ pairs are drawn with replacement, and those
   * drawn twice or of a neuron with itself are dropped, so that 0.5 leaves 39 % of all pairs and 0.99 leaves 63 %; 1 takes every pair. For an
   * exact fraction use `probability`.
   */
  readonly density?: number
  /**
   * Or the probability of a synapse, from 0 to 1, for each pair independently; or one for each pair of cell types, which is 0 where it
   * is not given.
   */
  readonly probability?: number | ByTypes<number>
  /** By how much `probability` falls off with distance: between populations of a network with a {@link Sheet}. */
  readonly distance?: Distance
  /** Or the number of different senders of every receiver, at least 1. */
  readonly fixedInDegree?: number
  /** Or the number of different receivers of every sender, at least 1. */
  readonly fixedOutDegree?: number
  /** Or the synapses themselves. */
  readonly connections?: Connections
  /** Whether neurons may project to themselves; of a population's projection to itself. Default false, which is not written out. */
  readonly autapses?: boolean
  /**
   * Whether a pair may have several synapses, each with a weight and a delay of its own. Draws by `density`, `fixedInDegree` and `fixedOutDegree`
   * are then with replacement and keep all that they draw, and a list may have a pair several times; not with `probability`. Default
   * false, which is not written out.
   */
  readonly multapses?: boolean
  /**
   * Initial weights of a drawn projection. Default with `density` `{ scheme: 'balanced' }`, the authors' own; otherwise independent ones,
   * `{ scheme: 'normal', standardDeviation: 1, scaling: 'in-degree' }`.
   */
  readonly initialise?: Initialise
  /** Delay of its synapses: see {@link Delay}. Default one step. */
  readonly delay?: Delay
  /** Whether training changes it. Default true. */
  readonly plastic?: boolean
}

/**
 * Synapses that stay silent: those that match every key that is given. Their weights are 0, they have no gradient, no optimiser changes
 * them, and rewiring neither restarts them nor makes another in their place. `{ from: 'pv' }` silences what the cells of a type send,
 * `{ to: 'pv' }` what they receive, `{ projection: 'a->b' }` a projection, and with `pre` and `post` single pairs of its units.
 */
export interface Lesion<ProjectionName extends string = string, TypeName extends string = string> {
  /** Only synapses of this projection. */
  readonly projection?: ProjectionName
  /** Only synapses whose sender is of this cell type. */
  readonly from?: TypeName
  /** Only synapses whose receiver is of this cell type. */
  readonly to?: TypeName
  /**
   * Only single pairs of the projection, whether they have a synapse or not: presynaptic indices in its sending population. Not beside
   * `from` and `to`. In a whole description a Uint32Array.
   */
  readonly pre?: NumberList
  /** Postsynaptic indices, as many. */
  readonly post?: NumberList
}

/** How strong a channel is: the current mean weight of the synapses to→from, each synapse's own, or a number. */
export type Gain = 'mean-weight' | 'weight' | number

/**
 * Whom a channel reaches: cells along existing synapses (`'synaptic'`), every cell of the receiving type (`'nonlocal'`), or, over
 * the network's {@link Sheet}, cells at whose site something has arrived (`'diffusive'`):
 *
 * Γ_p,t = Σ gain G_t[site of p], G_t = K ∗ G_t+1 + Σ_{j at the site} (1−α_j) (what j secretes at t), a field for each secreting type.
 *
 * What arrives along a synapse with a delay of d steps meets the eligibility of d steps before. A nonlocal channel whose gain is a
 * mean acts with every delay by the mean of the synapses that have it, the others counted as 0; one whose gain is a number, and
 * one that diffuses, act after one step.
 *
 * G runs backwards in time, as the secretion does (our choice): an eligibility meets what is secreted d sites away d steps later at
 * the earliest. It has no online form here, and needs another kernel than `'exact'`. With `'mean-weight'` the mean is that
 * of the whole block, absent synapses counted as 0, as for `'nonlocal'`.
 */
export type Reach = 'synaptic' | 'nonlocal' | 'diffusive'

/**
 * A channel's time course: what of its past, or rather of its future (errors run backwards in time), the secreting cell j
 * tells in place of L_j,t ψ_j,t.
 *
 * | kernel | secreted at t | |
 * |---|---|---|
 * | `'none'` | L ψ | instantaneous, as published (Liu et al. 2021) |
 * | `'membrane'` | s of {@link MembraneKernel} | causal: the cell's own membrane, with a constant in place of ψ |
 * | {@link ExponentialKernel} | Σ_k h(k) L_t+k ψ_t+k | causal: two exponentials |
 * | `'exact'` | λv, BPTT's recursion | acausal |
 *
 * All but the first are beyond the paper. The causal ones have an online form too: there the synapse carries (h ∗ e), which
 * meets L ψ one step later.
 */
export type Kernel = 'none' | 'exact' | 'membrane' | MembraneKernel | ExponentialKernel

/**
 * The secreting cell's membrane and adaptation, linearised about a constant m in place of ψ. `'membrane'` is the same with
 * every default.
 *
 * s_t = (α − thr m) s_t+1 + (1−ρ) m r_t+1 + ψ_t L_t, r_t = (ρ − (1−ρ) β m) r_t+1 + thr β m s_t+1 − β ψ_t L_t,
 * Γ_p,t = Σ_j gain (1−α_j) s_j,t: ψ L convolved with h(k) = [Mᵏ (1, −β)ᵀ]₁. m is one number for all cells that share their type
 * and all constants.
 */
export interface MembraneKernel {
  /** Where m comes from. */
  readonly membrane: {
    /**
     * `'running'` (default): m ← 0.9 m + 0.1 · (mean ψ of a batch over its steps and trials), after each batch that trained the model,
     * part of its weights file; so m is known before the batch. Asking for gradients does not move it. `'batch'`: the mean of
     * the batch itself, acausal by that much; not for the estimator `'online'`.
     */
    readonly mean?: 'running' | 'batch'
    /** m before the first batch, in units of γ/thr, the largest ψ: 0 to 1. Default 0.1 (ours: before training it is 0.05 to 0.15). */
    readonly initial?: number
  }
}

/**
 * h(k) ∝ (a^(k+1) − b^(k+1))/(a − b), a = exp(−dt/tauDecay), b = exp(−dt/tauRise), scaled to a largest value of 1. `tauRise` 0 gives
 * a^k, equal time constants the alpha function (k+1) a^k.
 */
export interface ExponentialKernel {
  /** In ms, not rounded: 0, or from half a step to `tauDecay`. */
  readonly tauRise: number
  /** In ms, not rounded, at least half a step. */
  readonly tauDecay: number
}

/**
 * A grid of sites whose edges meet, on which cells sit row after row, and how fast what they secrete spreads over it: each step a
 * field is convolved with K, a box of three by three sites. Source: Barretto-Bittar et al., arXiv 2603.08949 (2026): wrapped
 * edges, K and its sum. Where there are fewer sites than cells some have several.
 */
export interface Sheet {
  /** Sites in a row. Default: as many as give a square that holds every cell (or as the height leaves). */
  readonly width?: number
  /** Rows. Default: as many as hold every cell. */
  readonly height?: number
  /**
   * Which cell sits where: drawn from the network's seed (`'random'`, the default), the cells of one type after those of another
   * (`'sorted'`), or drawn anew at every step (`'shuffled'`: the control in which what is secreted spreads, but not to neighbours).
   */
  readonly positions?: 'random' | 'sorted' | 'shuffled'
  /** k, the sum of K, from 0 to below 1. Default 0.75, as published. */
  readonly spread?: number
}

/** A neuromodulatory edge: type `from` secretes, type `to` receives; it runs against the synapses to→from. */
export interface Channel<TypeName extends string = string> {
  /** For messages and analysis. */
  readonly name: string
  /** The secreting type (postsynaptic). */
  readonly from: TypeName
  /** The receiving type (presynaptic). */
  readonly to: TypeName
  /** Its strength. */
  readonly gain: Gain
  /** Whom it reaches. */
  readonly reach: Reach
  /** Its time course. */
  readonly kernel: Kernel
  /** What its gain is multiplied by, a finite number: 0 blocks the channel. Default 1, which is not written out. */
  readonly factor?: number
  /**
   * x, dimensionless, at least 0, of reach `'synaptic'`: the channel follows strong synapses alone, S(p) = {j : p→j, |W_pj| > x · mean |W|}, the mean
   * over the living synapses between the two types, and `'mean-weight'` is the mean over those in S. Default 0, which is not written out: all
   * synapses whose weight is not 0.
   */
  readonly above?: number
}

/**
 * Whose equations a network follows: `'mdgl2021'` (Liu et al. 2021), or `'bellec2020'`, e-prop as published by Bellec et
 * al. 2020 and as NEST's `eprop_*_bsshslm_2020` models have it. Where the second differs:
 *
 * | | `'mdgl2021'` | `'bellec2020'` |
 * |---|---|---|
 * | input of a cell | (1−α) I_t | g I_t, see {@link InputGain} |
 * | adaptation | b_t = ρ b_t−1 + (1−ρ) z_t−1 | b_t = ρ b_t−1 + z_t−1 |
 * | spike | v_t > thr + β b_t | v_t ≥ thr + β b_t |
 * | refractory period of n steps | blocks n steps | blocks n − 1 steps |
 * | eligibility trace, εv | (α − thr ψ_t−1) εv_t−1 + thr β ψ_t−1 εa_t−1 + (1−α) z_q,t−1 | α εv_t−1 + g z_q,t−1 |
 * | εa | (1−ρ) ψ_t−1 εv_t−1 + (ρ − (1−ρ) β ψ_t−1) εa_t−1 | ρ εa_t−1 + ψ_t−1 (εv_t−1 − β εa_t−1) |
 * | regulariser, added to L_p,t | c (f_p − f0)/(T·B), f_p over the batch | c (f_p,b − f0)/(T·B·w), f_p,b of the trial itself |
 * | its loss | ½ c Σ_p (f_p − f0)² | ½ c Σ_p (f_p,b − f0)²/w, the mean over trials |
 * | bias of a readout | as asked for | none |
 *
 * B is the number of trials, T a trial's steps, f a rate a step, w the window of a cross-entropy in steps and otherwise 1 (the
 * published classification divides its whole gradient by it). With `'bellec2020'` a rule must have the estimator `'backward'`, no
 * hops, learning signals of the cells' own and the readout filter `'exact'`; the loss is `'squared-error'` or `'cross-entropy'`, with a regulariser a single one. The
 * published feedback is a fixed random matrix: {@link FeedbackWeights} or {@link RandomFeedback}.
 */
export type Conventions = 'mdgl2021' | 'bellec2020'

/**
 * g, what scales the input of a cell with conventions `'bellec2020'`: 1 − α (the published regression), or 1 (the published
 * classification).
 */
export type InputGain = 'one-minus-alpha' | 'one'

/**
 * ψ, what stands for ∂z/∂v in every gradient, over x = |v − A|/thr, the distance to threshold; 0 while refractory:
 *
 * | shape | ψ | steepness k | source |
 * |---|---|---|---|
 * | `'triangular'` | (γ/thr) max(0, 1 − x) | none | Bellec et al. 2018, Liu et al. 2021 |
 * | `'exponential'` | (γ/thr) exp(−k x) | 2 (ours) | Shrestha & Orchard 2018 |
 * | `'fast-sigmoid'` | (γ/thr)/(1 + k x)² | 10 | SuperSpike: Zenke & Ganguli 2018 |
 * | `'arctangent'` | (γ/thr)/(1 + (π k x/2)²) | 2 | Fang et al. 2021 |
 *
 * Only the triangle is 0 for most cells most of the time, which the engine skips: the others cost more. γ is the population's
 * `dampening`.
 */
export interface PseudoDerivative {
  /** How ψ falls. */
  readonly shape: PseudoDerivativeShape
  /** k, above 0. None with `'triangular'`. */
  readonly steepness?: number
}

/** How ψ falls with the distance to threshold: see {@link PseudoDerivative}. */
export type PseudoDerivativeShape = 'triangular' | 'exponential' | 'fast-sigmoid' | 'arctangent'

/**
 * What a network is, without its weights: plain JSON, schema `mdgl-network/1`.
 *
 * Times are in ms. What lasts for some time is rounded to whole steps of `dt`, half a step up, and counts as the decimal that it is
 * written as (0.35 ms are four steps of 0.1 ms). A duration or a time constant above 0 that rounds to no step, a default one too, is
 * refused: it would vanish without a word. So it is with every duration of batches, losses, tasks and encoders.
 */
export interface NetworkDescription<N extends Names = Names> {
  /** The schema's name and version. */
  readonly schema: 'mdgl-network/1'
  /** Step in ms. Default 1. */
  readonly dt?: number
  /** Seed of connectivity and initial weights. Default 1. */
  readonly seed?: number
  /** Whose equations the network follows. Default `'mdgl2021'`, which is not written out. */
  readonly conventions?: Conventions
  /** What scales the input of a cell; with conventions `'bellec2020'` only. Default `'one-minus-alpha'`. */
  readonly inputGain?: InputGain
  /** Where its cells sit, for what diffuses. Default: {@link Sheet}'s own, which are not written out. */
  readonly sheet?: Sheet
  /** The pseudo-derivative of its cells; a shape alone has its own steepness. Default `'triangular'`, which is not written out. */
  readonly pseudoDerivative?: PseudoDerivative | PseudoDerivativeShape
  /** Input populations. */
  readonly inputs?: readonly InputPopulation<N['input']>[]
  /** Recurrent populations. */
  readonly populations: readonly Population<N['population']>[]
  /** Readouts. */
  readonly readouts?: readonly Readout<N['readout']>[]
  /** Cell types. Default: one per population. */
  readonly types?: readonly CellType<N['type'], N['population']>[]
  /** Projections. */
  readonly projections?: readonly Projection<
    N['projection'],
    N['input'] | N['population'],
    N['population'] | N['readout']
  >[]
  /** Modulatory channels. Default: a mean-weight channel along the synapses for every ordered pair of types. */
  readonly channels?: readonly Channel<N['type']>[]
  /** Synapses that stay silent. Default none. */
  readonly lesions?: readonly Lesion<N['projection'], N['type']>[]
}

/** A projection of a whole description. */
export interface WholeProjection<Name extends string = string, From extends string = string, To extends string = string>
  extends Projection<Name, From, To> {
  /** Unique among projections. */
  readonly name: Name
  /** Delay of its synapses, every duration a number of whole steps of `dt`. */
  readonly delay: Delay
  /** Whether training changes it. */
  readonly plastic: boolean
}

/** A population of a {@link WholeDescription}: with every parameter that its model has. */
export interface WholePopulation<Name extends string = string> extends Population<Name> {
  /** Sign of the outgoing weights. */
  readonly sign: Sign
  /** τ_m in ms. */
  readonly membraneTimeConstant: Parameter
}

/** A description with every default filled in, as {@link NetworkBuilder.build} and {@link Model.description} have it. */
export interface WholeDescription<N extends Names = Names> extends NetworkDescription<N> {
  /** Step in ms. */
  readonly dt: number
  /** Seed of connectivity and initial weights. */
  readonly seed: number
  /** Input populations; may be none. */
  readonly inputs: readonly Required<InputPopulation<N['input']>>[]
  /** Populations of neurons. */
  readonly populations: readonly WholePopulation<N['population']>[]
  /** Readouts; may be none. */
  readonly readouts: readonly Required<Readout<N['readout']>>[]
  /** Projections; may be none. */
  readonly projections: readonly WholeProjection<
    N['projection'],
    N['input'] | N['population'],
    N['population'] | N['readout']
  >[]
}
