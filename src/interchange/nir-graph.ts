/** Numbers of a node, in C order. */
export interface NirArray {
  readonly data: Float64Array | Float32Array
  readonly shape: readonly number[]
}

/** What a node of one of these types is made of; the arrays are its parameters by NIR's names. */
export interface NirNode {
  readonly type: NirType
  readonly arrays: { readonly [parameter: string]: NirArray }
  /** What of mdgl's a node keeps in its metadata, as JSON. */
  readonly note?: string
}

/** A graph without graphs in it. */
export interface NirGraph {
  readonly nodes: ReadonlyMap<string, NirNode>
  readonly edges: readonly (readonly [from: string, to: string])[]
  readonly note?: string
}

/** The parameters of each type of node that is read and written, by NIR's names. `Identity` stands for the border of a graph in a graph. */
export const NIR_PARAMETERS = {
  Input: ['shape'],
  Output: ['shape'],
  Identity: [],
  Linear: ['weight'],
  Affine: ['weight', 'bias'],
  Scale: ['scale'],
  Delay: ['delay'],
  LIF: ['tau', 'r', 'v_leak', 'v_reset', 'v_threshold'],
  CubaLIF: ['tau_mem', 'tau_syn', 'r', 'w_in', 'v_leak', 'v_reset', 'v_threshold'],
  LI: ['tau', 'r', 'v_leak']
} as const

/** A type of node that is read and written. */
export type NirType = keyof typeof NIR_PARAMETERS

/** The types of cells that spike, and what NIR calls the time constant of their membrane. */
export const NIR_CELLS: ReadonlyMap<string | undefined, string> = new Map([
  ['LIF', 'tau'],
  ['CubaLIF', 'tau_mem']
])

/**
 * What a spike of 1 for a step adds to a current with w_in 1: 1 − α_s, as τ_syn I′ = −I + w_in S says; times are in ms. mdgl's current
 * takes the whole of it, so that a network that is written has the inverse as its w_in.
 */
export function currentGain(tauSyn: number, dt: number): number {
  return -Math.expm1(-dt / tauSyn)
}

/** The key of what is mdgl's own in a node's metadata. */
export const NOTE = 'mdgl'

/** What mdgl keeps of a graph that is no dynamics; NIR has metadata for such. */
export interface GraphNote {
  readonly dt: number
  readonly seed: number
  /** Names in their order: a file's groups have none. */
  readonly order: { readonly parts: readonly string[]; readonly projections: readonly string[] }
  readonly pseudoDerivative?: unknown
  readonly sheet?: unknown
  readonly types?: unknown
  readonly channels?: unknown
  readonly lesions?: unknown
}

/** What mdgl keeps of an input or a population. */
export interface CellsNote {
  readonly sign: unknown
  readonly dampening?: unknown
}

/** What mdgl keeps of a projection. */
export interface ProjectionNote {
  readonly name: string
  readonly plastic: boolean
  /** Whether the node has only some of the projection's synapses: those of one delay, or further ones of pairs. */
  readonly part?: boolean
  /** Synapses of weight 0: senders, receivers. */
  readonly silent?: readonly [pre: readonly number[], post: readonly number[]]
}
